import assert from "node:assert/strict";
import { test } from "node:test";
import { CopyRate } from "../../../../src/log/settle/copy-rate.ts";

class Turns {
  nowMs = 5;
  readonly rate: CopyRate;

  constructor(bytesPerSecond: number) {
    this.rate = new CopyRate({ monotonicMs: () => this.nowMs }, bytesPerSecond);
  }

  /** Copies for a time, in steps of 1 ms and 64 bytes. Each turn of others takes `otherMs`. Returns bytes per ms. */
  run(ms: number, otherMs: number): { readonly speed: number; readonly longestMs: number } {
    const beganMs = this.nowMs;
    let [bytes, turnMs, longestMs] = [0, 0, 0];
    while (this.nowMs - beganMs < ms) {
      this.nowMs++;
      turnMs++;
      bytes += 64;
      const pauseMs = this.rate.pauseAfter(64);
      longestMs = Math.max(longestMs, turnMs);
      if (pauseMs === undefined) continue;
      turnMs = 0;
      this.nowMs += Math.max(pauseMs, otherMs);
      this.rate.resumed();
    }
    return { speed: bytes / (this.nowMs - beganMs), longestMs };
  }
}

test("the rate is kept while others take little time", () => {
  const { speed } = new Turns(16_000).run(10_000, 1);
  assert.ok(speed > 15.5 && speed <= 16, String(speed));
});

test("if the turns of others are long, several steps are made in a turn, for a few milliseconds", () => {
  const { speed, longestMs } = new Turns(64_000).run(10_000, 40);
  assert.ok(longestMs <= 5, `${longestMs} ms`);
  assert.ok(speed > (3.9 * 64) / 44, `${speed}, one step in each turn would be ${64 / 41}`);
});

test("the rate is kept if a few steps in each long turn are enough for it", () => {
  const { speed } = new Turns(4_000).run(10_000, 40);
  assert.ok(speed > 3.8 && speed <= 4, String(speed));
});

test("a long delay is not made up for by a burst", () => {
  const turns = new Turns(16_000);
  turns.run(1_000, 1);
  turns.nowMs += 60_000;
  const { speed } = turns.run(1_000, 1);
  assert.ok(speed < 18, String(speed));
});

test("without a limit, each step ends its turn unless the clock shows a delay", () => {
  const turns = new Turns(Number.POSITIVE_INFINITY);
  assert.equal(turns.rate.pauseAfter(64), 0);
  turns.nowMs += 2;
  assert.equal(turns.rate.pauseAfter(64), undefined);
  turns.nowMs += 2;
  assert.equal(turns.rate.pauseAfter(64), 0);
});
