/**
 * The life of a cluster is drawn again when its log may lack creates, so that an id of before never means the log that got
 * its number afterwards.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Call, CallTracker } from "../../../../src/api/calls/call-tracker.ts";
import { LogDirectory } from "../../../../src/api/methods/logs/log-directory.ts";
import { Fault } from "../../../../src/fault.ts";
import { heapMapper } from "../../../../src/lib/disk/mapped-file.ts";
import { type LogDirectory as Place, repairLog, SegmentedLog } from "../../../../src/log/mod.ts";
import { beginLife, drawLife } from "../../../../src/replication/logs/cluster-life.ts";
import {
  backupParts,
  forceConfiguration,
  newLifeChanges,
  type Replica,
  readSnapshot,
  restoreFrames,
  StableState,
} from "../../../../src/replication/mod.ts";
import { run, simDirectory } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";

const call = {} as Call;

/** The logs of a node, as requests of clients find them. */
function directoryFor({ log }: Replica): LogDirectory {
  const calls = {
    useLog: () => {},
    mayUse: () => true,
    patternsOf: () => [],
    beginTail: () => {},
  } as unknown as CallTracker;
  return new LogDirectory({ log, named: log.named, calls });
}

/** Creates a log on the leader. Returns its id as clients see it. */
async function create(replica: Replica, name: string): Promise<string> {
  const { log } = await replica.log.named.change({ kind: "create", name, settings: {} });
  return directoryFor(replica).idText(log!.id)!;
}

const isOtherLife = (reason: unknown): boolean =>
  reason instanceof Fault && reason.kind === "failed-precondition" && reason.facts.reason === "ANOTHER_LIFE";

/** The next log gets the number of `old`. Requests that state `old` are refused. */
async function refuses(replica: Replica, old: string): Promise<void> {
  const now = await create(replica, "late");
  assert.equal(now.split("-")[1], old.split("-")[1], "the number is given again");
  assert.notEqual(now, old);
  const logs = directoryFor(replica);
  const stated = logs.refFor(call, { log: "late", logId: old })!;
  await assert.rejects(replica.log.append(run("old"), { log: stated }), isOtherLife);
  await assert.rejects(replica.log.trim(0, { log: stated }), isOtherLife);
  await assert.rejects(async () => logs.openFor(call, { log: "late", logId: old }, {}), isOtherLife);
  const ref = logs.refFor(call, { log: "late", logId: now })!;
  assert.equal((await replica.log.append(run("new"), { log: ref })).firstOffset, 0);
}

/** The node "n0" alone with the log "early", a backup of it, and the id of the log "late", which was created after that. */
async function withLateLog() {
  const cluster = await MemoryCluster.open(1);
  const { replica } = await cluster.leader();
  await create(replica!, "early");
  const files = new Map<string, Uint8Array>();
  for (const part of backupParts(replica!.storedLog, replica!.state, []))
    if (part !== undefined) files.set(part.file, part.data);
  const late = await create(replica!, "late");
  const node = cluster.nodes[0]!;
  const place: Place = { directory: simDirectory, disk: node.disk, store: node.store };
  return { cluster, node, files, late, place };
}

test("another life after a restore: an id of before is refused, also for the log that got its number", async () => {
  const { cluster, files, late } = await withLateLog();
  await using _ = cluster;
  await using other = new MemoryCluster();
  const { replica } = other.add("restored");
  const { storedLog, member } = replica!;
  await restoreFrames(storedLog, readSnapshot(files.get("snapshot")!), {
    read: (file, position, bytes) => files.get(file)!.subarray(position, position + bytes),
  });
  const life = storedLog.state.logs.life;
  // The cluster that it may join can have another history.
  const unread = { kind: "unavailable", message: /this node is not part of a cluster yet/ };
  await assert.rejects(replica!.log.read(0), unread);
  await assert.rejects(replica!.log.bounds({ mode: "any" }), unread);
  await assert.rejects(replica!.log.seek({ offset: 0 }), unread);
  assert.throws(() => replica!.log.follow(0).take(), unread);
  await assert.rejects(replica!.log.named.open({ name: "early" }).read(0), unread);
  replica!.bootstrap([member]);
  replica!.start();
  await other.leader();
  assert.notEqual(replica!.log.named.life, life);
  await refuses(replica!, late);
});

test("another life after recover --force-config: an id of before is refused", async () => {
  const { cluster, node, late, place } = await withLateLog();
  await using _ = cluster;
  await node.replica!.close();
  cutLastCreate(place);
  const log = openStored(place);
  forceConfiguration(log, new StableState(place.store), node.replica!.member, "forced", 0, () => 0.5);
  log.close();
  cluster.reopen(node).start();
  await refuses((await cluster.leader()).replica!, late);
});

test("another life after the repair of a cluster of one node: an id of before is refused", async () => {
  const { cluster, node, late, place } = await withLateLog();
  await using _ = cluster;
  await node.replica!.close();
  cutLastCreate(place, newLifeChanges(place.store));
  cluster.reopen(node).start();
  await refuses((await cluster.leader()).replica!, late);
  await node.replica!.close();
  const { life } = node.replica!.log.named;
  cluster.reopen(node).start();
  assert.equal((await cluster.leader()).replica!.log.named.life, life, "another start changes nothing");
});

test("a life differs from the one before, and a log of default alone has no life", async () => {
  assert.equal(
    drawLife(() => 0),
    1,
  );
  assert.notEqual(
    drawLife(() => 0, 1),
    1,
  );
  await using cluster = await MemoryCluster.open(1);
  const { replica, ...node } = await cluster.leader();
  await replica!.log.append(run("x"));
  await replica!.close();
  const log = openStored({ directory: simDirectory, ...node });
  beginLife(log, () => 0);
  assert.equal(log.state.logs.stagedLevel, 0);
  log.close();
});

const openStored = (place: Place): SegmentedLog =>
  SegmentedLog.open({ ...place, mapper: heapMapper(place.disk), newDirectoryId: new Uint8Array(16) });

/** Damages the frame of the last create, and repairs the directory without it. */
function cutLastCreate(place: Place, unchanged: Record<string, unknown> = {}): void {
  const [name = ""] = place.disk.list(`${place.directory}/log`).filter((file) => file.endsWith(".store"));
  const store = place.disk.open(`${place.directory}/log/${name}`, "write");
  const bytes = new Uint8Array(store.size());
  store.read(bytes, 0);
  store.write(new Uint8Array([0]), Buffer.from(bytes).lastIndexOf('"late"'));
  store.sync();
  store.close();
  const { actions } = repairLog(place, true, { unchanged });
  assert.ok(actions.some(({ action }) => action === "cut"));
}
