/** A node in memory whose log is backed up, and what a backup of it must hold. */
import assert from "node:assert/strict";
import type { LeaseTimes } from "../../../src/backup/bucket/writer-lease.ts";
import {
  type BackupContents,
  chooseBackup,
  listBackups,
  type ReadParts,
  type WrittenBackup,
  writeBackup,
} from "../../../src/backup/mod.ts";
import { type Clock, systemClock } from "../../../src/lib/time/clock.ts";
import type { ObjectStore } from "../../../src/objects/mod.ts";
import {
  type BackupPart,
  backupFiles,
  backupParts,
  type ChainPoint,
  restoreFrames,
  verifyBackup,
} from "../../../src/replication/mod.ts";
import { pack, unpackChecked } from "../../../src/replication/storage/msgpack.ts";
import { run } from "../log/logs.ts";
import { MemoryCluster } from "../raft/replicas.ts";
import type { MemoryStore } from "./memory-store.ts";

type Node = Awaited<ReturnType<MemoryCluster["leader"]>>;

export class BackupNode implements AsyncDisposable {
  readonly #cluster: MemoryCluster;
  readonly node: Node;
  #writers = 0;
  records = 0;

  private constructor(cluster: MemoryCluster, node: Node) {
    [this.#cluster, this.node] = [cluster, node];
  }

  static async open(): Promise<BackupNode> {
    const cluster = await MemoryCluster.open(1, { segmentStoreBytesMax: 1500 });
    return new BackupNode(cluster, await cluster.leader());
  }

  /** A cluster of its own, restored from a backup of this store. */
  static async restored(store: ObjectStore, name?: string): Promise<BackupNode> {
    const cluster = new MemoryCluster({ segmentStoreBytesMax: 1500 });
    const { replica } = cluster.add("restored");
    const { snapshot } = await chooseBackup(store, name);
    const files = new Map<string, Uint8Array>();
    for (const { file, bytes } of backupFiles(snapshot))
      files.set(file, (await store.read(`files/${file}`, 0, bytes))!);
    const read = (file: string, position: number, bytes: number) =>
      files.get(file)!.subarray(position, position + bytes);
    await restoreFrames(replica!.storedLog, snapshot, { read });
    replica!.bootstrap([replica!.member]);
    replica!.start();
    return new BackupNode(cluster, await cluster.leader());
  }

  get index(): number {
    return this.node.replica!.storedLog.commitIndex;
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#cluster[Symbol.asyncDispose]();
  }

  async append(count: number): Promise<void> {
    for (let n = 0; n < count; n++)
      await this.node.replica!.log.append(run(`value ${this.records++}`, "x".repeat(100)));
  }

  async *parts(have: readonly string[], after?: ChainPoint): AsyncGenerator<BackupPart, void> {
    const { storedLog, state } = this.node.replica!;
    for (const part of backupParts(storedLog, state, have, after)) if (part !== undefined) yield part;
  }

  /** Writes a backup, as another process each time. */
  write(
    store: ObjectStore,
    keep?: number,
    options: { clock?: Clock; times?: LeaseTimes; cache?: Map<string, BackupContents> } = {},
  ): Promise<WrittenBackup> {
    const id = `writer ${this.#writers++}`;
    const { clock = systemClock, times = { renewMs: 10_000, validMs: 30_000, staleMs: 1 }, cache } = options;
    const parts: ReadParts = (have, after) => this.parts(have, after);
    return writeBackup({ store, parts, keep, id, holder: id, clock, times, cache });
  }
}

/** Every backup of the list is whole. Resolves to their names. */
export async function checkBackups(store: MemoryStore): Promise<string[]> {
  const names = (await listBackups(store)).map(({ name }) => name);
  for (const name of names) {
    const { snapshot } = await chooseBackup(store, name);
    const { findings, next } = await verifyBackup(snapshot, {
      size: (file) => store.objects.get(`files/${file}`)?.length,
      read: (file, position, bytes) =>
        (store.objects.get(`files/${file}`) ?? new Uint8Array()).subarray(position, position + bytes),
    });
    assert.deepEqual([name, findings], [name, []]);
    assert.ok(next > 0);
  }
  return names;
}

/** Makes all backups ones of format 6: their frames are named by their indexes alone. */
export function toFormat6(store: MemoryStore): void {
  const oldName = (file: string): string => file.replace(/\.[\da-f]{8}\.frames$/, ".frames");
  for (const [key, data] of [...store.objects]) {
    store.objects.delete(key);
    if (!key.startsWith("backups/")) {
      store.objects.set(oldName(key), data);
      continue;
    }
    const { value } = unpackChecked(data);
    const manifest = value as { readonly files: readonly { readonly file: string }[] };
    const files = manifest.files.map((one) => ({ ...one, file: oldName(one.file), crc: undefined }));
    store.objects.set(key, pack({ ...manifest, format: 6, files }));
  }
}

/** There are no objects besides these backups and their files. */
export async function checkNoOrphans(store: MemoryStore, names: readonly string[]): Promise<void> {
  const expected = new Set(["lock", ...names.map((name) => `backups/${name}`)]);
  for (const name of names) {
    const { snapshot } = await chooseBackup(store, name);
    for (const { file } of backupFiles(snapshot)) expected.add(`files/${file}`);
  }
  assert.deepEqual([...store.objects.keys()].sort(), [...expected].sort());
  assert.deepEqual([...store.unfinished], []);
}
