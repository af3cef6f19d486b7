/**
 * The rows of the named logs: the committed ones, and what the uncommitted frames will make of them. Pure.
 *
 * Invariant: the table is a function of the frames alone. An id is never used again, so a row that is deleted stays away.
 */
import { assert } from "../../lib/assert.ts";
import type { LogId, RaftIndex } from "../../types.ts";
import type { LogFlaw } from "../frame/chain.ts";
import { batchKind, frameCommand, frameIndex, frameKind, frameLogId } from "../frame/frame.ts";
import { decodeLevel } from "../frame/log-command.ts";
import { type LogRow, rowAfter } from "./log-row.ts";
import { SortedNames } from "./sorted-names.ts";

/** The committed table, as a checkpoint holds it. */
export interface LogTableCheckpoint {
  readonly level: number;
  readonly life: number;
  /** The id of the next log. It is state of its own: the highest row can be deleted. */
  readonly nextId: LogId;
  readonly rows: readonly LogRow[];
}

/** What one frame changes. */
interface Change {
  readonly index: RaftIndex;
  readonly id: LogId;
  readonly before: LogRow | undefined;
  readonly after: LogRow | undefined;
}

/** What the logs that a subject created use. */
export interface LogUsage {
  readonly logs: number;
  /** Bytes of the frames that hold their records. */
  readonly bytes: number;
}

const noUsage: LogUsage = { logs: 0, bytes: 0 };

export const emptyTable: LogTableCheckpoint = { level: 0, life: 0, nextId: 1, rows: [] };

export class LogTable {
  readonly #committed = new Map<LogId, LogRow>();
  readonly #committedNames = new Map<string, LogId>();
  readonly #sortedNames: SortedNames;
  readonly #limited = new Set<LogId>();
  /** The sums over the committed rows, by owner. */
  readonly #usage = new Map<string, LogUsage>();
  /** The uncommitted changes in the order of the common log, and those of each log. */
  #changes: Change[] = [];
  readonly #changesOf = new Map<LogId, Change[]>();
  /** Names of which uncommitted frames change the log; undefined if the log will be deleted. */
  readonly #stagedNames = new Map<string, LogId | undefined>();
  #levels: { readonly index: RaftIndex; readonly level: number; readonly life: number }[] = [];
  #level: number;
  #life: number;
  #nextId: LogId;

  constructor({ level, life, nextId, rows }: LogTableCheckpoint = emptyTable) {
    this.#level = level;
    this.#life = life;
    this.#nextId = nextId;
    for (const row of rows) {
      this.#committed.set(row.id, row);
      if (isLimited(row)) this.#limited.add(row.id);
      this.#committedNames.set(row.name, row.id);
      this.#count(undefined, row);
    }
    this.#sortedNames = new SortedNames(this.#committedNames.keys());
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

  /** How many logs there are, as committed. */
  get size(): number {
    return this.#committed.size;
  }

  /** What the committed logs use that this subject created. */
  usageOf(owner: string): LogUsage {
    return this.#usage.get(owner) ?? noUsage;
  }

  /** The committed logs that can expire, or lose records by their settings. */
  get limited(): ReadonlySet<LogId> {
    return this.#limited;
  }

  /** The id that the next create gets, staged ones considered. */
  get nextId(): LogId {
    let next = this.#nextId;
    for (const { id, before } of this.#changes) if (before === undefined) next = Math.max(next, id + 1);
    return next;
  }

  /** The committed row. */
  row(id: LogId): LogRow | undefined {
    return this.#committed.get(id);
  }

  /** Returns true if the log of this id was created and deleted, as committed. */
  wasDeleted(id: LogId): boolean {
    return id < this.#nextId && !this.#committed.has(id);
  }

  /** The committed rows, in no order. */
  rows(): IterableIterator<LogRow> {
    return this.#committed.values();
  }

  /** The committed row of this name. */
  named(name: string): LogRow | undefined {
    const id = this.#committedNames.get(name);
    return id === undefined ? undefined : this.#committed.get(id);
  }

  /** At most `limit` committed names that begin with `prefix` and come after `after`, in the order of their bytes. */
  namesFrom(prefix: string, after: string, limit: number): readonly string[] {
    return this.#sortedNames.page(prefix, after, limit);
  }

  /** The row after the last staged frame. */
  stagedRow(id: LogId): LogRow | undefined {
    const changes = this.#changesOf.get(id);
    return changes === undefined ? this.#committed.get(id) : changes[changes.length - 1]!.after;
  }

  /** The row of this name after the last staged frame. */
  stagedNamed(name: string): LogRow | undefined {
    const id = this.#stagedNames.has(name) ? this.#stagedNames.get(name) : this.#committedNames.get(name);
    return id === undefined ? undefined : this.stagedRow(id);
  }

  /** The row after the frame at `index`, which is not below the committed index. */
  rowAt(id: LogId, index: RaftIndex): LogRow | undefined {
    const later = this.#changesOf.get(id)?.find((change) => change.index > index);
    return later === undefined ? this.stagedRow(id) : later.before;
  }

  /** The Raft index of the last batch of a log before the batch at `before`; 0 if there is none. */
  lastBatch(id: LogId, before: RaftIndex): RaftIndex {
    return this.rowAt(id, before - 1)?.lastIndex ?? 0;
  }

  /**
   * Adds the frame at `at`, which is about a named log and is the next one of the common log. It is not committed yet. A frame
   * that does not fit its row is not added. Returns why.
   */
  stage(bytes: Uint8Array, at: number): LogFlaw | undefined {
    const id = frameLogId(bytes, at);
    const before = this.stagedRow(id);
    const after = rowAfter(before, bytes, at);
    if (typeof after === "string") return after;
    this.#add({ index: frameIndex(bytes, at), id, before, after });
    return undefined;
  }

  /** Adds a level command in the same way. */
  stageLevel(bytes: Uint8Array, at: number): void {
    assert(frameKind(bytes, at) === batchKind.level, "not a level");
    this.#levels.push({ index: frameIndex(bytes, at), ...decodeLevel(frameCommand(bytes, at)) });
  }

  /** Everything up to `index` is committed. Returns the ids of the logs that changed. */
  commitTo(index: RaftIndex): readonly LogId[] {
    while (this.#levels.length > 0 && this.#levels[0]!.index <= index) {
      const { level, life } = this.#levels.shift()!;
      this.#level = level;
      this.#life = life;
    }
    if (this.#changes.length === 0 || this.#changes[0]!.index > index) return [];
    const later = this.#changes.findIndex((change) => change.index > index);
    const done = this.#changes.splice(0, later < 0 ? this.#changes.length : later);
    const counts = new Map<LogId, number>();
    for (const change of done) {
      this.#commit(change);
      counts.set(change.id, (counts.get(change.id) ?? 0) + 1);
    }
    for (const [id, count] of counts) {
      const changes = this.#changesOf.get(id)!;
      if (count === changes.length) this.#changesOf.delete(id);
      else changes.splice(0, count);
    }
    return [...counts.keys()];
  }

  /** Frames from `from` on were cut off. */
  truncate(from: RaftIndex): void {
    this.#levels = this.#levels.filter(({ index }) => index < from);
    const kept = this.#changes.filter(({ index }) => index < from);
    if (kept.length === this.#changes.length) return;
    this.#changes = [];
    this.#changesOf.clear();
    this.#stagedNames.clear();
    for (const change of kept) this.#add(change);
  }

  /** The committed table. */
  checkpoint(): LogTableCheckpoint {
    return {
      level: this.#level,
      life: this.#life,
      nextId: this.#nextId,
      rows: [...this.#committed.values()],
    };
  }

  /** An independent copy. */
  copy(): LogTable {
    const copy = new LogTable(this.checkpoint());
    copy.#levels = [...this.#levels];
    for (const change of this.#changes) copy.#add(change);
    return copy;
  }

  #add(change: Change): void {
    const { id, before, after } = change;
    // A name that another log has by now stays with that log.
    const wasNamed = before !== undefined && this.stagedNamed(before.name)?.id === id;
    this.#changes.push(change);
    const changes = this.#changesOf.get(id);
    if (changes === undefined) this.#changesOf.set(id, [change]);
    else changes.push(change);
    if (before === undefined && after !== undefined) this.#stagedNames.set(after.name, id);
    else if (after === undefined && wasNamed) this.#stagedNames.set(before.name, undefined);
  }

  /** Counts a committed row in place of the one before it. */
  #count(before: LogRow | undefined, after: LogRow | undefined): void {
    const owner = (after ?? before)?.owner;
    if (owner === undefined) return;
    const { logs, bytes } = this.usageOf(owner);
    const now = {
      logs: logs + (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1),
      bytes: bytes + (after?.bytes ?? 0) - (before?.bytes ?? 0),
    };
    if (now.logs === 0) this.#usage.delete(owner);
    else this.#usage.set(owner, now);
  }

  #commit({ id, before, after }: Change): void {
    const name = (after ?? before)?.name ?? "";
    if (after !== undefined) this.#committed.set(id, after);
    else this.#committed.delete(id);
    this.#count(before, after);
    if (after !== undefined && isLimited(after)) this.#limited.add(id);
    else this.#limited.delete(id);
    if (before === undefined && after !== undefined) {
      this.#committedNames.set(name, id);
      this.#sortedNames.add(name);
      this.#nextId = Math.max(this.#nextId, id + 1);
    } else if (after === undefined && this.#committedNames.get(name) === id) {
      this.#committedNames.delete(name);
      this.#sortedNames.delete(name);
    }
    if (this.#stagedNames.get(name) === this.#committedNames.get(name)) this.#stagedNames.delete(name);
  }
}

const isLimited = ({ settings }: LogRow): boolean =>
  settings.ttlMs !== undefined ||
  settings.expiresAtMs !== undefined ||
  settings.retentionAgeMs !== undefined ||
  settings.retentionBytes !== undefined;
