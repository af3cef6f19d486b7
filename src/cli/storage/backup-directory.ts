/**
 * A backup on this machine's disk: the snapshot, and the files that it names.
 *
 *   write   → <file>.part → renamed when whole          finish → the snapshot, then away with what it does not name
 *
 * The files are for their owner alone. Names come from a node or from a backup that someone else may have made: only those
 * that a backup has are opened, and no symbolic link is followed. A directory that holds anything else is left alone.
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
import { errorCode } from "../../lib/disk/disk.ts";
import { ownerFile, systemDisk } from "../../lib/disk/system-disk.ts";
import { type BackupSnapshot, readSnapshot, snapshotFile } from "../../replication/mod.ts";

const ours = /^(snapshot|\d{20}-\d{20}\.frames)(\.part)?$/;
const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;
/** Larger than the state of a million producers. */
const snapshotBytesMax = 1024 * 1024 * 1024;

export class BackupDirectory {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Throws Fault "foreign-directory" and "config". */
  static openOrMake(path: string): BackupDirectory {
    try {
      systemDisk.makeDirectory(path);
    } catch (cause) {
      throw new Fault("config", { message: `${path} cannot be made`, cause });
    }
    const other = readdirSync(path).find((name) => !ours.test(name));
    if (other === undefined) return new BackupDirectory(path);
    throw new Fault("foreign-directory", { message: `${path} holds ${other}, which is no part of a backup` });
  }

  /** Throws Fault "not-found". */
  static open(path: string): BackupDirectory {
    if (BackupDirectory.isIn(path)) return new BackupDirectory(path);
    throw new Fault("not-found", { message: `there is no backup in ${path}` });
  }

  static isIn(path: string): boolean {
    return existsSync(join(path, snapshotFile));
  }

  /** Throws Fault "corrupt" and "unsupported-version". */
  snapshot(): BackupSnapshot {
    const bytes = this.size(snapshotFile) ?? 0;
    if (bytes > snapshotBytesMax)
      throw new Fault("corrupt", { message: "the snapshot of the backup is too large" });
    return readSnapshot(this.read(snapshotFile, 0, bytes));
  }

  /** The files of an older copy that are here in full. */
  whole(): string[] {
    if (!BackupDirectory.isIn(this.#path)) return [];
    return this.snapshot()
      .files.filter(({ file, bytes }) => this.size(file) === bytes)
      .map(({ file }) => file);
  }

  /**
   * Throws Fault "failed-precondition" when `next` may not replace the copy that is here: it is of another cluster, or
   * ends earlier. Called before anything is written.
   */
  checkSuccessor(next: BackupSnapshot): void {
    if (!BackupDirectory.isIn(this.#path)) return;
    const held = this.snapshot();
    const advice = "nothing was changed; give another directory";
    if (held.clusterId !== next.clusterId) {
      throw new Fault("failed-precondition", {
        message: `${this.#path} holds a backup of cluster ${held.clusterId}, and the node is of cluster ${next.clusterId || "none"}: ${advice}`,
      });
    }
    if (next.index >= held.index) return;
    throw new Fault("failed-precondition", {
      message: `${this.#path} holds a backup up to index ${held.index}, and the node's log is committed up to ${next.index} only: ${advice}`,
    });
  }

  /** A part of a file, in order from its beginning. */
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

  /** The copy is complete. The files are durable before the snapshot names them, and it before older ones go. */
  finish(snapshot: Uint8Array, files: readonly string[]): void {
    for (const file of files) {
      if (this.size(file) !== undefined) continue;
      throw new Fault("corrupt", { message: `${file} was not sent in full` });
    }
    systemDisk.syncDirectory(this.#path);
    this.write(snapshotFile, 0, snapshot.length, snapshot);
    systemDisk.syncDirectory(this.#path);
    for (const name of readdirSync(this.#path)) {
      if (name !== snapshotFile && !files.includes(name)) rmSync(join(this.#path, name));
    }
    systemDisk.syncDirectory(this.#path);
  }

  /** Of a file, in bytes; undefined where there is none, or something that is not a file. */
  size(file: string): number | undefined {
    const found = lstatSync(this.#pathOf(file), { throwIfNoEntry: false });
    return found?.isFile() === true ? found.size : undefined;
  }

  /** At most `bytes` of a file; shorter at its end. Throws Fault "corrupt" where there is no such file. */
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
      // Without waiting: a pipe would never be opened.
      descriptor = openSync(this.#pathOf(file), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (cause) {
      const code = errorCode(cause);
      if (code === "ENOENT") throw new Fault("corrupt", { message: `the backup lacks ${file}`, cause });
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
    if (!ours.test(file) || basename(file) !== file) {
      throw new Fault("corrupt", { message: `a backup has no file ${file}` });
    }
    return join(this.#path, file);
  }
}

const notAFile = (file: string): Fault =>
  new Fault("corrupt", { message: `${file} of the backup is a link or no file`, facts: { file } });
