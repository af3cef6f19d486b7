import assert from "node:assert/strict";
import { test } from "node:test";
import { DiskWatch } from "../../../../src/agent/cluster/disk-watch.ts";
import { Fault } from "../../../../src/fault.ts";
import { noLogger } from "../../../../src/lib/telemetry.ts";
import { emptyConfState, type Member } from "../../../../src/raft/mod.ts";
import { StillClock } from "../../../support/logs.ts";

const member = (peer: number): Member => ({
  peer,
  name: `n${peer}`,
  directory: `d${peer}`,
  address: `n${peer}:1`,
});
const members = [1, 2, 3].map(member);
const configuration = { ...emptyConfState, voters: [1, 2, 3], roster: { members, nextPeer: 4 } };
const full = new Fault("disk-full", { message: "the disk is full, 1 MiB of 100 MiB are free" });

/** A leader among three, whose disk and whose peers' answers are told; and what it did. */
function scene(answers: Record<string, unknown>, failsToHandOver = false) {
  const clock = new StillClock();
  const told: { reason: string | undefined; asked: string[]; suited: string[][]; isLeader: boolean } = {
    reason: undefined,
    asked: [],
    suited: [],
    isLeader: true,
  };
  let obstacle: Fault | undefined;
  let listener = (): void => {};
  const node = {
    get isLeader() {
      return told.isLeader;
    },
    configuration,
  };
  const watch = new DiskWatch({
    replica: {
      get obstacle() {
        return obstacle;
      },
      onObstacle: (one) => {
        listener = one;
        return () => {};
      },
      node,
      identity: { name: "n1", directory: "d1", peer: 1 },
    },
    readiness: { set: (_, reason) => (told.reason = reason) },
    ask: async (address) => {
      told.asked.push(address);
      const answer = answers[address];
      if (answer instanceof Fault) throw answer;
      return answer;
    },
    handOver: async (_, suits) => {
      told.suited.push(members.filter(suits).map(({ name }) => name));
      if (failsToHandOver) throw new Fault("overloaded");
    },
    clock,
    logger: noLogger,
  });
  const settle = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) await Promise.resolve();
  };
  return {
    told,
    watch,
    async become(fault: Fault | undefined) {
      obstacle = fault;
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

test("a leader whose disk takes no records says why, and hands over only to voters whose disk does", async () => {
  const { told, watch, become, pass, timers } = scene({
    "n2:1": { takesRecords: false },
    "n3:1": { takesRecords: true },
  });
  assert.deepEqual([told.reason, timers()], [undefined, 0]);
  await become(full);
  assert.equal(told.reason, full.message);
  assert.deepEqual(told.asked, ["n2:1", "n3:1"]);
  assert.deepEqual(told.suited, [["n3"]]);
  told.isLeader = false;
  await pass(5_000);
  assert.equal(told.suited.length, 1);
  await become(undefined);
  await pass(1_000);
  assert.deepEqual([told.reason, timers()], [undefined, 0]);
  watch[Symbol.dispose]();
});

test("where no other disk takes records the leader stays, and asks again after a growing pause", async () => {
  const { told, watch, become, pass } = scene({
    "n2:1": { takesRecords: false },
    "n3:1": new Fault("unimplemented"),
  });
  await become(full);
  assert.deepEqual([told.suited, told.asked.length], [[], 2]);
  await pass(60_000);
  const first = told.asked.length;
  assert.ok(first > 4 && first < 20, String(first));
  await pass(600_000);
  assert.ok(told.asked.length - first <= 22, String(told.asked.length - first));
  watch[Symbol.dispose]();
});

test("a hand-over that fails is tried again, and ends nothing", async () => {
  const { told, watch, become, pass } = scene({ "n3:1": { takesRecords: true } }, true);
  await become(full);
  assert.deepEqual(told.suited, [["n3"]]);
  await pass(5_000);
  assert.ok(told.suited.length > 1, String(told.suited.length));
  watch[Symbol.dispose]();
});
