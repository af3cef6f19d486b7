import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogEnd } from "../../../../../src/agent/cluster/members/log-prefix.ts";
import { Reconciler, type ReconcilerOptions } from "../../../../../src/agent/cluster/members/reconciler.ts";
import { Fault } from "../../../../../src/fault.ts";
import { noLogger } from "../../../../../src/lib/telemetry.ts";
import type { PeerHello } from "../../../../../src/peer/mod.ts";
import { emptyConfState } from "../../../../../src/raft/mod.ts";
import { VirtualTime } from "../../../../support/time/virtual-clock.ts";

const directory = "0a".repeat(16);
const self: PeerHello = {
  name: "n1",
  directory,
  clusterId: "ours",
  configured: true,
  version: "1",
  address: "n1:1",
  wallMs: 0,
};

/** A leader alone, with n2 in gossip, and `beside` if given. `answers` is n2's answer to a probe at a time. */
function scene(
  answers: (now: number) => PeerHello,
  { end = { index: 0, crc: 0 }, beside }: { readonly end?: LogEnd; readonly beside?: PeerHello } = {},
) {
  const time = new VirtualTime();
  const probed: number[] = [];
  const changes: number[] = [];
  const asked: (readonly [string, string, unknown])[] = [];
  const member = { peer: 1, name: "n1", directory, address: "n1:1" };
  const configuration = { ...emptyConfState, voters: [1], roster: { members: [member], nextPeer: 2 } };
  const node = {
    isLeader: true,
    configuration,
    status: () => ({ configuration, progress: new Map(), id: 1, lastIndex: 10 }),
    proposeChange: async () => {
      changes.push(time.now);
      configuration.learners = [2];
    },
  };
  const replica = {
    node,
    ready: true,
    started: true,
    identity: member,
    state: { clusterId: "ours" },
    storedLog: { before: { index: 0, nextOffset: 0 }, end: { index: 10, crc: 1 } },
    onChange: () => () => undefined,
  };
  const reconciler = new Reconciler({
    replica: replica as unknown as ReconcilerOptions["replica"],
    self: () => self,
    candidates: () =>
      changes.length > 0
        ? []
        : [
            { name: "n2", address: "n2:1", directory: "0b".repeat(16), clusterId: undefined },
            beside ?? [],
          ].flat(),
    onGossip: () => () => undefined,
    probe: async (address) => {
      if (address === beside?.address) return beside;
      probed.push(time.now);
      return answers(time.now);
    },
    ask: async (...question) => {
      asked.push(question);
      return question[1] === "end" ? end : {};
    },
    clock: time.clock(),
    logger: noLogger,
  });
  const run = async (ms: number): Promise<void> => {
    for (const untilMs = time.now + ms; time.next !== undefined && time.next <= untilMs; ) {
      time.step();
      for (let turns = 0; turns < 50; turns++) await Promise.resolve();
    }
  };
  return { reconciler, run, time, probed, changes, asked };
}

const n2: PeerHello = { ...self, name: "n2", directory: "0b".repeat(16), configured: false, address: "n2:1" };

function lost(): never {
  throw new Fault("unavailable");
}

test("a node that the first probe did not reach is added after a later probe reaches it", async () => {
  const { reconciler, run, time, changes } = scene((now) => (now < 1_200 ? lost() : n2));
  time.after(0, () => reconciler.look());
  await run(5_000);
  assert.equal(changes.length, 1);
  assert.ok(changes[0]! < 4_000, `added after ${changes[0]} ms`);
  reconciler[Symbol.dispose]();
});

test("a node that was offline when it was removed is notified each time it is met again", async () => {
  const { reconciler, run, time, changes, asked } = scene(() => ({ ...n2, configured: true }));
  time.after(0, () => reconciler.look());
  await run(45_000);
  assert.deepEqual(changes, []);
  assert.deepEqual(asked, [
    ["n2:1", "removed", { late: true }],
    ["n2:1", "removed", { late: true }],
  ]);
});

test("a node whose log is not a prefix of the cluster's is not added, and other nodes do not wait for it", async () => {
  const diverged = { ...n2, clusterId: undefined };
  const n3 = { ...n2, name: "n3", directory: "0c".repeat(16), address: "n3:1" };
  const { reconciler, run, time, changes, asked } = scene(() => diverged, {
    end: { index: 11, crc: 2 },
    beside: n3,
  });
  time.after(0, () => reconciler.look());
  await run(5_000);
  assert.deepEqual(asked, [["n2:1", "end", {}]]);
  assert.equal(changes.length, 1);
  const { next } = reconciler.decide([diverged]);
  assert.ok(next !== undefined);
  await assert.rejects(reconciler.take(next), { kind: "failed-precondition", message: /not a prefix/ });
});

test("an unreachable node is probed after growing pauses", async () => {
  const { reconciler, run, time, probed, changes } = scene(lost);
  time.after(0, () => reconciler.look());
  await run(600_000);
  assert.deepEqual(changes, []);
  assert.ok(probed.length > 15 && probed.length < 35, `${probed.length} probes in ten minutes`);
  assert.ok(probed.at(-1)! - probed.at(-2)! >= 30_000);
  reconciler[Symbol.dispose]();
});
