/**
 * A bucket in virtual time. Requests fail, are slow, lose their answers, or take effect late; lists lag. It checks each effect:
 *
 *   a snapshot is written            its files are there with their sizes, and no other snapshot is replaced
 *   a file is deleted or replaced    no snapshot names it
 *   any of these                     the lock is held by the writer that sent the request
 */
import type { Prng } from "../../../src/lib/prng.ts";
import type { WriteCondition } from "../../../src/objects/object-store.ts";
import { type BackupOutline, backupFiles, readSnapshot } from "../../../src/replication/mod.ts";
import type { VirtualTime } from "../../support/time/virtual-clock.ts";
import type { Trace } from "../checks/trace.ts";
import { Violation } from "../checks/violation.ts";

interface Change {
  readonly atMs: number;
  /** Undefined: deleted. */
  readonly bytes: number | undefined;
}

/** What happens to one attempt of a request. */
export interface Course {
  /** Until the effect and from there to the answer, in ms. */
  readonly sendMs: number;
  readonly answerMs: number;
  /** Whether it takes effect, and whether there is an answer. */
  readonly arrives: boolean;
  readonly answers: boolean;
}

const backups = "backups/";
const files = "files/";

export class SimBucket {
  readonly objects = new Map<string, Uint8Array>();
  /** Uploads that were begun and not finished: number → key. */
  readonly uploads = new Map<number, string>();
  /** The snapshots that are there. */
  readonly snapshots = new Map<string, BackupOutline>();
  /** Faults end with those of the cluster. */
  isHealthy = false;
  readonly #time: VirtualTime;
  readonly #trace: Trace;
  readonly #random: Prng;
  readonly #changes = new Map<string, Change[]>();
  readonly #shares: { readonly lost: number; readonly unanswered: number; readonly slow: number };
  readonly #delayMs: number;
  readonly #lagMs: number;
  #downUntil = 0;
  readonly #cutUntil = new Map<number, number>();
  #tags = 0;
  readonly #tagOf = new Map<string, string>();
  #uploads = 0;

  constructor(time: VirtualTime, trace: Trace, random: Prng) {
    [this.#time, this.#trace, this.#random] = [time, trace, random];
    this.#shares = {
      lost: random.pick([0, 0, 0.05, 0.2]),
      unanswered: random.pick([0, 0, 0.05, 0.2]),
      slow: random.pick([0, 0, 0.02, 0.1]),
    };
    this.#delayMs = random.pick([0.5, 2, 8]);
    this.#lagMs = random.pick([0, 0, 300, 1500]);
  }

  /** No request arrives for a while. */
  failFor(ms: number): void {
    this.#downUntil = this.#time.now + ms;
    this.#trace.mark("bucket-down");
  }

  /** No request of this server arrives for a while. */
  cutFor(peer: number, ms: number): void {
    this.#cutUntil.set(peer, this.#time.now + ms);
    this.#trace.mark("bucket-cut");
  }

  /** `peer`: the server that sends the request; 0 for an operator. */
  course(peer: number): Course {
    const random = this.#random;
    const delayMs = (): number => random.float() * 2 * this.#delayMs;
    const { lost, unanswered, slow } = this.#shares;
    if (this.isHealthy) return { sendMs: delayMs(), answerMs: delayMs(), arrives: true, answers: true };
    const until = Math.max(this.#downUntil, this.#cutUntil.get(peer) ?? 0);
    const arrives = this.#time.now >= until && !random.chance(lost);
    const lateMs = random.chance(slow) ? random.float() * 600 : 0;
    const answers = !random.chance(unanswered);
    return { sendMs: delayMs() + lateMs, answerMs: delayMs(), arrives, answers };
  }

  put(writer: string, key: string, data: Uint8Array, condition?: WriteCondition): string | undefined {
    const now = this.objects.get(key);
    if (condition !== undefined && "ifAbsent" in condition && now !== undefined) return undefined;
    if (condition !== undefined && "ifTag" in condition && this.#tagOf.get(key) !== condition.ifTag)
      return undefined;
    if (key.startsWith(backups)) this.#checkSnapshot(writer, key, data);
    return this.#set(key, data);
  }

  /** Begins an upload. */
  begin(key: string): number {
    this.uploads.set(++this.#uploads, key);
    return this.#uploads;
  }

  /** Completes an upload, or writes a small object. Returns false if the upload was removed. */
  finish(key: string, upload: number | undefined, data: Uint8Array): boolean {
    if (upload !== undefined && !this.uploads.delete(upload))
      return this.objects.get(key)?.length === data.length;
    if (!this.objects.has(key)) this.#set(key, data);
    return true;
  }

  tagOf(key: string): string {
    return this.#tagOf.get(key) ?? "";
  }

  delete(writer: string, key: string): void {
    if (!this.objects.has(key)) return;
    if (key.startsWith(files)) {
      const named = this.#snapshotWith(key.slice(files.length));
      if (named !== undefined)
        throw new Violation("file-of-backup-deleted", `${key} of ${named} by ${writer}`);
    }
    this.#checkHolder(writer, `delete ${key}`);
    this.objects.delete(key);
    this.#tagOf.delete(key);
    this.snapshots.delete(key);
    this.#note(key, undefined);
    this.#trace.mark("bucket-deleted");
  }

  /** The keys and sizes of a list, as of a moment that differs by key. */
  list(prefix: string): Map<string, number> {
    const found = new Map<string, number>();
    for (const [key, changes] of this.#changes) {
      if (!key.startsWith(prefix)) continue;
      const atMs = this.#time.now - (this.isHealthy ? 0 : this.#random.float() * this.#lagMs);
      const last = changes.findLast((change) => change.atMs <= atMs);
      if (last?.bytes !== undefined) found.set(key, last.bytes);
      if (last?.bytes !== this.objects.get(key)?.length) this.#trace.mark("bucket-list-lagged");
    }
    return found;
  }

  #set(key: string, data: Uint8Array): string {
    this.objects.set(key, Uint8Array.from(data));
    const tag = `tag ${++this.#tags}`;
    this.#tagOf.set(key, tag);
    this.#note(key, data.length);
    return tag;
  }

  #note(key: string, bytes: number | undefined): void {
    const changes = this.#changes.get(key) ?? [];
    this.#changes.set(key, changes);
    changes.push({ atMs: this.#time.now, bytes });
    this.#trace.hash(`bucket ${key} ${bytes}`);
    this.#trace.note(() => `bucket: ${key} ${bytes === undefined ? "is deleted" : `has ${bytes} bytes`}`);
  }

  #checkSnapshot(writer: string, key: string, data: Uint8Array): void {
    const before = this.objects.get(key);
    if (before !== undefined && Buffer.compare(before, data) !== 0)
      throw new Violation("backup-overwritten", `${key} by ${writer}`);
    const snapshot = readSnapshot(data);
    for (const { file, bytes } of backupFiles(snapshot)) {
      const found = this.objects.get(files + file)?.length;
      if (found !== bytes)
        throw new Violation(
          "backup-without-files",
          `${key} by ${writer}: ${file} has ${found}, not ${bytes}`,
        );
    }
    this.#checkHolder(writer, `write ${key}`);
    this.snapshots.set(key, snapshot);
    this.#trace.mark("backup-written");
  }

  /** Returns the key of a snapshot that names this file. */
  #snapshotWith(file: string): string | undefined {
    for (const [key, snapshot] of this.snapshots)
      if (backupFiles(snapshot).some((one) => one.file === file)) return key;
    return undefined;
  }

  #checkHolder(writer: string, what: string): void {
    const lock = this.objects.get("lock");
    const held =
      lock === undefined ? {} : (JSON.parse(Buffer.from(lock).toString()) as Record<string, unknown>);
    if (held["id"] === writer && held["isReleased"] !== true) return;
    throw new Violation("two-writers", `${writer} may not ${what}: the lock is ${JSON.stringify(held)}`);
  }
}
