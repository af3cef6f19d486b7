/**
 * A store of objects in a directory, for volumes that are mounted. Only the owner can read the files.
 *
 *   <key>                 an object; its name is durable before a write resolves
 *   .unfinished/<n>       an object that is being written; linked to its key at the end
 *   .lock/                locked while a condition on a tag is checked and the object replaced
 *
 * The tag of an object is a hash of its bytes. Links are not followed.
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { type FileHandle, link, open, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../../fault.ts";
import { type DirectoryLock, lockDirectory } from "../../lib/disk/directory-lock.ts";
import { errorCode, errorText } from "../../lib/disk/disk.ts";
import { ownerFile, systemDisk } from "../../lib/disk/system-disk.ts";
import { type Clock, delay } from "../../lib/time/clock.ts";
import {
  checkKey,
  isValidKey,
  type ObjectEntry,
  type ObjectStore,
  type ObjectWriter,
  type WriteCondition,
  type WriteGuard,
} from "../object-store.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;
const unfinished = ".unfinished";
const lockName = ".lock";
const lockAttempts = 100;
const lockWaitMs = 50;

export class DirectoryStore implements ObjectStore {
  readonly url: string;
  readonly #path: string;
  readonly #clock: Clock;
  #written = 0;

  /** The directory is created by the first write. */
  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.url = path;
    this.#clock = clock;
  }

  async put(
    key: string,
    data: Uint8Array,
    condition?: WriteCondition,
    guard?: WriteGuard,
  ): Promise<string | undefined> {
    const path = this.#pathOf(key);
    guard?.();
    const isFirst = condition !== undefined && "ifAbsent" in condition;
    return await this.#translated(async () => {
      if (isFirst && fs.existsSync(path)) return undefined;
      const part = await this.#begin();
      try {
        await part.write(data);
        await part.close();
        if (condition === undefined) await part.replace(path);
        else if (isFirst) {
          if (!(await part.link(path))) return undefined;
        } else {
          await using _ = await this.#locked();
          if (this.#tagOf(path) !== condition.ifTag) return undefined;
          await part.replace(path);
        }
      } finally {
        await part.remove();
      }
      return hashOf(data);
    });
  }

  create(key: string, bytes: number): ObjectWriter {
    const path = this.#pathOf(key);
    let part: PartFile | undefined;
    let written = 0;
    return {
      write: (data) =>
        this.#translated(async () => {
          part ??= await this.#begin();
          await part.write(data);
          written += data.length;
        }),
      finish: () =>
        this.#translated(async () => {
          part ??= await this.#begin();
          await part.close();
          if (written !== bytes)
            throw new Fault("corrupt", { message: `${key} has ${written} bytes, not ${bytes}` });
          await part.link(path);
        }),
      abandon: async () => part?.remove(),
    };
  }

  async size(key: string): Promise<number | undefined> {
    const found = fs.lstatSync(this.#pathOf(key), { throwIfNoEntry: false });
    return found?.isFile() === true ? found.size : undefined;
  }

  async read(key: string, position: number, bytes: number): Promise<Uint8Array | undefined> {
    return await this.#translated(async () => {
      const file = openToRead(this.#pathOf(key));
      if (file === undefined) return undefined;
      try {
        const data = Buffer.alloc(Math.min(bytes, Math.max(0, fs.fstatSync(file).size - position)));
        return data.subarray(0, fs.readSync(file, data, 0, data.length, position));
      } finally {
        fs.closeSync(file);
      }
    });
  }

  async readWhole(
    key: string,
    bytesMax: number,
  ): Promise<{ readonly data: Uint8Array; readonly tag: string } | undefined> {
    const bytes = await this.size(key);
    if (bytes === undefined) return undefined;
    if (bytes > bytesMax)
      throw new Fault("corrupt", { message: `${this.url}/${key} is larger than ${bytesMax} bytes` });
    const data = await this.read(key, 0, bytes);
    return data === undefined ? undefined : { data, tag: hashOf(data) };
  }

  async *list(prefix: string): AsyncIterable<ObjectEntry> {
    let names: fs.Dirent[];
    try {
      names = fs.readdirSync(this.#path, { recursive: true, withFileTypes: true });
    } catch (reason) {
      if (errorCode(reason) === "ENOENT") return;
      throw this.#fault(reason);
    }
    for (const entry of names) {
      const path = join(entry.parentPath, entry.name);
      const key = path.slice(this.#path.length + 1);
      if (!entry.isFile() || !key.startsWith(prefix) || !isValidKey(key)) continue;
      const found = fs.lstatSync(path, { throwIfNoEntry: false });
      if (found === undefined) continue;
      yield { key, bytes: found.size, ageMs: Math.max(0, this.#clock.wallMs() - found.mtimeMs) };
    }
  }

  async delete(key: string, guard?: WriteGuard): Promise<void> {
    await this.#translated(async () => {
      const path = this.#pathOf(key);
      guard?.();
      fs.rmSync(path, { force: true });
      if (fs.existsSync(dirname(path))) systemDisk.syncDirectory(dirname(path));
    });
  }

  async removeUnfinished(): Promise<number> {
    return await this.#translated(async () => {
      const at = join(this.#path, unfinished);
      if (!fs.existsSync(at)) return 0;
      const names = fs.readdirSync(at);
      for (const name of names) fs.rmSync(join(at, name), { force: true });
      return names.length;
    });
  }

  async #begin(): Promise<PartFile> {
    const at = join(this.#path, unfinished);
    systemDisk.makeDirectory(at);
    // Another process may write too.
    for (;;) {
      const part = await PartFile.create(join(at, `${process.pid}-${this.#written++}`));
      if (part !== undefined) return part;
    }
  }

  #tagOf(path: string): string | undefined {
    const file = openToRead(path);
    if (file === undefined) return undefined;
    try {
      return hashOf(fs.readFileSync(file));
    } finally {
      fs.closeSync(file);
    }
  }

  async #locked(): Promise<DirectoryLock> {
    const at = join(this.#path, lockName);
    systemDisk.makeDirectory(at);
    for (let attempt = 1; ; attempt++) {
      try {
        return await lockDirectory(at);
      } catch (reason) {
        const isHeld = reason instanceof Fault && reason.kind === "locked";
        if (!isHeld || attempt >= lockAttempts) throw reason;
        await delay(this.#clock, lockWaitMs);
      }
    }
  }

  async #translated<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (reason) {
      throw reason instanceof Fault ? reason : this.#fault(reason);
    }
  }

  #fault(cause: unknown): unknown {
    const code = errorCode(cause);
    if (code === "") return cause;
    const message = `${this.url}: ${errorText(cause)}`;
    if (code === "ENOSPC" || code === "EDQUOT")
      return new Fault("disk-full", { message, facts: { errno: code }, cause });
    if (code === "EACCES" || code === "EPERM" || code === "EROFS")
      return new Fault("permission-denied", { message, facts: { code }, cause });
    if (code === "ELOOP") return new Fault("corrupt", { message, facts: { code }, cause });
    return new Fault("unavailable", { message, facts: { code }, cause });
  }

  #pathOf(key: string): string {
    return join(this.#path, checkKey(key));
  }
}

/** A file that has no key yet. Writes and syncs run beside the event loop. */
class PartFile {
  readonly #path: string;
  readonly #file: FileHandle;
  #isOpen = true;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Resolves to undefined if there is a file with this name. */
  static async create(path: string): Promise<PartFile | undefined> {
    try {
      return new PartFile(path, await open(path, O_WRONLY | O_CREAT | O_EXCL, ownerFile));
    } catch (reason) {
      if (errorCode(reason) === "EEXIST") return undefined;
      throw reason;
    }
  }

  async write(data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.length; )
      done += (await this.#file.write(data, done, data.length - done)).bytesWritten;
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    await this.#file.sync();
    this.#isOpen = false;
    await this.#file.close();
  }

  /** Gives it its key. Resolves to false if there is such an object. */
  async link(path: string): Promise<boolean> {
    systemDisk.makeDirectory(dirname(path));
    try {
      await link(this.#path, path);
    } catch (reason) {
      if (errorCode(reason) === "EEXIST") return false;
      if (!withoutLinks.includes(errorCode(reason)) || fs.existsSync(path)) throw reason;
      await rename(this.#path, path);
    } finally {
      await this.remove();
    }
    await syncNames(dirname(path));
    return true;
  }

  async replace(path: string): Promise<void> {
    systemDisk.makeDirectory(dirname(path));
    await rename(this.#path, path);
    await syncNames(dirname(path));
  }

  async remove(): Promise<void> {
    if (this.#isOpen) await this.#file.close();
    this.#isOpen = false;
    fs.rmSync(this.#path, { force: true });
  }
}

/** Errors of link(2) on file systems that have no links. Two writers at the same moment are not told apart there. */
const withoutLinks = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];

async function syncNames(directory: string): Promise<void> {
  const file = await open(directory, O_RDONLY);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Opens a regular file, without waiting for the other end of a pipe. Undefined without a file. */
function openToRead(path: string): number | undefined {
  let file: number;
  try {
    file = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (reason) {
    if (errorCode(reason) === "ENOENT") return undefined;
    throw reason;
  }
  if (fs.fstatSync(file).isFile()) return file;
  fs.closeSync(file);
  return undefined;
}

const hashOf = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
