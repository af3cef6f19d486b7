/** Where groups are synced, over simulated hours of fast, slow and stalled disks. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SyncPolicy } from "../../../../src/log/write/sync-policy.ts";
import { simDirectory, simMachine } from "../../../support/log/logs.ts";

const group = 1_000;
/** What the thread pool adds to a sync. */
const poolMs = 0.1;

/** A policy and a node that flushes a group every `everyMs`. `diskMs` is how long a sync takes. */
class Node {
  nowMs = 1_000_000;
  readonly policy: SyncPolicy;
  /** When flushes began that blocked the event loop for more than 2 ms. */
  #blockedAtMs: number[] = [];

  constructor(fast: boolean) {
    this.policy = new SyncPolicy(fast, this.nowMs);
  }

  run(forMs: number, diskMs: (n: number) => number, everyMs = 10): void {
    const untilMs = this.nowMs + forMs;
    for (let n = 0; this.nowMs < untilMs; n++) {
      const took = diskMs(n);
      if (this.policy.inline(group, this.nowMs)) {
        if (took > 2) this.#blockedAtMs.push(this.nowMs);
        this.nowMs += took;
        this.policy.took(took, this.nowMs);
      } else {
        this.nowMs += took + poolMs;
        this.policy.tookAside(took + poolMs);
      }
      this.nowMs += everyMs;
    }
  }

  /** Returns when flushes began that blocked the event loop. */
  blockedBy(forMs: number, diskMs: (n: number) => number): number[] {
    this.#blockedAtMs = [];
    this.run(forMs, diskMs);
    return this.#blockedAtMs;
  }
}

const fast = (): number => 0.1;
const hourMs = 3_600_000;

describe("the start", () => {
  test("a fast disk is synced on the event loop, a slow one in the thread pool", () => {
    const { disk, clock } = simMachine(13);
    disk.makeDirectory(simDirectory);
    assert.equal(SyncPolicy.measure(disk, clock, simDirectory).mode, "inline");
    const slow = Object.assign(Object.create(clock) as typeof clock, {
      monotonicMs: () => (clock.nowMs += 5),
    });
    assert.equal(SyncPolicy.measure(disk, slow, simDirectory).mode, "aside");
    assert.deepEqual(disk.list(simDirectory), []);
  });

  test("a large group is never synced on the event loop", () => {
    const { policy } = new Node(true);
    assert.equal(policy.inline(256 * 1024, 0), true);
    assert.equal(policy.inline(256 * 1024 + 1, 0), false);
  });
});

describe("a disk that becomes slow", () => {
  test("is synced in the thread pool after eight slow flushes in a row", () => {
    const node = new Node(true);
    node.run(10_000, (n) => (n % 8 === 7 ? 0.1 : 10));
    assert.equal(node.policy.mode, "inline");
    node.run(100, fast);
    assert.equal(node.blockedBy(1_000, () => 10).length, 8);
    assert.deepEqual([node.policy.mode, node.policy.changes], ["aside", 1]);
  });

  test("that is fast again is synced on the event loop again, after a second and a few fast flushes", () => {
    const node = new Node(true);
    node.run(3 * 60_000, fast);
    node.run(500, () => 20);
    assert.equal(node.policy.mode, "aside");
    node.run(5_000, fast);
    assert.deepEqual([node.policy.mode, node.policy.changes], ["inline", 2]);
  });

  test("never blocks the event loop again while it is slow: the thread pool shows that", () => {
    const node = new Node(false);
    assert.deepEqual(
      node.blockedBy(hourMs, () => 8),
      [],
    );
    node.run(5_000, fast);
    assert.equal(node.policy.mode, "inline");
  });

  test("blocks the event loop for one sync a minute if it is fast now and then, and less often never", () => {
    const node = new Node(false);
    // The first 16 flushes of 200 are fast, so a trial may start, and one of 40 ms follows at once.
    const blocked = node.blockedBy(hourMs, (n) => (n % 200 < 16 ? 1 : 40));
    const gaps = blocked.slice(1).map((at, n) => at - blocked[n]!);
    assert.ok(blocked.length > 5 && blocked.length < 70, `${blocked.length} trials in an hour`);
    for (const [n, gap] of gaps.entries())
      assert.ok(gap >= Math.min(60_000, 2_000 * 2 ** n), `gap ${n}: ${gap} ms`);
    assert.equal(node.policy.changes, 0);
  });

  test("is synced on the event loop again although one flush of a trial is slow, but not if two are", () => {
    const node = new Node(false);
    node.run(1_000, fast);
    const trial = [0.1, 5, 0.1, 0.1, 0.1];
    for (const took of trial) {
      assert.ok(node.policy.inline(group, node.nowMs));
      node.policy.took(took, node.nowMs);
    }
    assert.equal(node.policy.mode, "inline");
    const other = new Node(false);
    other.run(1_000, fast);
    for (const took of [0.1, 5, 5]) {
      assert.ok(other.policy.inline(group, other.nowMs));
      other.policy.took(took, other.nowMs);
    }
    assert.equal(other.policy.inline(group, other.nowMs), false);
  });

  test("that stalls gets no trial until 16 flushes in a row did not stall", () => {
    const node = new Node(false);
    assert.deepEqual(
      node.blockedBy(hourMs / 10, (n) => (n % 12 === 0 ? 5_000 : 0.1)),
      [],
    );
  });
});

describe("a disk between fast and slow", () => {
  test("keeps the mode: a trial needs 0.8 ms, a change to the thread pool 2 ms", () => {
    const [inline, aside] = [new Node(true), new Node(false)];
    for (const node of [inline, aside]) node.run(hourMs / 10, () => 1);
    assert.deepEqual([inline.policy.mode, inline.policy.changes], ["inline", 0]);
    assert.deepEqual([aside.policy.mode, aside.policy.changes], ["aside", 0]);
  });

  test("does not change the mode often if it changes its speed every second", () => {
    const node = new Node(true);
    for (let second = 0; second < 3_600; second++) node.run(1_000, () => (second % 2 === 0 ? 0.1 : 10));
    const { changes } = node.policy;
    assert.ok(changes > 10 && changes < 150, `${changes} changes in an hour`);
  });

  test("gets a trial a second later again after a steady minute", () => {
    const node = new Node(true);
    for (let k = 0; k < 20; k++) {
      node.run(1_000, () => 10);
      node.run(1_000, fast);
    }
    assert.equal(node.policy.mode, "aside", "the wait is long now");
    node.run(2 * 60_000, fast);
    assert.equal(node.policy.mode, "inline");
    node.run(2 * 60_000, fast);
    node.run(500, () => 10);
    assert.equal(node.policy.mode, "aside");
    node.run(3_000, fast);
    assert.equal(node.policy.mode, "inline");
  });
});
