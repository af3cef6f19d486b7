/**
 * A backup on the disk of this machine: the snapshot, and the files that it names.
 *
 *   write → <file>.part → renamed when complete         finish → write the snapshot, delete files that it does not name
 *   lock                   held by the command that writes the backup
 *
 * Only the owner can read the files. The names come from a node or from a backup of another person, so only valid names
 * are opened and symbolic links are not followed. A directory that contains any other file is rejected.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { Fault } from "../../fault.ts";
import { type DirectoryLock, lockDirectory } from "../../lib/disk/directory-lock.ts";
import { errorCode, errorText } from "../../lib/disk/disk.ts";
import { ownerFile, systemDisk } from "../../lib/disk/system-disk.ts";
import {
  type BackupFile,
  type BackupSnapshot,
  backupFiles,
  type ChainPoint,
  chainPointOf,
  checkSuccessor,
  readSnapshot,
  snapshotFile,
} from "../../replication/mod.ts";

const validName =
  /^(snapshot|\d{20}-\d{20}(-\d{1,16})?(\.[\da-f]{8})?\.frames|\d{20}-[\da-f]{8}\.rows)(\.part)?$/;
/** Not of the backup, and not foreign. The root of a file system may contain lost+found. */
const otherNames = ["lock", "lock.socket", "lost+found"];
const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;
/** A limit above the state of a million producers. */
const snapshotBytesMax = 1024 * 1024 * 1024;

export class BackupDirectory {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Opens a backup or creates an empty directory.
   * @throws Fault "foreign-directory" if it contains other files, "config" if it cannot be created
   */
  static openOrCreate(path: string): BackupDirectory {
    try {
      systemDisk.makeDirectory(path);
    } catch (cause) {
      throw new Fault("config", { message: `${path} cannot be created: ${errorText(cause)}`, cause });
    }
    const other = readdirSync(path).find((name) => !validName.test(name) && !otherNames.includes(name));
    if (other === undefined) return new BackupDirectory(path);
    throw new Fault("foreign-directory", {
      message: `${path} contains ${other}, which is not part of a backup; choose a new directory`,
    });
  }

  /**
   * Locks the directory: two commands that write the same files would mix their parts.
   * @throws Fault "locked" if another process has the lock
   */
  lock(): Promise<DirectoryLock> {
    return lockDirectory(this.#path);
  }

  /** @throws Fault "not-found" if there is no backup */
  static open(path: string): BackupDirectory {
    if (BackupDirectory.isIn(path)) return new BackupDirectory(path);
    throw new Fault("not-found", { message: `there is no backup in ${path}` });
  }

  static isIn(path: string): boolean {
    return existsSync(join(path, snapshotFile));
  }

  /** @throws Fault "corrupt", "unsupported-version" */
  snapshot(): BackupSnapshot {
    const bytes = this.size(snapshotFile) ?? 0;
    if (bytes > snapshotBytesMax)
      throw new Fault("corrupt", { message: "the snapshot of the backup is too large" });
    return readSnapshot(this.read(snapshotFile, 0, bytes));
  }

  /** Returns the names of the files that are complete. */
  completeFiles(): string[] {
    if (!BackupDirectory.isIn(this.#path)) return [];
    return backupFiles(this.snapshot())
      .filter(({ file, bytes }) => this.size(file) === bytes)
      .map(({ file }) => file);
  }

  /** Resolves to the end of the backup in the chain of its log; undefined without a backup, or if its last file is damaged. */
  async chainPoint(): Promise<ChainPoint | undefined> {
    if (!BackupDirectory.isIn(this.#path)) return undefined;
    return await chainPointOf(this.snapshot(), (file, position, bytes) =>
      this.size(file) === undefined ? undefined : this.read(file, position, bytes),
    );
  }

  /**
   * Checks whether `next` may replace the backup in this directory, before anything is written.
   * @throws Fault "failed-precondition" if it is of another cluster or ends earlier
   */
  checkSuccessor(next: BackupSnapshot): void {
    if (BackupDirectory.isIn(this.#path)) checkSuccessor(this.snapshot(), next, this.#path);
  }

  /** Writes the next part of a file. The parts of a file must be written in order. */
  write(file: string, position: number, fileBytes: number, data: Uint8Array): void {
    const part = `${this.#pathOf(file)}.part`;
    const flags = O_WRONLY | O_NOFOLLOW | (position === 0 ? O_CREAT | O_TRUNC : 0);
    const to = openSync(part, flags, ownerFile);
    try {
      for (let done = 0; done < data.length; ) {
        done += writeSync(to, data, done, data.length - done, position + done);
      }
      if (position + data.length === fileBytes) fsyncSync(to);
    } finally {
      closeSync(to);
    }
    if (position + data.length === fileBytes) renameSync(part, this.#pathOf(file));
  }

  /**
   * Completes the backup. All files are durable before the snapshot is written, and it is before older files are deleted.
   * @throws Fault "corrupt" if a file is missing or has another size than the snapshot says; the backup that was there is complete
   */
  finish(snapshot: Uint8Array, files: readonly Pick<BackupFile, "file" | "bytes">[]): void {
    for (const { file, bytes } of files) {
      const found = this.size(file);
      if (found === bytes) continue;
      const why =
        found === undefined
          ? "was not received completely"
          : `has ${found} bytes, not ${bytes}: write the backup to another directory`;
      throw new Fault("corrupt", { message: `${file} ${why}` });
    }
    const kept = new Set([...files.map(({ file }) => file), ...otherNames]);
    systemDisk.syncDirectory(this.#path);
    this.write(snapshotFile, 0, snapshot.length, snapshot);
    systemDisk.syncDirectory(this.#path);
    for (const name of readdirSync(this.#path)) {
      if (name !== snapshotFile && !kept.has(name)) rmSync(join(this.#path, name));
    }
    systemDisk.syncDirectory(this.#path);
  }

  /** Returns the size of a file in bytes; undefined if it does not exist or is not a regular file. */
  size(file: string): number | undefined {
    const found = lstatSync(this.#pathOf(file), { throwIfNoEntry: false });
    return found?.isFile() === true ? found.size : undefined;
  }

  /**
   * Reads `bytes` of a file, fewer at its end.
   * @throws Fault "corrupt" if the file does not exist
   */
  read(file: string, position: number, bytes: number): Uint8Array {
    const from = this.#openToRead(file);
    try {
      const buffer = Buffer.alloc(bytes);
      return buffer.subarray(0, readSync(from, buffer, 0, bytes, position));
    } finally {
      closeSync(from);
    }
  }

  #openToRead(file: string): number {
    let descriptor: number;
    try {
      // O_NONBLOCK, because opening a pipe would wait forever.
      descriptor = openSync(this.#pathOf(file), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (cause) {
      const code = errorCode(cause);
      if (code === "ENOENT") throw new Fault("corrupt", { message: `the backup has no file ${file}`, cause });
      if (code === "ELOOP") throw notAFile(file);
      throw new Fault("failed-precondition", {
        message: `${file} of the backup cannot be read (${code})`,
        cause,
      });
    }
    if (fstatSync(descriptor).isFile()) return descriptor;
    closeSync(descriptor);
    throw notAFile(file);
  }

  #pathOf(file: string): string {
    if (!validName.test(file) || basename(file) !== file) {
      throw new Fault("corrupt", { message: `${file} is not a valid name of a file in a backup` });
    }
    return join(this.#path, file);
  }
}

const notAFile = (file: string): Fault =>
  new Fault("corrupt", { message: `${file} of the backup is not a regular file`, facts: { file } });
