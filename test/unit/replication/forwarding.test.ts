import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import type { Forwarder } from "../../../src/replication/forwarder.ts";
import type { Appended, AppendOptions } from "../../../src/types.ts";
import { run, StillClock } from "../../support/log/logs.ts";
import { MemoryCluster } from "../../support/raft/replicas.ts";

const appended: Appended = { firstOffset: 0, count: 1, timestampMs: 1, duplicate: false };
const unknown = new Fault("unknown", { written: "unknown" });
const unavailable = new Fault("unavailable");
const notLeader = new Fault("not-leader", { facts: { leader: "elsewhere" } });
const producer = { subject: "s", id: 1n, epoch: 0, sequence: 0 };

/**
 * Time for one test: 10 ms for each tick of 5 ms. A follower tries for four seconds of it. On a busy machine the ticks are
 * late, and then this time is slow, too.
 */
function startClock(): { clock: StillClock; [Symbol.dispose](): void } {
  const clock = new StillClock();
  const ticks = setInterval(() => clock.advance(10), 5);
  return { clock, [Symbol.dispose]: () => clearInterval(ticks) };
}
const raft = { tickMs: 50, electionTicks: 20, heartbeatTicks: 4 };

/** Appends on a follower whose forwarder returns these outcomes in turn. Returns the result and the number of calls. */
async function appendWith(
  attempts: readonly (Fault | Appended)[],
  options: AppendOptions,
): Promise<{ calls: number; end: Fault | Appended }> {
  let calls = 0;
  const forwarder: Forwarder = {
    append: async () => {
      const end = attempts[Math.min(calls++, attempts.length - 1)]!;
      if (end instanceof Fault) throw end;
      return end;
    },
    trim: async () => 0,
    changeLog: () => Promise.reject(new Fault("unavailable")),
  };
  using started = startClock();
  const { clock } = started;
  await using cluster = await MemoryCluster.open(3, {}, { forwarder, clock, raft });
  const [follower] = cluster.followers(await cluster.leader());
  const deadlineMs = clock.monotonicMs() + 60_000;
  const end = await follower!.replica!.log.append(run("x"), { deadlineMs, ...options }).catch(Fault.from);
  return { calls, end };
}

const summary = ({ calls, end }: { calls: number; end: Fault | Appended }): unknown =>
  end instanceof Fault ? [calls, end.kind, end.written] : [calls, "appended"];

describe("an append that a follower forwards", { concurrency: true }, () => {
  test("is retried if it certainly was not written, on the leader at that time", async () => {
    assert.deepEqual(summary(await appendWith([unavailable, notLeader, appended], {})), [3, "appended"]);
  });

  test("is not sent again once it may have been written", async () => {
    assert.deepEqual(summary(await appendWith([unknown, appended], {})), [1, "unknown", "unknown"]);
  });

  test("is retried with a producer's sequence even if it may have been written", async () => {
    assert.deepEqual(summary(await appendWith([unknown, unavailable, appended], { producer })), [
      3,
      "appended",
    ]);
  });

  test("has an unknown outcome if any attempt may have written it, whatever the last one returns", async () => {
    for (const last of [unavailable, new Fault("out-of-sequence"), new Fault("overloaded")]) {
      const [, kind, written] = summary(await appendWith([unknown, last], { producer })) as unknown[];
      assert.deepEqual([kind, written], ["interrupted", "unknown"], last.kind);
    }
    const late = await appendWith([unknown, new Fault("deadline")], { producer });
    assert.deepEqual(summary(late), [2, "deadline", "unknown"]);
  });

  test("fails as unavailable, or with `forward: false` as not-leader", async () => {
    const [calls, ...end] = summary(await appendWith([notLeader], {})) as unknown[];
    assert.ok(Number(calls) > 1);
    assert.deepEqual(end, ["unavailable", "no"]);
    const direct = await appendWith([appended], { forward: false });
    assert.deepEqual(summary(direct), [0, "not-leader", "no"]);
  });
});
