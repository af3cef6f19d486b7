/** Cursors of logs on one node and on three: conditions, limits, crashes, snapshots, backups, expiry. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import type { CursorInfo } from "../../../../src/lib/names/cursor-info.ts";
import { compareLogs, cursorsLevel, verifyLog } from "../../../../src/log/mod.ts";
import {
  backupParts,
  type Replica,
  readSnapshot,
  restoreFrames,
  verifyBackup,
} from "../../../../src/replication/mod.ts";
import { unpackChecked } from "../../../../src/replication/storage/msgpack.ts";
import type { LogRef } from "../../../../src/types.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { run, simDirectory, simMachine } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";
import { until } from "../../../support/until.ts";

const isFault =
  (kind: string, reason?: string) =>
  (fault: unknown): boolean =>
    fault instanceof Fault &&
    fault.kind === kind &&
    (reason === undefined || fault.facts["reason"] === reason);

const ofDefault: LogRef = { name: "default" };

interface Commit {
  readonly log?: LogRef;
  readonly metadata?: string;
  readonly version?: number;
  readonly subject?: string;
}

async function commit(
  { log }: Pick<Replica, "log">,
  cursor: string,
  offset: number,
  { log: ref = ofDefault, subject, ...rest }: Commit = {},
): Promise<CursorInfo> {
  const options = subject === undefined ? {} : { subject };
  const changed = await log.named.change(
    { kind: "commit-cursor", log: ref, cursor, offset, ...rest },
    options,
  );
  assert.ok(changed.cursor !== undefined);
  return changed.cursor;
}

const remove = ({ log }: Replica, cursor: string, ref = ofDefault, version?: number) =>
  log.named.change({
    ...{ kind: "delete-cursor", log: ref, cursor },
    ...(version === undefined ? {} : { version }),
  });

const create = async ({ log }: Replica, name: string): Promise<LogRef & { readonly id: number }> =>
  (await log.named.change({ kind: "create", name, settings: {} })).log!;

const fill = async ({ log }: Replica, records: number, ref?: LogRef): Promise<void> => {
  for (let n = 0; n < records; n++)
    await log.append(run(`record ${n}`), ref === undefined ? {} : { log: ref });
};

test("a commit creates a cursor, moves it, and is refused for a stale version with the present one", async () => {
  await using cluster = await MemoryCluster.open(1);
  const replica = (await cluster.leader()).replica!;
  await fill(replica, 5);
  const first = await commit(replica, "billing", 2, { metadata: "page 1", version: 0, subject: "ann" });
  assert.deepEqual(
    [first.name, first.log, first.offset, first.metadata, first.owner],
    ["billing", 0, 2, "page 1", "ann"],
  );
  assert.equal(replica.storedLog.state.logs.level, cursorsLevel);
  const second = await commit(replica, "billing", 4, { version: first.version });
  assert.deepEqual([second.offset, second.metadata], [4, ""]);
  assert.ok(second.version > first.version);
  const stale = await commit(replica, "billing", 5, { version: first.version }).catch((reason) => reason);
  assert.ok(isFault("failed-precondition", "CURSOR_VERSION_MISMATCH")(stale));
  const { expected, found, offset } = (stale as Fault<"failed-precondition">).facts;
  assert.deepEqual([expected, found, offset], [first.version, second.version, 4]);
  await assert.rejects(
    commit(replica, "billing", 0, { version: 0 }),
    isFault("failed-precondition", "CURSOR_VERSION_MISMATCH"),
  );
  assert.equal((await commit(replica, "billing", 1)).offset, 1, "a cursor can go back");
  await assert.rejects(commit(replica, "billing", 6), isFault("out-of-range"));
  await assert.rejects(
    remove(replica, "billing", ofDefault, second.version),
    isFault("failed-precondition", "CURSOR_VERSION_MISMATCH"),
  );
  await remove(replica, "billing");
  assert.equal(replica.log.named.cursor(0, "billing"), undefined);
  await assert.rejects(remove(replica, "billing"), isFault("not-found", "NO_SUCH_CURSOR"));
  await assert.rejects(
    commit(replica, "a", 0, { log: { name: "none" } }),
    isFault("not-found", "NO_SUCH_LOG"),
  );
  assert.deepEqual(replica.log.named.list("", "", 10).logs, []);
});

test("of commits with one version that come together, one is made", async () => {
  await using cluster = await MemoryCluster.open(3);
  const { replica } = await cluster.leader();
  await fill(replica!, 9);
  const { version } = await commit(replica!, "c", 0);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, n) => commit(replica!, "c", n + 1, { version })),
  );
  const made = outcomes.filter((one) => one.status === "fulfilled");
  assert.equal(made.length, 1);
  assert.equal(replica!.log.named.cursor(0, "c")?.offset, made[0]!.value.offset);
});

test("commits of many cursors are written together", async () => {
  await using cluster = await MemoryCluster.open(1);
  const { replica } = await cluster.leader();
  await commit(replica!, "first", 0);
  const flushes = replica!.storedLog.end.index;
  const names = Array.from({ length: 50 }, (_, n) => `c${n}`);
  let proposals = 0;
  const { propose } = replica!.node;
  replica!.node.propose = function (...args) {
    proposals++;
    return propose.apply(this, args);
  };
  await Promise.all(names.map((name) => commit(replica!, name, 0)));
  assert.equal(replica!.storedLog.end.index - flushes, 50);
  assert.ok(proposals <= 3, `${proposals} write groups`);
});

test("a log that is deleted takes its cursors with it, and a new one of the name has none", async () => {
  await using cluster = await MemoryCluster.open(3);
  const { replica } = await cluster.leader();
  const { logs } = replica!.storedLog.state;
  const old = await create(replica!, "orders");
  await fill(replica!, 3, old);
  for (let n = 0; n < 300; n++) await commit(replica!, `c${n}`, 1, { log: old });
  assert.equal(logs.cursorsOf(old.id), 300);
  await replica!.log.named.change({ kind: "delete", log: old });
  const again = await create(replica!, "orders");
  assert.deepEqual(replica!.log.named.cursors(again.id, "", 10).cursors, []);
  await assert.rejects(
    commit(replica!, "c1", 0, { log: old }),
    isFault("failed-precondition", "ANOTHER_LOG"),
  );
  assert.equal((await commit(replica!, "c1", 0, { log: again, version: 0 })).log, again.id);
  await until("the cursors of the old one are gone", () => logs.cursorsOf(old.id) === 0);
  assert.deepEqual([logs.cursors, logs.size], [1, 1]);
});

test("a fork has no cursor of its source", async () => {
  await using cluster = await MemoryCluster.open(1);
  const { replica } = await cluster.leader();
  const source = await create(replica!, "a");
  await fill(replica!, 3, source);
  await commit(replica!, "c", 2, { log: source });
  const change = { kind: "fork", name: "b", settings: {}, source, at: { next: 2 } } as const;
  const { log: fork } = await replica!.log.named.change(change);
  assert.deepEqual(replica!.log.named.cursors(fork!.id, "", 10).cursors, []);
  assert.equal(replica!.log.named.cursors(source.id, "", 10).cursors.length, 1);
});

test("a trim leaves a cursor where it is", async () => {
  await using cluster = await MemoryCluster.open(1);
  const { replica } = await cluster.leader();
  await fill(replica!, 9);
  await commit(replica!, "c", 2);
  await replica!.log.trim(5);
  assert.equal(replica!.log.named.cursor(0, "c")?.offset, 2);
  assert.equal((await commit(replica!, "c", 3)).offset, 3);
});

test("what a crashed leader acknowledged is there, and what an isolated one wrote is not", async () => {
  await using cluster = await MemoryCluster.open(3);
  const first = await cluster.leader();
  await fill(first.replica!, 9);
  const known = await commit(first.replica!, "c", 3);
  cluster.isolate(first.name);
  const lost = commit(first.replica!, "c", 4).catch((fault: Fault) => fault.written);
  const created = commit(first.replica!, "other", 4).catch((fault: Fault) => fault.written);
  await until(
    "they are staged",
    () => first.replica!.storedLog.end.index >= first.replica!.storedLog.commitIndex + 2,
  );
  const second = await cluster.leader();
  assert.deepEqual(second.replica!.log.named.cursor(0, "c"), known);
  const moved = await commit(second.replica!, "c", 5, { version: known.version });
  cluster.heal();
  assert.deepEqual([typeof (await lost), typeof (await created)], ["string", "string"], "not acknowledged");
  await until("it follows", () => first.replica!.log.named.cursor(0, "c")?.version === moved.version);
  assert.equal(first.replica!.log.named.cursor(0, "other"), undefined);
  const third = await commit(first.replica!, "c", 6, { version: moved.version });
  assert.deepEqual(first.replica!.log.named.cursor(0, "c"), third, "a follower shows what it forwarded");
});

test("a lagging node gets the cursors with a snapshot", async () => {
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 500 });
  const leader = await cluster.leader();
  const { replica } = leader;
  const [behind] = cluster.followers(leader);
  const log = await create(replica!, "a");
  await fill(replica!, 3, log);
  await commit(replica!, "kept", 1, { log });
  await commit(replica!, "gone", 1, { log });
  cluster.isolate(behind!.name);
  await commit(replica!, "kept", 2, { log });
  await remove(replica!, "gone", log);
  await commit(replica!, "new", 3, { log, metadata: "m" });
  await fill(replica!, 60);
  await replica!.log.trim(55);
  await replica!.log.trim(3, { log });
  await until("the others have it", () => {
    replica!.storedLog.compact();
    return replica!.storedLog.firstIndex > 20;
  });
  cluster.heal();
  const shown = (one: Replica) => one.log.named.cursors(log.id, "", 10).cursors;
  await until("it is level", () => behind!.replica!.storedLog.commitIndex === replica!.storedLog.commitIndex);
  assert.ok(behind!.replica!.storedLog.firstIndex > 20, "it started from a snapshot");
  assert.deepEqual(shown(behind!.replica!), shown(replica!));
  assert.deepEqual(
    shown(behind!.replica!).map(({ name, offset, metadata }) => [name, offset, metadata]),
    [
      ["kept", 2, ""],
      ["new", 3, "m"],
    ],
  );
  assert.deepEqual(
    [behind!, leader].map((node) => node.replica!.storedLog.state.logs.cursorsOf(log.id)),
    [2, 2],
  );
});

test("a backup carries cursors, and has the format that earlier versions refuse", async () => {
  await using cluster = await MemoryCluster.open(1, { segmentStoreBytesMax: 900 });
  const node = await cluster.leader();
  const { replica } = node;
  const log = await create(replica!, "a");
  await fill(replica!, 20, log);
  await commit(replica!, "before", 7, { log });
  await fill(replica!, 20);
  await replica!.log.trim(15);
  await replica!.log.trim(15, { log });
  replica!.storedLog.compact();
  await commit(replica!, "after", 9, { log });
  const files = new Map<string, Uint8Array>();
  for (const part of backupParts(replica!.storedLog, replica!.state, [])) {
    if (part === undefined) continue;
    files.set(part.file, Buffer.concat([files.get(part.file) ?? Buffer.alloc(0), part.data]));
  }
  const manifest = files.get("snapshot")!;
  assert.equal((unpackChecked(manifest).value as { readonly format: number }).format, 9);
  const read = (file: string, position: number, bytes: number) =>
    files.get(file)!.subarray(position, position + bytes);
  const snapshot = readSnapshot(manifest);
  const { findings, namedLogs } = await verifyBackup(snapshot, {
    size: (file: string) => files.get(file)?.length,
    read,
  });
  assert.deepEqual([findings, namedLogs], [[], 1]);
  const machine = simMachine("restored");
  const restored = machine.openStored();
  await restoreFrames(restored, snapshot, { read });
  const names = restored.state.logs.cursorsFrom(log.id, "", 10).cursors.map(({ cursor }) => cursor.offset);
  assert.deepEqual(names, [9, 7]);
  assert.equal(restored.state.logs.cursorsOf(log.id), 2);
  restored.close();
  const verified = verifyLog(directoryOf(machine));
  assert.deepEqual([verified.findings, verified.namedLogs], [[], 1]);
  const original = { directory: simDirectory, disk: node.disk, store: node.store };
  assert.equal(new Set(compareLogs([directoryOf(machine), original]).hashes).size, 1);
});

test("an idle cursor is deleted after 30 days, and one that is used is not", async () => {
  const machine = simMachine("idle cursors");
  await using log = await machine.open();
  const replica = log.replica;
  const dayMs = 24 * 3_600_000;
  await commit(replica, "idle", 0);
  await commit(replica, "used", 0);
  const days = async (count: number): Promise<void> => {
    for (let day = 0; day < count; day++) {
      machine.clock.advance(dayMs);
      await new Promise(setImmediate);
    }
  };
  await days(20);
  await commit(replica, "used", 0);
  await days(9);
  assert.ok(replica.log.named.cursor(0, "idle") !== undefined);
  await until("the idle one is deleted", () => {
    machine.clock.advance(3_600_000);
    return replica.log.named.cursor(0, "idle") === undefined;
  });
  assert.ok(replica.log.named.cursor(0, "used") !== undefined);
});

test("a log takes so many cursors, also of creates that are under way, and a cluster too", async () => {
  await using cluster = await MemoryCluster.open(1, {}, { quotas: { logCursorsMax: 2, cursorsMax: 3 } });
  const { replica } = await cluster.leader();
  const one = (log: LogRef, cursor: string) => commit(replica!, cursor, 0, { log });
  const outcomes = await Promise.allSettled(["a", "b", "c"].map((name) => one(ofDefault, name)));
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "fulfilled", "rejected"],
  );
  await assert.rejects(one(ofDefault, "c"), isFault("quota-exceeded", "TOO_MANY_CURSORS_OF_LOG"));
  await one(ofDefault, "a");
  await create(replica!, "x");
  await one({ name: "x" }, "d");
  await assert.rejects(one({ name: "x" }, "e"), isFault("quota-exceeded", "TOO_MANY_CURSORS"));
  await remove(replica!, "a");
  await one({ name: "x" }, "e");
});

test("a commit is answered with its own version, also if a later one is applied with it", async () => {
  await using cluster = await MemoryCluster.open(1);
  const replica = (await cluster.leader()).replica!;
  const { version } = await commit(replica, "c", 0, { metadata: "before" });
  const { logs } = replica.storedLog.state;
  const { cursor } = logs;
  // A leader that was deposed meanwhile applies the commit, and a later one of its successor, at once.
  logs.cursor = (log, name) => {
    const row = cursor.call(logs, log, name);
    return row === undefined ? row : { ...row, version: row.version + 1_000 };
  };
  const made = await commit(replica, "c", 0, { metadata: "own", version });
  assert.deepEqual([made.metadata, made.version], ["own", cursor.call(logs, 0, "c")?.version]);
});

test("a leader that has not applied what a follower shows confirms the end before it refuses an offset", async () => {
  await using cluster = await MemoryCluster.open(1);
  const replica = (await cluster.leader()).replica!;
  await fill(replica, 3);
  const { node, storedLog } = replica;
  const applied = storedLog.bounds;
  let isConfirmed = false;
  Object.defineProperty(storedLog, "bounds", {
    configurable: true,
    get: () => (isConfirmed ? applied : { lowest: 0, next: 1 }),
  });
  const { readIndex } = node;
  node.readIndex = async () => {
    const index = await readIndex.call(node);
    isConfirmed = true;
    return index;
  };
  await assert.rejects(commit(replica, "c", 4), isFault("out-of-range"));
  isConfirmed = false;
  assert.equal((await commit(replica, "c", 3)).offset, 3);
  isConfirmed = false;
  await replica.log.trim(2);
});
