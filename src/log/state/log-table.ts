/**
 * The rows of the named logs: the committed ones, and what the uncommitted frames will make of them. Pure.
 *
 * Invariant: the table is a function of the frames alone. An id is never used again, so a row that is deleted stays away.
 */
import { assert } from "../../lib/assert.ts";
import type { LogId, RaftIndex } from "../../types.ts";
import type { LogFlaw } from "../frame/chain.ts";
import {
  type BatchKind,
  batchKind,
  frameCommand,
  frameIndex,
  frameKind,
  frameLogId,
} from "../frame/frame.ts";
import { decodeLevel } from "../frame/log-command.ts";
import { CommittedRows, type NamesPage } from "./committed-rows.ts";
import { beforeLogNames, cursorPrefix, cursorRowName, everyCursorPrefix } from "./cursor-row.ts";
import { type CursorRow, isCursorRow, type LogRow, rowAfter } from "./log-row.ts";
import { allCursorsKey, cursorsKey, emptyHead, type LogUsage, type TableHead } from "./row-codec.ts";

/** What one frame changes. */
interface Change {
  readonly index: RaftIndex;
  readonly id: LogId;
  readonly before: LogRow | undefined;
  readonly after: LogRow | undefined;
  /** The log is deleted, and its name means no other one. It is looked up when the frame is staged: a commit reads nothing. */
  readonly freesName: boolean;
}

/** What a create is compared with. It is valid until the table changes. */
export interface CreatesAt {
  /** The lowest id that no log had. */
  readonly nextId: LogId;
  readonly idOf: (name: string) => LogId | undefined;
}

/** The rows after the frame at `boundary` are to be frozen for a checkpoint, once a later frame is committed. */
interface Freeze {
  readonly boundary: RaftIndex;
  readonly frozen: (head: TableHead) => void;
}

/** What makes a row. */
const createKinds: ReadonlySet<BatchKind> = new Set([batchKind.createLog, batchKind.commitCursor]);
/** Rows that may change while a checkpoint is being written: about 64 MiB. */
const lagMax = 131_072;

export class LogTable {
  /** The committed rows. */
  readonly stored: CommittedRows;
  /** The uncommitted changes in the order of the common log, and those of each log. */
  #changes: Change[] = [];
  readonly #changesOf = new Map<LogId, Change[]>();
  /** Names of which uncommitted frames change the log; undefined if the log will be deleted. */
  readonly #stagedNames = new Map<string, LogId | undefined>();
  #levels: { readonly index: RaftIndex; readonly level: number; readonly life: number }[] = [];
  #level: number;
  #life: number;
  #nextId: LogId;
  #stagedNextId: LogId;

  #size: number;
  #freeze: Freeze | undefined;

  constructor({ level, life, nextId, size }: TableHead = emptyHead, rows = new CommittedRows()) {
    this.#level = level;
    this.#life = life;
    this.#nextId = nextId;
    this.#stagedNextId = nextId;
    this.#size = size;
    this.stored = rows;
  }

  /** The features that all members have, as committed. 0 before the first level. */
  get level(): number {
    return this.#level;
  }

  /** See LevelCommand. 0 before the first level. */
  get life(): number {
    return this.#life;
  }

  /** The level after the last staged frame. */
  get stagedLevel(): number {
    return this.#levels.at(-1)?.level ?? this.#level;
  }

  /** The life after the last staged frame. */
  get stagedLife(): number {
    return this.#levels.at(-1)?.life ?? this.#life;
  }

  /** How many named logs there are, as committed. */
  get size(): number {
    return this.#size - this.cursors;
  }

  /** How many cursors there are, as committed, with those of logs that were deleted since. */
  get cursors(): number {
    return this.usageOf(allCursorsKey).logs;
  }

  /** How many cursors a log has, as committed; 0: `default`. */
  cursorsOf(log: LogId): number {
    return this.usageOf(cursorsKey(log)).logs;
  }

  /** The committed cursor of this name. */
  cursor(log: LogId, name: string): CursorRow | undefined {
    const row = this.named(cursorRowName(log, name));
    return isCursorRow(row) ? row : undefined;
  }

  /** At most `limit` committed cursors of a log whose names come after `after`, in the order of the bytes of their names. */
  cursorsFrom(
    log: LogId,
    after: string,
    limit: number,
  ): { readonly cursors: readonly CursorRow[]; readonly next: string | undefined } {
    const from = after === "" ? "" : cursorRowName(log, after);
    const { names, next } = this.stored.namesFrom(cursorPrefix(log), from, limit);
    const cursors = names.map((name) => this.named(name)).filter((row) => isCursorRow(row));
    return { cursors, next: next?.slice(cursorPrefix(log).length) };
  }

  /**
   * The same for the cursors of all logs, also of deleted ones, for work that looks at many rows once. `after` and `next` are
   * names of rows; "" is the start.
   */
  everyCursor(
    after: string,
    limit: number,
  ): { readonly cursors: readonly CursorRow[]; readonly next: string | undefined } {
    const { names, next } = this.stored.namesFrom(everyCursorPrefix, after, limit);
    const cursors = names.map((name) => this.stored.peekNamed(name)).filter((row) => isCursorRow(row));
    return { cursors, next };
  }

  /** What the committed logs use that this subject created. */
  usageOf(owner: string): LogUsage {
    return this.stored.usageOf(owner);
  }

  /** How many committed logs were forked from this one, with those that are only kept for their own forks. */
  forksOf(id: LogId): number {
    return this.stored.forksOf(id);
  }

  /** The committed table without its rows. */
  get head(): TableHead {
    return { level: this.#level, life: this.#life, nextId: this.#nextId, size: this.#size };
  }

  /** The id that the next create gets, staged ones considered. */
  get nextId(): LogId {
    return this.#stagedNextId;
  }

  /** The committed row. */
  row(id: LogId): LogRow | undefined {
    return id < this.#nextId ? this.stored.row(id) : undefined;
  }

  /** The same, for work that looks at many rows once. */
  peek(id: LogId): LogRow | undefined {
    return id < this.#nextId ? this.stored.peek(id) : undefined;
  }

  /** Returns true if the log of this id was created and deleted, as committed. */
  wasDeleted(id: LogId): boolean {
    return id < this.#nextId && this.stored.row(id) === undefined;
  }

  /** True while so many rows changed after a checkpoint that is still being written, that memory must be saved. */
  get lags(): boolean {
    return this.stored.isFrozen && this.stored.dirty >= lagMax;
  }

  /** True while half as many rows changed: what can wait, does. */
  get isBehind(): boolean {
    return this.stored.isFrozen && this.stored.dirty >= lagMax / 2;
  }

  /** True once the database of the rows turned out to be damaged. */
  get isDamaged(): boolean {
    return this.stored.isDamaged;
  }

  /** See CommittedRows.due(). */
  due(ms: number): Generator<LogId | undefined> {
    return this.stored.due(ms);
  }

  /** The committed rows, by id. For tests and for work on a log that no node serves. */
  rows(): Iterable<LogRow> {
    return this.stored.all();
  }

  /** The committed row of this name. */
  named(name: string): LogRow | undefined {
    return this.stored.named(name);
  }

  /** At most `limit` committed names of logs that begin with `prefix` and come after `after`, in the order of their bytes. */
  namesFrom(prefix: string, after: string, limit: number): NamesPage {
    // The rows of cursors come first.
    return this.stored.namesFrom(prefix, after > beforeLogNames ? after : beforeLogNames, limit);
  }

  /** The row after the last staged frame. */
  stagedRow(id: LogId): LogRow | undefined {
    const changes = this.#changesOf.get(id);
    return changes === undefined ? this.row(id) : changes[changes.length - 1]!.after;
  }

  /** The row of this name after the last staged frame. */
  stagedNamed(name: string): LogRow | undefined {
    const id = this.#stagedIdOf(name);
    return id === undefined ? undefined : this.stagedRow(id);
  }

  #stagedIdOf(name: string): LogId | undefined {
    return this.#stagedNames.has(name) ? this.#stagedNames.get(name) : this.stored.idOf(name);
  }

  /** The row after the frame at `index`, which is not below the committed index. */
  rowAt(id: LogId, index: RaftIndex): LogRow | undefined {
    const later = this.#changesOf.get(id)?.find((change) => change.index > index);
    return later === undefined ? this.stagedRow(id) : later.before;
  }

  /** The next id, and the id of the log of each name, after the frame at `index`, which is not below the committed index. */
  createsAt(index: RaftIndex): CreatesAt {
    const ids = new Map<string, LogId | undefined>();
    // The earliest of the later changes of a name tells what it meant before them.
    for (const { id, before, after, index: at } of this.#changes.toReversed()) {
      if (at <= index) break;
      if (before === undefined && after !== undefined) ids.set(after.name, undefined);
      else if (before !== undefined && after === undefined) ids.set(before.name, id);
    }
    const { nextId } = this.headAt(index);
    return { nextId, idOf: (name) => (ids.has(name) ? ids.get(name) : this.#stagedIdOf(name)) };
  }

  /** The Raft index of the last batch of a log before the batch at `before`; 0 if there is none. */
  lastBatch(id: LogId, before: RaftIndex): RaftIndex {
    return this.rowAt(id, before - 1)?.lastIndex ?? 0;
  }

  /**
   * Adds the frame at `at`, which is about a named log and is the next one of the common log. It is not committed yet. A frame
   * that does not fit its row is not added. Returns why. Whether the name of a create is free is not looked up here: a leader
   * does so before it writes one, and FrameSequence for the frames of a leader.
   */
  stage(bytes: Uint8Array, at: number): LogFlaw | undefined {
    const id = frameLogId(bytes, at);
    const before = this.stagedRow(id);
    const isCreate = before === undefined && createKinds.has(frameKind(bytes, at));
    if (isCreate && id < this.#stagedNextId) return "id-used";
    const after = rowAfter(before, bytes, at);
    if (typeof after === "string") return after;
    const freesName = before !== undefined && after === undefined && this.#stagedIdOf(before.name) === id;
    this.#add({ index: frameIndex(bytes, at), id, before, after, freesName });
    return undefined;
  }

  /** Adds a level command in the same way. */
  stageLevel(bytes: Uint8Array, at: number): void {
    assert(frameKind(bytes, at) === batchKind.level, "not a level");
    this.#levels.push({ index: frameIndex(bytes, at), ...decodeLevel(frameCommand(bytes, at)) });
  }

  /** Everything up to `index` is committed. Returns the ids of the logs that changed. */
  commitTo(index: RaftIndex): ReadonlySet<LogId> {
    const changed = new Set<LogId>();
    const freeze = this.#freeze;
    if (freeze !== undefined && index > freeze.boundary) {
      this.#commitTo(freeze.boundary, changed);
      this.#freeze = undefined;
      this.stored.freeze();
      freeze.frozen(this.head);
    }
    this.#commitTo(index, changed);
    return changed;
  }

  #commitTo(index: RaftIndex, changed: Set<LogId>): void {
    while (this.#levels.length > 0 && this.#levels[0]!.index <= index) {
      const { level, life } = this.#levels.shift()!;
      this.#level = level;
      this.#life = life;
    }
    if (this.#changes.length === 0 || this.#changes[0]!.index > index) return;
    const later = this.#changes.findIndex((change) => change.index > index);
    const done = this.#changes.splice(0, later < 0 ? this.#changes.length : later);
    for (const change of done) {
      this.#commit(change);
      changed.add(change.id);
      const changes = this.#changesOf.get(change.id)!;
      if (changes.length === 1) this.#changesOf.delete(change.id);
      else changes.shift();
    }
  }

  /**
   * Freezes the rows as they are after the frame at `boundary`, which is not below the committed index, once a later frame is
   * committed. So the boundary stays one: a segment that begins after it is never cut off. Replaces an earlier request.
   */
  freezeAfter(boundary: RaftIndex, frozen: (head: TableHead) => void): void {
    this.#freeze = { boundary, frozen };
  }

  /** Frames from `from` on were cut off. */
  truncate(from: RaftIndex): void {
    this.#levels = this.#levels.filter(({ index }) => index < from);
    // The next segment may begin elsewhere.
    if (this.#freeze !== undefined && from <= this.#freeze.boundary + 1) this.#freeze = undefined;
    const kept = this.#changes.filter(({ index }) => index < from);
    if (kept.length === this.#changes.length) return;
    this.#changes = [];
    this.#changesOf.clear();
    this.#stagedNames.clear();
    this.#stagedNextId = this.#nextId;
    for (const change of kept) this.#add(change);
  }

  /** The table without its rows after the frame at `index`, which is not below the committed index. */
  headAt(index: RaftIndex): TableHead {
    let { level, life, nextId, size } = this.head;
    for (const staged of this.#levels) if (staged.index <= index) ({ level, life } = staged);
    for (const { id, before, after, index: at } of this.#changes) {
      if (at > index) break;
      if (before === undefined) nextId = Math.max(nextId, id + 1);
      size += Number(after !== undefined) - Number(before !== undefined);
    }
    return { level, life, nextId, size };
  }

  /** The logs that the uncommitted frames up to `index` delete. */
  deletedUpTo(index: RaftIndex): readonly LogId[] {
    const deleted = this.#changes.filter((change) => change.index <= index && change.after === undefined);
    return deleted.map(({ id }) => id);
  }

  #add(change: Change): void {
    const { id, before, after, freesName } = change;
    if (before === undefined) this.#stagedNextId = Math.max(this.#stagedNextId, id + 1);
    if (before === undefined && after !== undefined) this.#stagedNames.set(after.name, id);
    else if (before !== undefined && freesName) this.#stagedNames.set(before.name, undefined);
    this.#changes.push(change);
    const changes = this.#changesOf.get(id);
    if (changes === undefined) this.#changesOf.set(id, [change]);
    else changes.push(change);
  }

  #commit({ id, before, after, freesName }: Change): void {
    this.stored.put(id, before, after, freesName);
    if (before !== undefined && after !== undefined) return;
    const name = (after ?? before)?.name ?? "";
    this.#size += Number(after !== undefined) - Number(before !== undefined);
    if (after !== undefined) this.#nextId = Math.max(this.#nextId, id + 1);
    if (after === undefined && !freesName) return;
    if (this.#stagedNames.has(name) && this.#stagedNames.get(name) === this.stored.idOf(name))
      this.#stagedNames.delete(name);
  }
}
