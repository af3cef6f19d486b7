import assert from "node:assert/strict";
import { test } from "node:test";
import { DiskWatch } from "../../../../src/agent/cluster/disk-watch.ts";
import { Fault } from "../../../../src/fault.ts";
import { noLogger } from "../../../../src/lib/telemetry.ts";
import { emptyConfState, type Member } from "../../../../src/raft/mod.ts";
import { StillClock } from "../../../support/log/logs.ts";

const member = (peer: number): Member => ({
  peer,
  name: `n${peer}`,
  directory: `d${peer}`,
  address: `n${peer}:1`,
});
const members = [1, 2, 3].map(member);
const configuration = { ...emptyConfState, voters: [1, 2, 3], roster: { members, nextPeer: 4 } };
const full = new Fault("disk-full", { message: "the disk is full, 1 MiB of 100 MiB are free" });

/** A leader of three with a given disk and given answers of its peers, and what it did. */
function scene(answers: Record<string, unknown>, failsToHandOver = false) {
  const clock = new StillClock();
  const seen: { reason: string | undefined; asked: string[]; suited: string[][]; isLeader: boolean } = {
    reason: undefined,
    asked: [],
    suited: [],
    isLeader: true,
  };
  let diskRefusal: Fault | undefined;
  let listener = (): void => {};
  const node = {
    get isLeader() {
      return seen.isLeader;
    },
    configuration,
  };
  const watch = new DiskWatch({
    replica: {
      get diskRefusal() {
        return diskRefusal;
      },
      onDiskRefusal: (one) => {
        listener = one;
        return () => {};
      },
      node,
      identity: { name: "n1", directory: "d1", peer: 1 },
    },
    readiness: { set: (_, reason) => (seen.reason = reason) },
    ask: async (address) => {
      seen.asked.push(address);
      const answer = answers[address];
      if (answer instanceof Fault) throw answer;
      return answer;
    },
    handOver: async (_, suits) => {
      seen.suited.push(members.filter(suits).map(({ name }) => name));
      if (failsToHandOver) throw new Fault("overloaded");
    },
    clock,
    logger: noLogger,
  });
  const settle = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) await Promise.resolve();
  };
  return {
    seen,
    watch,
    async become(fault: Fault | undefined) {
      diskRefusal = fault;
      if (fault !== undefined) listener();
      await settle();
    },
    async pass(ms: number) {
      for (let left = ms; left > 0; left -= 500) {
        clock.advance(500);
        await settle();
      }
    },
    timers: () => clock.timers,
  };
}

test("a leader whose disk takes no records is not ready, and hands over only to voters whose disk does", async () => {
  const { seen, watch, become, pass, timers } = scene({
    "n2:1": { takesRecords: false },
    "n3:1": { takesRecords: true },
  });
  assert.deepEqual([seen.reason, timers()], [undefined, 0]);
  await become(full);
  assert.equal(seen.reason, full.message);
  assert.deepEqual(seen.asked, ["n2:1", "n3:1"]);
  assert.deepEqual(seen.suited, [["n3"]]);
  seen.isLeader = false;
  await pass(5_000);
  assert.equal(seen.suited.length, 1);
  await become(undefined);
  await pass(1_000);
  assert.deepEqual([seen.reason, timers()], [undefined, 0]);
  watch[Symbol.dispose]();
});

test("a leader stays if no other disk takes records, and asks again after a growing pause", async () => {
  const { seen, watch, become, pass } = scene({
    "n2:1": { takesRecords: false },
    "n3:1": new Fault("unimplemented"),
  });
  await become(full);
  assert.deepEqual([seen.suited, seen.asked.length], [[], 2]);
  await pass(60_000);
  const first = seen.asked.length;
  assert.ok(first > 4 && first < 20, String(first));
  await pass(600_000);
  assert.ok(seen.asked.length - first <= 22, String(seen.asked.length - first));
  watch[Symbol.dispose]();
});

test("a failed hand-over is tried again", async () => {
  const { seen, watch, become, pass } = scene({ "n3:1": { takesRecords: true } }, true);
  await become(full);
  assert.deepEqual(seen.suited, [["n3"]]);
  await pass(5_000);
  assert.ok(seen.suited.length > 1, String(seen.suited.length));
  watch[Symbol.dispose]();
});
