/** Whether a node would append the whole run of a producer now: a stream joins messages only then. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AppendOptions, ProducerStamp } from "../../../../src/types.ts";
import { run, simMachine } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";

const stamp = (sequence: number, more: Partial<ProducerStamp> = {}): ProducerStamp => ({
  subject: "root",
  id: 1n,
  epoch: 0,
  sequence,
  ...more,
});
const three = run("a", "b", "c");

test("a run is appended whole if its sequence is the next one, also behind appends that wait", async () => {
  const { replica } = await simMachine(1).open();
  const { log } = replica;
  const takes = (producer: ProducerStamp | undefined, more: AppendOptions = {}) =>
    log.takesWhole(three, { ...more, ...(producer === undefined ? {} : { producer }) });
  assert.equal(takes(undefined), false);
  assert.equal(takes(stamp(1)), false);
  assert.equal(takes(stamp(0)), true);
  // A question changes nothing.
  assert.equal(takes(stamp(0)), true);
  const queued = log.append(three, { producer: stamp(0) });
  const check = (): void => {
    for (const [sequence, expected] of [
      [0, false],
      [1, false],
      [3, true],
      [4, false],
    ] as const)
      assert.equal(takes(stamp(sequence)), expected, `sequence ${sequence}`);
    assert.equal(takes(stamp(3, { id: 2n })), false);
    assert.equal(takes(stamp(3, { subject: "other" })), false);
    assert.equal(takes(stamp(0, { epoch: 1 })), true);
  };
  check();
  await queued;
  check();
  await log.append(three, { producer: stamp(0, { epoch: 1 }) });
  assert.equal(takes(stamp(3)), false);
});

test("a run of a named log is asked about with the sequences and the limits of that log", async () => {
  const { replica } = await simMachine(1).open();
  const { log } = replica;
  await log.append(three, { producer: stamp(0) });
  const name = "a";
  const ref = { name };
  assert.equal(log.takesWhole(three, { producer: stamp(0), log: ref }), false);
  await log.named.change({ kind: "create", name, settings: { recordBytesMax: 100 } });
  assert.equal(log.takesWhole(three, { producer: stamp(0), log: ref }), true);
  assert.equal(log.takesWhole(three, { producer: stamp(3), log: ref }), false);
  assert.equal(log.takesWhole(run("a", "x".repeat(200)), { producer: stamp(0), log: ref }), false);
  // While a command about the log is under way, the append is decided later.
  const change = log.named.change({ kind: "update", log: ref, settings: { contentType: "a/b" } });
  assert.equal(log.takesWhole(three, { producer: stamp(0), log: ref }), false);
  await change;
  assert.equal(log.takesWhole(three, { producer: stamp(0), log: ref }), true);
  await log.named.change({ kind: "close", log: ref });
  assert.equal(log.takesWhole(three, { producer: stamp(0), log: ref }), false);
});

test("a run is not asked about where it would wait: in a full queue, and on a node that does not lead", async () => {
  const { replica } = await simMachine(1).open({}, { queue: { bytesMax: 4000, appendsMax: 4 } });
  const { log } = replica;
  const appends = Promise.allSettled(Array.from({ length: 4 }, (_, n) => log.append(run(`${n}`))));
  assert.equal(log.takesWhole(three, { producer: stamp(0) }), false);
  await appends;
  assert.equal(log.takesWhole(three, { producer: stamp(0) }), true);

  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  const order = { ended: false };
  assert.equal(leader.replica!.log.takesWhole(three, { producer: stamp(0), order }), true);
  assert.equal(follower!.replica!.log.takesWhole(three, { producer: stamp(0), order }), false);
});
