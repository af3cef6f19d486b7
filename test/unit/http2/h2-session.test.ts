import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { H2Session } from "../../../src/http2/h2-session.ts";
import { noLogger } from "../../../src/lib/telemetry.ts";
import type { Clock } from "../../../src/lib/time/clock.ts";
import { frame, headers, preface, settings } from "../../support/h2-harness.ts";

/** A session on a socket that the test speaks for, with a clock that it moves. */
class World {
  nowMs = 0;
  /** What each chunk costs. */
  costMs = 0;
  readonly soon: (() => void)[] = [];
  readonly timers: { readonly dueMs: number; readonly callback: () => void }[] = [];
  readonly busy: boolean[] = [];
  readonly socket = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      this.nowMs += this.costMs;
      done();
    },
  });
  readonly session: H2Session;

  constructor() {
    const clock: Clock = {
      wallMs: () => 0,
      monotonicMs: () => this.nowMs,
      after: (delayMs, callback) => {
        const timer = { dueMs: this.nowMs + delayMs, callback };
        this.timers.push(timer);
        return {
          cancel: () => {
            const at = this.timers.indexOf(timer);
            if (at >= 0) this.timers.splice(at, 1);
          },
        };
      },
      soon: (callback) => this.soon.push(callback),
    };
    this.session = new H2Session(this.socket, {
      clock,
      log: noLogger,
      serve: (stream) => {
        this.nowMs += this.costMs;
        if (this.costMs > 0) stream.reset(8);
      },
      onBusy: (busy) => this.busy.push(busy),
      onClose: () => undefined,
    });
    this.socket.emit("data", Buffer.concat([preface, settings()]));
  }

  nextTurn(): void {
    for (const callback of this.soon.splice(0)) callback();
  }
}

test("a socket that hands out chunk after chunk in one turn is paused when they took 5 ms, until the next", () => {
  const world = new World();
  world.nextTurn();
  world.costMs = 2;
  let chunks = 0;
  for (let id = 1; !world.socket.isPaused(); id += 2, chunks++) {
    assert.ok(chunks < 32);
    world.socket.emit("data", headers(id));
  }
  assert.equal(chunks, 3);
  world.nextTurn();
  assert.equal(world.socket.isPaused(), false);
  // In a turn of its own each of them may go on.
  for (let id = 101; id < 201; id += 2) {
    world.socket.emit("data", headers(id));
    assert.equal(world.socket.isPaused(), false);
    world.nextTurn();
  }
});

test("no timer runs while only tails are open, and whether there are requests is told once each time", async () => {
  const world = new World();
  assert.deepEqual(
    world.timers.map(({ dueMs }) => dueMs),
    [65_000],
  );
  world.socket.emit("data", headers(1, true));
  world.nextTurn();
  const [timer] = world.timers.splice(0);
  world.nowMs = 65_000;
  timer?.callback();
  assert.deepEqual(world.timers, []);
  world.socket.emit("data", frame(3, 0, 1, Buffer.from([0, 0, 0, 8])));
  assert.deepEqual(world.busy, [true, false]);
  assert.deepEqual(
    world.timers.map(({ dueMs }) => dueMs),
    [130_000],
  );
});
