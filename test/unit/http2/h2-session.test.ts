import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { H2Session } from "../../../src/http2/h2-session.ts";
import { noLogger } from "../../../src/lib/telemetry.ts";
import type { Clock } from "../../../src/lib/time/clock.ts";
import { frame, headers, preface, settings } from "../../support/http/h2-harness.ts";

/** A session on a socket and a clock that the test controls. */
class SessionHarness {
  nowMs = 0;
  /** How long serving a request or writing a chunk takes. */
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

test("a socket whose chunks take 5 ms of one turn is paused until the next turn", () => {
  const harness = new SessionHarness();
  harness.nextTurn();
  harness.costMs = 2;
  let chunks = 0;
  for (let id = 1; !harness.socket.isPaused(); id += 2, chunks++) {
    assert.ok(chunks < 32);
    harness.socket.emit("data", headers(id));
  }
  assert.equal(chunks, 3);
  harness.nextTurn();
  assert.equal(harness.socket.isPaused(), false);
  // A chunk in its own turn does not pause the socket.
  for (let id = 101; id < 201; id += 2) {
    harness.socket.emit("data", headers(id));
    assert.equal(harness.socket.isPaused(), false);
    harness.nextTurn();
  }
});

test("no timer runs while only tails are open, and onBusy reports each change once", async () => {
  const harness = new SessionHarness();
  assert.deepEqual(
    harness.timers.map(({ dueMs }) => dueMs),
    [65_000],
  );
  harness.socket.emit("data", headers(1, true));
  harness.nextTurn();
  const [timer] = harness.timers.splice(0);
  harness.nowMs = 65_000;
  timer?.callback();
  assert.deepEqual(harness.timers, []);
  harness.socket.emit("data", frame(3, 0, 1, Buffer.from([0, 0, 0, 8])));
  assert.deepEqual(harness.busy, [true, false]);
  assert.deepEqual(
    harness.timers.map(({ dueMs }) => dueMs),
    [130_000],
  );
});
