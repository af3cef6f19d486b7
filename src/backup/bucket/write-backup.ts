/**
 * Writes one backup into a store of objects, and removes what no kept backup needs. A sealed file of the log never changes, so
 * only new files are uploaded.
 *
 *   lock ─► remove begun uploads ─► which files are there? ─► the node compares its history with the newest backup
 *        ─► upload the other files ─► check all ─► write the snapshot ─► prune
 *
 * A crash before the snapshot leaves files without a backup. The next call uses them, or deletes them.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { inSlices } from "../../lib/time/in-slices.ts";
import type { ObjectStore } from "../../objects/mod.ts";
import {
  type BackupFile,
  type BackupOutline,
  type BackupPart,
  backupFiles,
  type ChainPoint,
  chainPointOf,
  checkSuccessor,
  snapshotFile,
  unpackOutline,
} from "../../replication/mod.ts";
import {
  backupNameOf,
  keyOfBackup,
  keyOfFile,
  lastIndexOf,
  namesItsBytes,
  newestFirst,
} from "./backup-keys.ts";
import { listBackups, listFiles, newestOutline, readOutline } from "./backup-store.ts";
import { type BackupContents, prune } from "./prune.ts";
import { UploadedFiles } from "./uploaded-files.ts";
import { type LeaseOptions, WriterLease } from "./writer-lease.ts";

/**
 * Yields the parts of a backup without the files named in `have`, the snapshot first. Throws if the log has another history than
 * the backup that ends at `after`.
 */
export type ReadParts = (have: readonly string[], after: ChainPoint | undefined) => AsyncIterable<BackupPart>;

export interface WriteBackupOptions extends LeaseOptions {
  readonly store: ObjectStore;
  readonly parts: ReadParts;
  /** How many backups are kept, this one included. Undefined keeps all. */
  readonly keep: number | undefined;
  readonly clock: Clock;
  /** What earlier calls for this store have read. Default: none. */
  readonly cache?: Map<string, BackupContents> | undefined;
  /** Called when old backups could not be removed. The new backup is complete. */
  readonly onPruneFailed?: ((reason: Fault) => void) | undefined;
}

/** Backups of one index in one second that are told apart. */
const namesMax = 100;

export interface WrittenBackup {
  readonly name: string;
  readonly index: number;
  /** Files of the backup. */
  readonly files: number;
  /** Of all files of the backup. */
  readonly bytes: number;
  readonly uploadedBytes: number;
  /** Objects that no kept backup needs and that were removed: old backups, and files, also those of a pass that failed. */
  readonly removed: number;
  /** Uploads of large files that an earlier writer began and did not finish. Their parts were removed. */
  readonly abortedUploads: number;
  /** False if the newest backup has everything already. */
  readonly isNew: boolean;
}

/** @throws Fault; nothing that a backup needs was deleted, and another call completes the work */
export async function writeBackup(options: WriteBackupOptions): Promise<WrittenBackup> {
  const { store, parts, clock } = options;
  await using lease = await WriterLease.acquire(options);
  const abortedUploads = await store.removeUnfinished();
  const newest = await newestOutline(store, lease.recent, clock);
  const there = await filesThere(store, newest);
  const {
    snapshot,
    bytes: snapshotBytes,
    uploadedBytes,
  } = await receive({ store, parts, clock, newest, lease, after: await endOf(store, newest) }, there);
  await checkFiles(store, snapshot);
  lease.confirm();
  const isNew = newest === undefined || !isSame(newest.snapshot, snapshot);
  const name = isNew ? await putSnapshot(options, lease, snapshot, snapshotBytes) : newest.name;
  lease.wrote(name);
  const known = new Map([[name, snapshot]]);
  if (newest !== undefined) known.set(newest.name, newest.snapshot);
  const removed = await pruned(options, lease, known);
  const files = backupFiles(snapshot);
  const bytes = files.reduce((sum, file) => sum + file.bytes, snapshotBytes.length);
  const { index } = snapshot;
  return { name, index, files: files.length, bytes, uploadedBytes, removed, abortedUploads, isNew };
}

/** Resolves to the name of the backup: of this second, or of a later one if a name is taken. */
async function putSnapshot(
  { store, clock }: WriteBackupOptions,
  lease: WriterLease,
  snapshot: BackupOutline,
  bytes: Uint8Array,
): Promise<string> {
  for (let later = 0; later < namesMax; later++) {
    const name = backupNameOf(snapshot.index, clock.wallMs() + later * 1_000);
    const isWritten = await store.put(keyOfBackup(name), bytes, { ifAbsent: true }, lease.confirm);
    if (isWritten !== undefined) return name;
    // The answer to an earlier attempt was lost, or another backup of this index was written in this second.
    const there = await readOutline(store, name, clock);
    if (there !== undefined && isSame(there, snapshot)) return name;
  }
  throw new Fault("unavailable", {
    message: `${store.url}: the names of backups of index ${snapshot.index} are taken; the backup was not completed, try again`,
  });
}

/** The newest backup that is there, with its name. */
type Newest = Awaited<ReturnType<typeof newestOutline>>;

function endOf(store: ObjectStore, newest: Newest): Promise<ChainPoint | undefined> {
  const read = (file: string, position: number, bytes: number) =>
    store.read(keyOfFile(file), position, bytes);
  return newest === undefined ? Promise.resolve(undefined) : chainPointOf(newest.snapshot, read);
}

/** The files that need not be sent, with their sizes. The list may lack new ones, and have ones that were deleted. */
async function filesThere(store: ObjectStore, newest: Newest): Promise<Map<string, number>> {
  const listed = await listFiles(store);
  const sizes = new Map(
    newest === undefined ? [] : backupFiles(newest.snapshot).map(({ file, bytes }) => [file, bytes]),
  );
  const there = new Map<string, number>();
  for (const [file, bytes] of sizes) {
    if (!namesItsBytes(file)) continue;
    if (listed.get(file) === bytes || (await store.size(keyOfFile(file))) === bytes) there.set(file, bytes);
  }
  // Files of a backup that was not completed.
  const index = newest?.snapshot.index ?? 0;
  for (const [file, bytes] of listed) {
    if (sizes.has(file) || !namesItsBytes(file) || (lastIndexOf(file) ?? index + 1) <= index) continue;
    if ((await store.size(keyOfFile(file))) === bytes) there.set(file, bytes);
  }
  return there;
}

interface Receiving {
  readonly store: ObjectStore;
  readonly parts: ReadParts;
  readonly clock: Clock;
  readonly newest: Newest;
  /** The end of the newest backup in the chain; undefined if it is not known. */
  readonly after: ChainPoint | undefined;
  readonly lease: WriterLease;
}

interface Received {
  readonly snapshot: BackupOutline;
  readonly bytes: Uint8Array;
  readonly uploadedBytes: number;
}

async function receive(receiving: Receiving, there: ReadonlyMap<string, number>): Promise<Received> {
  const { store, parts, clock, newest, after, lease } = receiving;
  const pieces: Uint8Array[] = [];
  let snapshot: BackupOutline | undefined;
  const uploads = new UploadedFiles(store);
  try {
    for await (const part of parts([...there.keys()], after)) {
      lease.confirm();
      if (snapshot !== undefined) {
        await uploads.write(part);
        continue;
      }
      if (part.file !== snapshotFile)
        throw new Fault("corrupt", { message: "the backup does not begin with its snapshot" });
      pieces.push(part.data);
      if (part.position + part.data.length < part.fileBytes) continue;
      snapshot = await inSlices(clock, unpackOutline(Buffer.concat(pieces)));
      if (newest !== undefined) checkSuccessor(newest.snapshot, snapshot, store.url);
      const whole = await withoutDamaged(receiving, snapshot, there);
      if (whole.size < there.size) return await receive(receiving, whole);
      uploads.expect(backupFiles(snapshot));
    }
    await uploads.finish();
  } catch (reason) {
    await uploads.abandon();
    throw reason;
  }
  if (snapshot === undefined) throw new Fault("corrupt", { message: "the backup ends before its snapshot" });
  return { snapshot, bytes: Buffer.concat(pieces), uploadedBytes: uploads.bytes };
}

/**
 * Deletes files of no backup whose size is not that of the node: what is there is kept otherwise. Resolves to the other ones.
 * @throws Fault "failed-precondition" if a backup has such a file: nothing was changed
 */
async function withoutDamaged(
  { store, clock, lease }: Receiving,
  snapshot: BackupOutline,
  there: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  const whole = new Map(there);
  const other = backupFiles(snapshot).filter(({ file, bytes }) => (there.get(file) ?? bytes) !== bytes);
  if (other.length > 0) await checkUnnamed(store, other, there, lease.recent, clock);
  for (const { file } of other) {
    await store.delete(keyOfFile(file), lease.confirm);
    whole.delete(file);
  }
  return whole;
}

/** A file that a backup names is not deleted, whatever the node would write in its place. */
async function checkUnnamed(
  store: ObjectStore,
  files: readonly Pick<BackupFile, "file" | "bytes">[],
  there: ReadonlyMap<string, number>,
  recent: readonly string[],
  clock: Clock,
): Promise<void> {
  const listed = (await listBackups(store)).map(({ name }) => name);
  for (const name of newestFirst([...listed, ...recent])) {
    const backup = await readOutline(store, name, clock);
    const named = new Set(backup === undefined ? [] : backupFiles(backup).map(({ file }) => file));
    const found = files.find(({ file }) => named.has(file));
    if (found === undefined) continue;
    const { file, bytes } = found;
    throw new Fault("failed-precondition", {
      message: `${store.url}: the backup ${name} has ${keyOfFile(file)} with ${there.get(file)} bytes, and the file of this node with that name has ${bytes}: one of them is damaged; nothing was changed; check both with tailrace verify, and give another place`,
    });
  }
}

/** Every file must be there with its size before the snapshot that names it. */
async function checkFiles(store: ObjectStore, snapshot: BackupOutline): Promise<void> {
  const listed = await listFiles(store);
  for (const { file, bytes } of backupFiles(snapshot)) {
    if (listed.get(file) === bytes) continue;
    const found = await store.size(keyOfFile(file));
    if (found === bytes) continue;
    throw new Fault("corrupt", {
      message: `${store.url}: ${keyOfFile(file)} ${found === undefined ? "is missing" : `has ${found} bytes, not ${bytes}: delete it`}; the backup was not completed`,
      facts: { file },
    });
  }
}

async function pruned(
  { store, keep, cache, clock, onPruneFailed }: WriteBackupOptions,
  lease: WriterLease,
  known: ReadonlyMap<string, BackupOutline>,
): Promise<number> {
  try {
    return await prune({ store, lease, keep, known, cache, clock });
  } catch (reason) {
    if (!(reason instanceof Fault)) throw reason;
    onPruneFailed?.(reason);
    return 0;
  }
}

function isSame(one: BackupOutline, other: BackupOutline): boolean {
  const text = (snapshot: BackupOutline): string =>
    backupFiles(snapshot)
      .map(({ file }) => file)
      .join("\n");
  return one.index === other.index && text(one) === text(other);
}
