/** A replica rejects invalid entries of a peer: they do not reach its log, and it keeps running. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Fault } from "../../../src/fault.ts";
import { batchKind, encodeFrame, endAfter } from "../../../src/log/mod.ts";
import { message } from "../../../src/raft/mod.ts";
import { entryOf } from "../../../src/replication/storage/entries.ts";
import { run } from "../../support/log/logs.ts";
import { MemoryCluster } from "../../support/raft/replicas.ts";
import { until } from "../../support/until.ts";

test("entries that match by index and term but not by content are ignored, and the replica keeps running", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  for (let at = 0; at < 5; at++) await leader.replica!.log.append(run(`record ${at}`));
  const [victim] = cluster.followers(leader);
  const { storedLog, node } = victim!.replica!;
  await until("it has all entries", () => storedLog.commitIndex === leader.replica!.storedLog.commitIndex);
  cluster.isolate(victim!.name);
  const { end } = storedLog;
  const { term } = node;
  const [own] = storedLog.entries(end.index, 1, end.index);
  const wrong = [
    ["another chain", { ...end, crc: end.crc ^ 1 }],
    ["another offset", { ...end, nextOffset: end.nextOffset + 3 }],
    ["an earlier time", { ...end, timestampMs: 0 }],
  ] as const;
  for (const [what, behind] of wrong) {
    const header = {
      index: end.index + 1,
      term,
      baseOffset: behind.nextOffset,
      timestampMs: behind.timestampMs,
      recordCount: 0,
      kind: batchKind.noOp,
    };
    const bytes = encodeFrame(header, new Uint8Array(0), behind.crc);
    const append = message("append", node.peer, {
      from: leader.replica!.identity.peer,
      term,
      index: end.index,
      logTerm: end.term,
      entries: [entryOf(bytes)],
    });
    node.receive(append);
    for (let turns = 0; turns < 50; turns++) await turn();
    assert.equal(storedLog.end.index, end.index, what);
    assert.equal(storedLog.failure, undefined, what);
  }
  assert.deepEqual(endAfter(end, own!, 0), end);
  cluster.heal();
  await leader.replica!.log.append(run("after")).catch(() => undefined);
  const now = await cluster.leader();
  await now.replica!.log.append(run("last"));
  await until("it has the new records", () => storedLog.commitIndex === now.replica!.storedLog.commitIndex);
});

test("a node that is not a member any more ends its tails as unavailable, and new ones at the end of its log", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  await leader.replica!.log.append(run("a"));
  const replica = cluster.followers(leader)[0]!.replica!;
  await until("it has the record", () => replica.storedLog.bounds.next === 1);
  using waiting = replica.log.follow(1);
  const ready = waiting.ready();
  const message = "this node was removed from its cluster";
  replica.membershipFault = new Fault("failed-precondition", { message, facts: { members: "n2:1" } });
  const isCutOff = (reason: unknown): boolean =>
    reason instanceof Fault &&
    [reason.kind, reason.message, reason.written, reason.facts.members].join() ===
      ["unavailable", message, "no", "n2:1"].join();
  assert.equal(await ready, true);
  assert.throws(() => waiting.take(), isCutOff);
  using behind = replica.log.follow(0);
  assert.equal(behind.take()?.nextOffset, 1, "what the node has is still shown");
  assert.throws(() => behind.take(), isCutOff);
  replica.membershipFault = undefined;
  assert.equal(behind.take(), undefined);
});

test("an append after an entry that cannot be read is checked by the write, and is not reported as the peer's fault", async (t) => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  await leader.replica!.log.append(run("record"));
  const [victim] = cluster.followers(leader);
  const { storedLog, node } = victim!.replica!;
  await until("it has all entries", () => storedLog.commitIndex === leader.replica!.storedLog.commitIndex);
  cluster.isolate(victim!.name);
  const { end } = storedLog;
  const header = {
    index: end.index + 1,
    term: node.term,
    baseOffset: end.nextOffset,
    timestampMs: end.timestampMs,
    recordCount: 0,
    kind: batchKind.noOp,
  };
  const read = t.mock.method(storedLog, "endAt", () => {
    throw new Fault("corrupt");
  });
  node.receive(
    message("append", node.peer, {
      from: leader.replica!.identity.peer,
      term: node.term,
      index: end.index,
      logTerm: end.term,
      entries: [entryOf(encodeFrame(header, new Uint8Array(0), end.crc))],
    }),
  );
  assert.equal(read.mock.callCount(), 1);
  read.mock.restore();
  await until("it is written", () => storedLog.end.index === end.index + 1);
});

test("a damaged entry is rejected by the node and does not reach the log", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  await leader.replica!.log.append(run("record"));
  const [victim] = cluster.followers(leader);
  const { storedLog, node } = victim!.replica!;
  await until("it has all entries", () => storedLog.commitIndex === leader.replica!.storedLog.commitIndex);
  cluster.isolate(victim!.name);
  const { end } = storedLog;
  const header = {
    index: end.index + 1,
    term: node.term,
    baseOffset: end.nextOffset,
    timestampMs: end.timestampMs,
    recordCount: 1,
    kind: batchKind.data,
  };
  const append = (bytes: Uint8Array): Fault | undefined =>
    node.receive(
      message("append", node.peer, {
        from: leader.replica!.identity.peer,
        term: node.term,
        index: end.index,
        logTerm: end.term,
        entries: [{ index: end.index + 1, term: node.term, bytes, change: undefined }],
      }),
    );
  const valid = encodeFrame(header, Uint8Array.of(0x0a, 0), end.crc);
  for (let bit = 0; bit < 8 * valid.length; bit++) {
    const bytes = Uint8Array.from(valid);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(append(bytes)?.kind, "bad-request", `bit ${bit}`);
  }
  for (const records of [
    Uint8Array.of(0x0a, 0x7f, 0x0a, 0),
    Uint8Array.of(0x0a, 0, 0x0a, 0),
    new Uint8Array(0),
  ]) {
    assert.equal(append(encodeFrame(header, records, end.crc))?.kind, "bad-request");
  }
  assert.equal(storedLog.end.index, end.index);
  assert.equal(append(valid), undefined);
  await until("it is written", () => storedLog.end.index === end.index + 1);
});
