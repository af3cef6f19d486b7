/**
 * A backup on this machine's disk: the snapshot, and the files that it names.
 *
 *   write   → <file>.part → renamed when whole          finish → the snapshot, and away with what it does not name
 *
 * Never: touches a directory that holds anything else.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { Fault } from "../fault.ts";
import { type BackupSnapshot, readSnapshot, snapshotFile } from "../replicated/mod.ts";

const ours = /^(snapshot|\d{20}-\d{20}\.frames)(\.part)?$/;

export class BackupDirectory {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Throws Fault "foreign-directory" and "config". */
  static openOrMake(path: string): BackupDirectory {
    try {
      mkdirSync(path, { recursive: true });
    } catch (cause) {
      throw new Fault("config", { message: `${path} cannot be made`, cause });
    }
    const other = readdirSync(path).find((name) => !ours.test(name));
    if (other === undefined) return new BackupDirectory(path);
    throw new Fault("foreign-directory", { message: `${path} holds ${other}, which is no part of a backup` });
  }

  /** Throws Fault "not-found". */
  static open(path: string): BackupDirectory {
    if (existsSync(join(path, snapshotFile))) return new BackupDirectory(path);
    throw new Fault("not-found", { message: `there is no backup in ${path}` });
  }

  /** Throws Fault "corrupt" and "unsupported-version". */
  snapshot(): BackupSnapshot {
    return readSnapshot(readFileSync(join(this.#path, snapshotFile)));
  }

  /** The files of an older copy that are here in full. */
  whole(): string[] {
    if (!existsSync(join(this.#path, snapshotFile))) return [];
    return this.snapshot()
      .files.filter(({ file, bytes }) => {
        const path = join(this.#path, file);
        return existsSync(path) && statSync(path).size === bytes;
      })
      .map(({ file }) => file);
  }

  /** A part of a file, in order from its beginning. */
  write(file: string, position: number, fileBytes: number, data: Uint8Array): void {
    if (!ours.test(file) || basename(file) !== file) {
      throw new Fault("corrupt", { message: `a backup has no file ${file}` });
    }
    const part = join(this.#path, `${file}.part`);
    const to = openSync(part, position === 0 ? "w" : "r+");
    try {
      writeSync(to, data, 0, data.length, position);
      if (position + data.length === fileBytes) fsyncSync(to);
    } finally {
      closeSync(to);
    }
    if (position + data.length === fileBytes) renameSync(part, join(this.#path, file));
  }

  /** The copy is complete. */
  finish(snapshot: Uint8Array, files: readonly string[]): void {
    for (const file of files) {
      if (existsSync(join(this.#path, file))) continue;
      throw new Fault("corrupt", { message: `${file} was not sent in full` });
    }
    this.write(snapshotFile, 0, snapshot.length, snapshot);
    for (const name of readdirSync(this.#path)) {
      if (name !== snapshotFile && !files.includes(name)) rmSync(join(this.#path, name));
    }
    const directory = openSync(this.#path, "r");
    fsyncSync(directory);
    closeSync(directory);
  }

  /** At most `bytes` of a file; shorter at its end. */
  read(file: string, position: number, bytes: number): Uint8Array {
    const from = openSync(join(this.#path, file), "r");
    try {
      const buffer = Buffer.alloc(bytes);
      return buffer.subarray(0, readSync(from, buffer, 0, bytes, position));
    } finally {
      closeSync(from);
    }
  }
}
