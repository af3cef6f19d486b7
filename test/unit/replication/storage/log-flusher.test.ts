import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import type { SyncMode } from "../../../../src/log/mod.ts";
import { LogFlusher } from "../../../../src/replication/storage/log-flusher.ts";
import { StillClock } from "../../../support/log/logs.ts";

/** A log that records its flushes and fails the first `failures` of them. */
function flusherWith(sync: SyncMode, { inline = true, failures = [] as Fault[], canRelease = true } = {}) {
  const clock = new StillClock();
  const calls: string[] = [];
  const record = (call: string): void => {
    calls.push(call);
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
  };
  const flusher = new LogFlusher({
    clock,
    sync,
    log: {
      flush: async () => record("background"),
      flushNow: (synced = true) => record(synced ? "inline" : "unsynced"),
      syncWritten: async () => record("interval sync"),
    },
    policy: { inline: () => inline, took: () => undefined, tookAside: () => undefined },
    reserve: {
      filled: () => undefined,
      release: () => {
        calls.push("release");
        return canRelease;
      },
    },
  });
  return { clock, calls, flusher };
}

describe("a flush of staged entries", () => {
  test("is synced inline or in the background, as the policy decides", async () => {
    const fast = flusherWith("always");
    assert.equal(fast.flusher.flush(10), undefined);
    assert.deepEqual(fast.calls, ["inline"]);
    const slow = flusherWith("always", { inline: false });
    await slow.flusher.flush(10);
    assert.deepEqual(slow.calls, ["background"]);
  });

  test("tells the policy how long it took, if it was synced", async () => {
    const reports: string[] = [];
    const clock = new StillClock();
    const flusherAt = (inline: boolean, sync: SyncMode) =>
      new LogFlusher({
        ...{ clock, sync, reserve: undefined },
        log: {
          flush: async () => clock.advance(7),
          flushNow: () => clock.advance(3),
          syncWritten: async () => undefined,
        },
        policy: {
          inline: () => inline,
          took: (elapsedMs) => reports.push(`inline ${elapsedMs}`),
          tookAside: (elapsedMs) => reports.push(`aside ${elapsedMs}`),
        },
      });
    await flusherAt(true, "always").flush(10);
    await flusherAt(false, "always").flush(10);
    await flusherAt(true, "never").flush(10);
    assert.deepEqual(reports, ["inline 3", "aside 7"]);
  });

  test("with an interval is written at once and synced once after the interval, unless it is closed before", async () => {
    const { clock, calls, flusher } = flusherWith({ intervalMs: 100 });
    flusher.flush(10);
    flusher.flush(10);
    clock.advance(100);
    assert.deepEqual(calls, ["unsynced", "unsynced", "interval sync"]);
    flusher.flush(10);
    await flusher.close();
    clock.advance(100);
    assert.equal(calls.length, 4);
  });

  test("on a full disk releases the reserve once and tries again", async () => {
    for (const inline of [true, false]) {
      const call = inline ? "inline" : "background";
      const { calls, flusher } = flusherWith("always", { inline, failures: [new Fault("disk-full")] });
      await flusher.flush(10);
      assert.deepEqual(calls, [call, "release", call]);
    }
  });

  test("fails if the reserve has no space left, or for another reason", () => {
    const empty = flusherWith("always", { failures: [new Fault("disk-full")], canRelease: false });
    assert.throws(() => empty.flusher.flush(10), { kind: "disk-full" });
    const broken = flusherWith("always", { failures: [new Fault("disk-failed")] });
    assert.throws(() => broken.flusher.flush(10), { kind: "disk-failed" });
    assert.deepEqual(broken.calls, ["inline"]);
  });
});
