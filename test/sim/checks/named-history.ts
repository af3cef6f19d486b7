/**
 * The named logs of a simulated cluster: what the committed frames make of them, by a model of its own, and what clients
 * were told. Values are unique over all logs.
 */
import type { CursorCommand } from "../../../src/log/frame/cursor-command.ts";
import { type BatchKind, batchKind } from "../../../src/log/mod.ts";
import type { LogFork, LogId, LogInfo, NamedLogSettings, Offset, RaftIndex } from "../../../src/types.ts";
import { Violation } from "./violation.ts";

/** A committed frame about a named log. */
export interface NamedFrame {
  readonly id: LogId;
  readonly kind: BatchKind;
  readonly base: Offset;
  /** Of a create. */
  readonly name: string | undefined;
  readonly owner: string | undefined;
  /** Of a create, or of a change of them. */
  readonly settings: NamedLogSettings | undefined;
  /** Of a create of a fork. */
  readonly fork: (LogFork & { readonly lowest: Offset }) | undefined;
  /** Of a commit of a cursor. */
  readonly cursor: CursorCommand | undefined;
  readonly timestampMs: number;
  /** Of a delete, or of one that hides: it is passed over if the log has a later version. */
  readonly deletes: { readonly upTo: RaftIndex | undefined } | undefined;
  /** Of a trim: the lowest offset before and after it, and the bytes that it removes. */
  readonly trim: { readonly from: Offset; readonly to: Offset; readonly bytes: number } | undefined;
  readonly bytes: number;
  readonly values: readonly string[];
  /** The batch of a stream closes its log. */
  readonly closes: boolean;
}

/** A committed batch with records. */
export interface NamedBatch {
  readonly index: RaftIndex;
  readonly id: LogId;
  readonly base: Offset;
  readonly count: number;
}

export interface NamedWrite {
  readonly value: string;
  readonly name: string;
  readonly invoked: number;
  completed: number | undefined;
  outcome: "open" | "acked" | "not-written" | "unknown";
  at: { readonly id: LogId; readonly offset: Offset } | undefined;
}

interface ModelLog {
  readonly id: LogId;
  readonly name: string;
  readonly owner: string | undefined;
  /** With those of the log that it was forked from. */
  readonly values: string[];
  readonly fork: LogFork | undefined;
  settings: NamedLogSettings;
  lowest: Offset;
  bytes: number;
  closed: boolean;
  /** For its clients. */
  deleted: boolean;
  /** Also for its forks. */
  gone: boolean;
  version: RaftIndex;
  /** The last create, append or touch: the time to live begins there. */
  livedMs: number;
}

/** What clients know of a log. Times are those of the history. */
interface Told {
  readonly name: string;
  /** A client knows since then that it exists. */
  created: number;
  deleteInvoked: number;
  deleted: number;
  closeInvoked: number;
  closed: number;
  /** The highest end that was returned. */
  end: Offset;
}

/** The quotas of the simulated clusters. */
export const simQuotas = { logsMax: 3, subjectLogsMax: 2, subjectLogBytesMax: 3_000 } as const;
/** The name of logs that expire. */
export const livedName = "lived";
/** The headers of the frames of appends at the same time come on top of the bytes that are checked. */
const headerBytesMax = 1_000;

const never = Number.POSITIVE_INFINITY;

export class NamedHistory {
  readonly logs = new Map<LogId, ModelLog>();
  readonly #batches: NamedBatch[] = [];
  readonly #names = new Map<string, ModelLog>();
  readonly #writes = new Map<string, NamedWrite>();
  readonly #told = new Map<LogId, Told>();
  /** Index → the rows of the servers that have applied exactly that much. */
  readonly #rows = new Map<RaftIndex, string>();
  /** Names of which a delete without an id was invoked, and when. */
  readonly #deletesByName = new Map<string, number>();
  #clock = 0;
  readonly counts = { acked: 0, created: 0, deleted: 0, expired: 0, reads: 0 };

  get now(): number {
    return ++this.#clock;
  }

  /** A frame was committed. Each one is given once, in the order of the common log. */
  committed(frame: NamedFrame, index: RaftIndex): void {
    const { id, kind, base, trim, bytes, values, closes, deletes, settings, timestampMs } = frame;
    const log = this.logs.get(id);
    if (kind === batchKind.createLog) {
      this.#created(frame, index);
      return;
    }
    if (log === undefined || log.gone) fail("frame-without-log", `${kind} of ${id}`);
    if (base !== log.values.length)
      fail("offsets-not-dense", `${id} ends at ${log.values.length}, not ${base}`);
    if (kind === batchKind.data && log.closed) fail("append-to-closed", `${id} gets ${values.join()}`);
    if (kind === batchKind.data && log.deleted) fail("append-to-deleted", `${id} gets ${values.join()}`);
    if (deletes !== undefined) {
      this.#deleted(log, frame, deletes.upTo, index);
      return;
    }
    if (kind === batchKind.trimLog && trim!.from !== log.lowest) return;
    log.version = index;
    if (kind === batchKind.data) {
      this.#batches.push({ index, id, base, count: values.length });
      log.values.push(...values);
      log.bytes += bytes;
      this.#checkQuotas(log.owner);
    }
    if (kind === batchKind.data || kind === batchKind.touchLog) log.livedMs = timestampMs;
    if (kind === batchKind.configureLog) log.settings = settings!;
    if (kind === batchKind.closeLog || closes) log.closed = true;
    if (kind !== batchKind.trimLog) return;
    if (this.#forksOf(id) > 0) fail("source-trimmed", `${log.name} ${id} to ${trim!.to}`);
    log.lowest = trim!.to;
    log.bytes = Math.max(0, log.bytes - trim!.bytes);
  }

  #created({ id, name, owner, fork, settings, timestampMs }: NamedFrame, index: RaftIndex): void {
    const known = this.logs.get(id);
    if (known !== undefined) fail("id-reused", `${id} for ${name}, it was ${known.name}`);
    const other = this.#names.get(name!);
    if (other !== undefined) fail("name-in-use", `${name} is ${other.id}, and now ${id}`);
    const created: ModelLog = {
      ...{ id, name: name!, owner, fork, settings: settings!, bytes: 0, version: index },
      values: fork === undefined ? [] : this.#inherited(id, fork),
      lowest: fork?.lowest ?? 0,
      closed: false,
      deleted: false,
      gone: false,
      livedMs: timestampMs,
    };
    this.logs.set(id, created);
    this.#names.set(name!, created);
    this.#checkQuotas(owner);
  }

  /** The values that a fork begins with. */
  #inherited(id: LogId, { source, lowest, next, cut }: NonNullable<NamedFrame["fork"]>): string[] {
    const from = this.logs.get(source);
    if (from === undefined || from.deleted) fail("fork-of-deleted", `${id} of ${source}`);
    if (next > from.values.length) fail("fork-beyond-end", `${id} of ${source} at ${next}`);
    if (lowest !== from.lowest)
      fail("fork-of-trimmed", `${id} of ${source} from ${lowest}, not ${from.lowest}`);
    const values = from.values.slice(0, next);
    if (cut !== undefined) values.push(values.pop()!.slice(0, cut));
    return values;
  }

  /** The log is deleted, for its clients or also for its forks. One that was decided for an earlier version is passed over. */
  #deleted(
    log: ModelLog,
    { kind, timestampMs }: NamedFrame,
    upTo: RaftIndex | undefined,
    index: RaftIndex,
  ): void {
    if (upTo !== undefined && log.version > upTo) return;
    const { ttlMs, contentType } = log.settings;
    if (upTo !== undefined && !log.deleted) {
      const livesMs = (ttlMs ?? never) * (contentType === undefined ? 1 : 1.25);
      if (timestampMs < log.livedMs + livesMs)
        fail("deleted-alive", `${log.name} ${log.id} at ${timestampMs}, lived at ${log.livedMs}`);
      this.counts.expired++;
    }
    log.version = index;
    log.deleted = true;
    if (kind === batchKind.hideLog) return;
    if (this.#forksOf(log.id) > 0) fail("source-deleted", `${log.name} ${log.id}`);
    log.gone = true;
    this.#names.delete(log.name);
  }

  #forksOf(id: LogId): number {
    let forks = 0;
    for (const { fork } of this.#names.values()) if (fork?.source === id) forks++;
    return forks;
  }

  /** The committed batches with records from an index on, in order. */
  batchesFrom(index: RaftIndex): readonly NamedBatch[] {
    let [low, high] = [0, this.#batches.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#batches[middle]!.index < index) low = middle + 1;
      else high = middle;
    }
    return this.#batches.slice(low);
  }

  #checkQuotas(owner: string | undefined): void {
    const there = [...this.#names.values()];
    if (there.length > simQuotas.logsMax) fail("too-many-logs", `${there.length}`);
    if (owner === undefined) return;
    const own = there.filter((log) => log.owner === owner);
    if (own.length > simQuotas.subjectLogsMax) fail("too-many-logs-of-subject", `${own.length} of ${owner}`);
    const bytes = own.reduce((sum, log) => sum + log.bytes, 0);
    if (bytes > simQuotas.subjectLogBytesMax + headerBytesMax)
      fail("too-many-bytes-of-subject", `${bytes} of ${owner}`);
  }

  /** The rows of a server as of an index are those of every other one there. */
  rowsAt(index: RaftIndex, rows: string): void {
    const before = this.#rows.get(index);
    if (before === undefined) this.#rows.set(index, rows);
    else if (before !== rows) fail("rows-differ", `at ${index}: ${before} and ${rows}`);
  }

  valueAt(id: LogId, offset: Offset): string | undefined {
    return this.logs.get(id)?.values[offset];
  }

  invoke(value: string, name: string): NamedWrite {
    const write: NamedWrite = {
      value,
      name,
      invoked: this.now,
      completed: undefined,
      outcome: "open",
      at: undefined,
    };
    this.#writes.set(value, write);
    return write;
  }

  acked(write: NamedWrite, id: LogId, offset: Offset): void {
    const { value, at, invoked, name } = write;
    if (at !== undefined && (at.id !== id || at.offset !== offset)) {
      fail("two-offsets", `${value} is at ${at.id}/${at.offset} and at ${id}/${offset}`);
    }
    write.outcome = "acked";
    write.completed = this.now;
    write.at = { id, offset };
    this.counts.acked++;
    const told = this.#toldOf(id, name);
    if (told.deleted < invoked) fail("append-to-deleted", `${value} in ${id}`);
    if (told.closed < invoked) fail("append-to-closed", `${value} in ${id}`);
    told.end = Math.max(told.end, offset + 1);
    const found = this.valueAt(id, offset);
    if (found !== undefined && found !== value)
      fail("wrong-offset", `${value} at ${id}/${offset} is ${found}`);
  }

  /** The write of a stream was done before, somewhere below `end`. */
  repeated(write: NamedWrite, id: LogId, end: Offset): void {
    write.outcome = "acked";
    write.completed = this.now;
    this.counts.acked++;
    const told = this.#toldOf(id, write.name);
    if (told.deleted < write.invoked) fail("append-to-deleted", `${write.value} in ${id}`);
    told.end = Math.max(told.end, end);
  }

  failed(write: NamedWrite, written: "no" | "unknown"): void {
    write.outcome = written === "no" ? "not-written" : "unknown";
    write.completed = this.now;
  }

  /** A client learned that the log is there: at `invoked` or later. */
  exists({ id, name, closed }: Pick<LogInfo, "id" | "name" | "closed">, invoked: number): void {
    const told = this.#toldOf(id, name);
    if (told.name !== name) fail("another-name", `${id} is ${name} and ${told.name}`);
    if (told.deleted < invoked) fail("deleted-shown", `${name} ${id}`);
    if (!closed && told.closed < invoked) fail("closed-shown-open", `${name} ${id}`);
    told.created = Math.min(told.created, this.now);
  }

  /** Begins a change of a log. Without an id, it can be any log of the name. */
  deleting(name: string, id: LogId | undefined): void {
    if (id === undefined)
      this.#deletesByName.set(name, Math.min(this.#deletesByName.get(name) ?? never, this.now));
    else {
      const told = this.#toldOf(id, name);
      told.deleteInvoked = Math.min(told.deleteInvoked, this.now);
    }
  }

  deleted(id: LogId, name: string): void {
    const told = this.#toldOf(id, name);
    told.deleted = Math.min(told.deleted, this.now);
    this.counts.deleted++;
  }

  closed(id: LogId, name: string): void {
    const told = this.#toldOf(id, name);
    told.closed = Math.min(told.closed, this.now);
  }

  /** A fresh answer says that there is no log of this name, or that the log is another one. */
  missing(name: string, id: LogId | undefined, invoked: number): void {
    if (name === livedName) return;
    for (const [known, told] of this.#told) {
      if (told.name !== name || (id !== undefined && known !== id) || told.created >= invoked) continue;
      const byName = this.#deletesByName.get(name) ?? never;
      if (told.deleteInvoked === never && byName === never) fail("not-found-denied", `${name} ${known}`);
    }
  }

  /** The lowest end of a log that a fresh read may return if it is invoked now. */
  floor(id: LogId): Offset {
    return this.#told.get(id)?.end ?? 0;
  }

  read(id: LogId, name: string, end: Offset, floor: Offset): void {
    this.counts.reads++;
    if (end < floor)
      fail("linearizable-read", `${name} ${id} ends at ${end}, but ${floor} was returned before`);
    const told = this.#toldOf(id, name);
    told.end = Math.max(told.end, end);
  }

  /** A reader must see the committed value of an offset. */
  shown(id: LogId, from: Offset, values: readonly string[]): void {
    for (const [place, value] of values.entries()) {
      const known = this.valueAt(id, from + place);
      if (known !== value) fail("shown-uncommitted", `${value} at ${id}/${from + place}, not ${known}`);
    }
  }

  /** Checks the whole history against the committed frames. */
  check(): void {
    const at = new Map<string, { readonly id: LogId; readonly offset: Offset }>();
    for (const { id, name, values: all, fork } of this.logs.values()) {
      const first = fork?.next ?? 0;
      const values = all.slice(first);
      for (const [place, value] of values.entries()) {
        const offset = first + place;
        if (at.has(value)) fail("duplicate", `${value} is in ${id} and ${at.get(value)?.id}`);
        at.set(value, { id, offset });
        const write = this.#writes.get(value);
        if (write === undefined) fail("invented", `${value} in ${id}`);
        if (write.name !== name) fail("in-another-log", `${value} of ${write.name} is in ${name} ${id}`);
        if (write.outcome === "not-written") fail("not-written-appears", `${value} is at ${id}/${offset}`);
      }
      this.#checkOrder(values);
    }
    for (const { value, outcome, at: told } of this.#writes.values()) {
      if (outcome !== "acked") continue;
      const found = at.get(value);
      if (told === undefined && found !== undefined) continue;
      if (found?.id !== told?.id || found?.offset !== told?.offset) {
        fail("acked-lost", `${value} was acknowledged at ${told?.id}/${told?.offset}`);
      }
    }
  }

  /** If a write was acknowledged before another one of the log was invoked, it has the lower offset. */
  #checkOrder(values: readonly string[]): void {
    let earliest = never;
    for (const value of values.toReversed()) {
      const { invoked, completed, outcome } = this.#writes.get(value)!;
      if (invoked > earliest) fail("real-time-order", value);
      if (outcome === "acked") earliest = Math.min(earliest, completed ?? never);
    }
  }

  #toldOf(id: LogId, name: string): Told {
    let told = this.#told.get(id);
    if (told === undefined) {
      const times = {
        created: never,
        deleteInvoked: never,
        deleted: never,
        closeInvoked: never,
        closed: never,
      };
      told = { name, ...times, end: 0 };
      this.#told.set(id, told);
    }
    return told;
  }
}

function fail(invariant: string, detail: string): never {
  throw new Violation(invariant, `named logs: ${detail}`);
}
