/**
 * The log index of a sealed segment: its file, or one that is built from the store because the file is missing or damaged. A file of
 * another store of the segment, before or after it was settled, has other positions, and counts as damaged.
 */
import { assert } from "../../lib/assert.ts";
import { errorCode, syncNames, troubleOf } from "../../lib/disk/disk.ts";
import type { LogId, RaftIndex } from "../../types.ts";
import { scanSteps, type VisitFrame } from "../frame/chain.ts";
import { lastBatchBefore } from "../segment/find-segment.ts";
import { type Segment, type SegmentMeta, unreadable } from "../segment/segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";
import { DamagedPage, type SealFacts } from "./index-file.ts";
import { ActiveLogIndex, type LogBatches } from "./log-index.ts";
import { encodeLogIndex, SealedLogIndex } from "./sealed-log-index.ts";
import { enterNamed } from "./segment-index.ts";

type LogIndex = SealedLogIndex | ActiveLogIndex;

/** What is read of the store in one step. */
const stepBytes = 4096;
/** So much of the file is about to be read: what is about up to 2,000 logs, and around what is about one of them. */
const headBytes = 64 * 1024;
/** Ids that ids() reads at once. */
const idsAtOnce = 1_024;

/** The segment. */
export interface LoggedStore extends Segment {
  readonly meta: SegmentMeta;
  readonly seal: SealFacts;
  /** Another segment has its place. */
  readonly isGone: boolean;
  /** Its log index is missing. */
  readonly lacksLogs: boolean;
}

export class SealedLogs {
  readonly #segment: LoggedStore;
  readonly #files: SegmentFiles;
  readonly #directoryId: Uint8Array;
  readonly #all: { readonly sealed: readonly LoggedStore[] };
  readonly #path: string;
  #opened: { readonly file: object; readonly index: SealedLogIndex } | undefined;
  /** A file with a damaged page. */
  #damaged: object | undefined;
  /** The work on an index that is missing or damaged. */
  #work: Generator<void, ActiveLogIndex> | undefined;
  /** A rebuilt index that the disk did not take. */
  #unwritten: ActiveLogIndex | undefined;

  constructor(
    segment: LoggedStore,
    files: SegmentFiles,
    directoryId: Uint8Array,
    all: { readonly sealed: readonly LoggedStore[] },
  ) {
    this.#segment = segment;
    this.#files = files;
    this.#directoryId = directoryId;
    this.#all = all;
    this.#path = files.logsPath(segment.first);
  }

  /** See Segment. */
  batchesOf(id: LogId): LogBatches | undefined {
    let found = this.#find(id);
    if (found === undefined) return undefined;
    // The file can be closed between two uses, because few are open. Then it is opened again. What was found in it stays true if it
    // is damaged elsewhere: the file is rebuilt in turns for those who need that.
    const current = (): LogBatches => {
      if (!this.#isOpen(found?.index) && found?.index !== this.#built()) found = this.#find(id);
      assert(found !== undefined, "a sealed segment lost a log");
      return found.batches;
    };
    const { length, previous, share } = found.batches;
    return {
      ...{ length, previous, share },
      ordinal: (i) => current().ordinal(i),
      offset: (i) => current().offset(i),
      extent: (i) => current().extent?.(i),
    };
  }

  /** The file can be closed between two ids, because few are open. */
  *ids(): Generator<LogId> {
    for (let after = -1; ; ) {
      const page = this.#look((index) => index.idsAfter(after, idsAtOnce)) ?? [];
      yield* page;
      if (page.length < idsAtOnce) return;
      after = page[page.length - 1]!;
    }
  }

  /**
   * Rebuilds an index that is missing, or damaged where it is about the log `id`, at most so many steps of it: 4 KiB of the store
   * each. Without `id`: damaged anywhere. Returns true once nothing is to be rebuilt.
   * @throws Fault "corrupt" if the store is damaged too
   */
  prepare(stepsMax: number, id?: LogId): boolean {
    const found = this.#found();
    if (found !== "missing" && this.#isSound(found, id)) return true;
    for (let left = stepsMax; left > 0; left--) if (this.#step() !== undefined) return true;
    return false;
  }

  /** See Segment. */
  willRead(share: number | undefined): void {
    const { disk, indexes } = this.#files;
    if (this.#segment.meta.namedBatches === undefined || indexes.has(this.#path)) return;
    try {
      const file = disk.open(this.#path, "read");
      try {
        file.willRead?.(0, headBytes);
        const place = share === undefined ? 0 : Math.floor(share * file.size() - headBytes / 2);
        if (place > 0) file.willRead?.(place, headBytes);
      } finally {
        file.close();
      }
    } catch (reason) {
      // What the disk refuses here, it refuses the read.
      if (errorCode(reason) === "") throw reason;
    }
  }

  /** The segment has another store now. */
  replaced(): void {
    this.#work = undefined;
    this.#damaged = undefined;
  }

  /** True if the file is not there, and should be. */
  get lacksFile(): boolean {
    const { meta, isGone } = this.#segment;
    const isKept = meta.namedBatches === undefined || this.#unwritten !== undefined;
    return !isKept && !isGone && !this.#files.disk.exists(this.#path);
  }

  /** True if it is the index that was opened last, and its file was not closed since. */
  #isOpen(index: LogIndex | undefined): boolean {
    const opened = this.#opened;
    if (opened === undefined || opened.index !== index) return false;
    const { indexes } = this.#files;
    return indexes.has(this.#path) && indexes.get(this.#path) === opened.file;
  }

  #isSound(index: LogIndex | undefined, id: LogId | undefined): boolean {
    try {
      if (id !== undefined) index?.find(id);
      else if (index instanceof SealedLogIndex) index.checkAll();
      return true;
    } catch (damage) {
      this.#note(damage);
      return false;
    }
  }

  #find(id: LogId): { readonly index: LogIndex; readonly batches: LogBatches } | undefined {
    return this.#look((index) => {
      const batches = index.find(id);
      return batches === undefined ? undefined : { index, batches };
    });
  }

  /** Looks into the index. One that is damaged there is rebuilt first. */
  #look<T>(look: (index: LogIndex) => T): T | undefined {
    const index = this.#built();
    if (index === undefined) return undefined;
    try {
      return look(index);
    } catch (damage) {
      this.#note(damage);
      return look(this.#built()!);
    }
  }

  #note(damage: unknown): void {
    if (!(damage instanceof DamagedPage)) throw damage;
    this.#damaged = this.#opened?.file;
  }

  #built(): LogIndex | undefined {
    const found = this.#found();
    if (found !== "missing") return found;
    for (;;) {
      const built = this.#step();
      if (built !== undefined) return built;
    }
  }

  /** Returns the index when it is built. */
  #step(): ActiveLogIndex | undefined {
    this.#work ??= this.#rebuild();
    let isOver = true;
    try {
      const step = this.#work.next();
      isOver = step.done === true;
      return step.done === true ? step.value : undefined;
    } finally {
      if (isOver) this.#work = undefined;
    }
  }

  #found(): LogIndex | "missing" | undefined {
    const { first, meta, seal } = this.#segment;
    if (meta.namedBatches === undefined) return undefined;
    if (this.#unwritten !== undefined) return this.#unwritten;
    let file: ReturnType<SegmentFiles["indexes"]["get"]>;
    try {
      file = this.#files.indexes.get(this.#path);
    } catch (reason) {
      if (troubleOf(reason) === "busy") throw unreadable(this.#segment, reason, 0);
      return "missing";
    }
    if (file === this.#damaged) return "missing";
    if (file === this.#opened?.file) return this.#opened.index;
    const described = { directoryId: this.#directoryId, first, store: seal };
    const index = SealedLogIndex.open(file, described, meta.namedBatches);
    if (index === undefined) return "missing";
    this.#opened = { file, index };
    return index;
  }

  /** Builds the index from the store in steps and writes its file. If the disk refuses it, the index is kept. */
  *#rebuild(): Generator<void, ActiveLogIndex> {
    const segment = this.#segment;
    const { first, bytes, meta, seal } = segment;
    const path = this.#path;
    // It links to the ones before: they come first, so that no step rebuilds one of them as a whole.
    for (const before of this.#all.sealed) {
      if (before.first >= first) break;
      while (before.lacksLogs && !before.prepareLogs(1)) yield;
      yield;
    }
    const logs = new ActiveLogIndex();
    const positions: number[] = [];
    const lastBatch = (id: LogId): RaftIndex => lastBatchBefore(this.#all.sealed, first, id);
    const visit: VisitFrame = (frames, at, position) => {
      enterNamed(logs, positions.length, frames, at, lastBatch);
      positions.push(position);
      return undefined;
    };
    // The store may be closed between two steps.
    const steps = scanSteps(segment, bytes, meta.before, visit, stepBytes);
    let scan = steps.next();
    for (; scan.done !== true; scan = steps.next()) yield;
    const { position: end, flaw } = scan.value;
    if (end !== bytes || logs.entries !== meta.namedBatches || segment.isGone)
      throw segment.damaged(end, flaw ?? "length");
    yield;
    this.#files.indexes.drop(path);
    const places = { length: positions.length, position: (k: number): number => positions[k]! };
    const described = { directoryId: this.#directoryId, first, store: seal };
    try {
      this.#files.replace(path, encodeLogIndex(logs, described, places));
      syncNames(this.#files.disk, this.#files.directory);
      this.#files.damage.rebuilt(path);
    } catch (reason) {
      if (errorCode(reason) === "") throw reason;
      this.#unwritten = logs;
    }
    return logs;
  }
}
