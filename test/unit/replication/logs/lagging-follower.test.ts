/**
 * A follower that lags does not deny what the leader knows: an id, a session or a place in a life that it has not applied yet,
 * and a log that was created meanwhile.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Call, CallTracker } from "../../../../src/api/calls/call-tracker.ts";
import { LogDirectory } from "../../../../src/api/methods/logs/log-directory.ts";
import { Fault } from "../../../../src/fault.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { AppendQueue, batchKind, encodeLogCommand } from "../../../../src/log/mod.ts";
import { proposal } from "../../../../src/raft/mod.ts";
import { ProposedGroup } from "../../../../src/replication/append/groups/proposed-group.ts";
import type { Replica } from "../../../../src/replication/mod.ts";
import { run } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";
import { until } from "../../../support/until.ts";

const call = {} as Call;
const waitMs = 30;

/** The logs of a node, as requests of clients find them. */
function directoryFor({ log }: Replica): LogDirectory {
  const calls = {
    useLog: () => {},
    useLogs: () => {},
    mayUse: () => true,
    patternsOf: () => undefined,
    beginTail: () => {},
  } as unknown as CallTracker;
  return new LogDirectory({ log, named: log.named, calls });
}

/** Begins another life of the cluster, as the first start after a restore does. */
async function beginLife({ node, storedLog }: Replica, life: number): Promise<void> {
  const queue = new AppendQueue({ bytesMax: 1_000_000, appendsMax: 10 });
  const command = encodeLogCommand({ level: storedLog.state.logs.level, life });
  queue.addCommand(batchKind.level, command, { log: undefined, subject: undefined });
  const group = new ProposedGroup(queue.take()!, node.term, () => undefined);
  const frames = group.frames.map((frame) => proposal(frame));
  assert.equal(node.propose(frames, group), undefined);
  await until("the life has begun", () => storedLog.state.logs.life === life);
}

/** What a node answers to a request. */
const outcome = (work: () => Promise<unknown>): Promise<string> =>
  Promise.resolve()
    .then(work)
    .then(
      () => "ok",
      (reason: unknown) => {
        const { kind, facts } = Fault.from(reason);
        return facts.reason === undefined ? kind : `${kind} ${facts.reason}`;
      },
    );

/** Each way to name the log "a" of a life, or a place in this life, at a node. */
function doors(replica: Replica, life: number, number: number): Record<string, () => Promise<unknown>> {
  const { log } = replica;
  const logs = directoryFor(replica);
  const index = 1;
  const named = { log: "a", logId: `${life}-${number}` };
  const ofDefault = { log: "", logId: `${life}-0` };
  const limited = () => ({ deadlineMs: systemClock.monotonicMs() + waitMs });
  const follow = (resume: boolean) =>
    logs.followFor(call, { names: [named], start: resume ? { life, index, sent: 0 } : "end" }, limited());
  return {
    read: async () => (await logs.openFor(call, named, limited())).log.bounds(limited()),
    "read with a token": async () =>
      logs.openFor(call, { log: "a" }, { ...limited(), mode: "session", seen: { life, index } }),
    describe: () => logs.infoFor(call, named, limited()),
    tail: async () => (await follow(false))[Symbol.dispose](),
    "resumed tail": async () => (await follow(true))[Symbol.dispose](),
    "resumed tail of a prefix": async () => {
      const start = { life, index, sent: 0 };
      (await logs.followFor(call, { prefix: "a", start }, limited()))[Symbol.dispose]();
    },
    append: () => log.append(run("x"), { log: logs.refFor(call, named)!, ...limited() }),
    trim: () => log.trim(0, { log: logs.refFor(call, named)!, ...limited() }),
    update: () =>
      log.named.change({ kind: "update", log: logs.refFor(call, named)!, settings: {} }, limited()),
    "read of default": async () => (await logs.openFor(call, ofDefault, limited())).log.bounds(),
    "description of default": () => logs.infoFor(call, ofDefault, limited()),
    "append to default": async () => {
      const ref = logs.refFor(call, ofDefault);
      return log.append(run("x"), ref === undefined ? limited() : { log: ref, ...limited() });
    },
    "trim of default": async () => {
      const ref = logs.refFor(call, ofDefault);
      return log.trim(0, ref === undefined ? limited() : { log: ref, ...limited() });
    },
  };
}

/** The outcome once the cluster has a leader that serves it. */
async function certain(door: string, ask: () => Promise<unknown>): Promise<string> {
  let found = "";
  await until(`${door} is served`, async () => {
    found = await outcome(ask);
    return !["unavailable", "deadline", "interrupted", "not-leader"].includes(found);
  });
  return found;
}

test("a follower that lags: it denies nothing of a life that has begun elsewhere, and refuses the life before once it knows", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [behind] = cluster.followers(leader);
  const { log: made } = await leader.replica!.log.named.change({ kind: "create", name: "a", settings: {} });
  const { id, life: before } = made!;
  const logs = (): number => behind!.replica!.log.named.count;
  await until("the follower has the log", () => logs() === 1);
  cluster.isolate(behind!.name);
  const life = before + 1;
  await beginLife(leader.replica!, life);
  for (const [door, ask] of Object.entries(doors(behind!.replica!, life, id))) {
    const found = await outcome(ask);
    assert.ok(["unavailable", "deadline"].includes(found), `${door}: ${found}`);
  }
  cluster.heal();
  for (const [door, ask] of Object.entries(doors(behind!.replica!, life, id))) {
    assert.equal(await certain(door, ask), "ok", door);
  }
  for (const { replica } of cluster.nodes) {
    await until("the node knows the life", () => replica!.log.named.life === life);
    for (const [door, ask] of Object.entries(doors(replica!, before, id)))
      assert.equal(await certain(door, ask), "failed-precondition ANOTHER_LIFE", door);
  }
});
