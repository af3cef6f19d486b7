/**
 * The loaded part of the list of logs, in the order of the names' bytes. Pages of ListLogs extend it at its end, and pages
 * of what is visible update it. A page replaces every row between its two ends, so logs that were created or deleted appear
 * and disappear. The rate of appends comes from two pages that have the same log.
 */
import { compareNames } from "../../../src/lib/names/name-order.ts";

/** What a form can change. Undefined: the cluster's value. */
export interface LogSettingsSeen {
  /** The cluster deletes the oldest records beyond this size, and those that are older. */
  readonly retentionBytes: number | undefined;
  readonly retentionAgeMs: number | undefined;
  readonly maxBytes: number | undefined;
  readonly recordBytesMax: number | undefined;
  /** The cluster deletes the log this long after its last append, or at a time. Undefined: never. */
  readonly ttlMs: number | undefined;
  readonly expiresAtMs: number | undefined;
  readonly contentType: string | undefined;
}

/** A log as a node reported it. */
export interface LogSeen {
  readonly name: string;
  readonly id: string;
  readonly lowest: number;
  readonly next: number;
  readonly bytes: number;
  readonly createdMs: number;
  /** When the last record was appended. 0 if there was none. */
  readonly lastMs: number;
  readonly closed: boolean;
  readonly settings: LogSettingsSeen;
}

export interface LogRow extends LogSeen {
  /** When `next` was read, on a monotonic clock. */
  readonly seenMs: number;
  /** Records per second. Undefined until the log was seen twice. */
  readonly perSecond: number | undefined;
}

/** A shorter time between two pages gives no rate. */
const rateMsMin = 500;
/** A longer one gives a mean of the past, and not the present rate: the row was not visible. */
const rateMsMax = 15_000;

/** Returns the row of a log, with the rate since `before` if that is the same log. */
export function rowOf(seen: LogSeen, before: LogRow | undefined, seenMs: number): LogRow {
  if (before === undefined || before.id !== seen.id || seenMs - before.seenMs > rateMsMax) {
    return { ...seen, seenMs, perSecond: undefined };
  }
  const passedMs = seenMs - before.seenMs;
  // `next` and the time when it was read stay together.
  if (passedMs < rateMsMin)
    return { ...seen, seenMs: before.seenMs, next: before.next, perSecond: before.perSecond };
  return { ...seen, seenMs, perSecond: (Math.max(0, seen.next - before.next) * 1000) / passedMs };
}

export class LogRows {
  #rows: LogRow[] = [];
  /** Every log up to this name is loaded. Undefined: all logs. */
  #loadedTo: string | undefined = "";

  get count(): number {
    return this.#rows.length;
  }

  /** The name after which the next page begins. Undefined if all logs are loaded. */
  get loadedTo(): string | undefined {
    return this.#loadedTo;
  }

  at(index: number): LogRow | undefined {
    return this.#rows[index];
  }

  /** The index of this name, or of the first one behind it. */
  indexOf(name: string): number {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareNames((this.#rows[middle] as LogRow).name, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get(name: string): LogRow | undefined {
    const row = this.#rows[this.indexOf(name)];
    return row?.name === name ? row : undefined;
  }

  /**
   * Takes a page: all logs after the name `after`, up to and including `next`, or with an empty `next` to the end. A page
   * that begins behind the loaded part is ignored, since it would leave a gap.
   */
  take(after: string, logs: readonly LogSeen[], next: string, nowMs: number): void {
    if (this.#loadedTo !== undefined && compareNames(after, this.#loadedTo) > 0) return;
    const rows = logs.map((seen) => rowOf(seen, this.get(seen.name), nowMs));
    const from = this.#indexAfter(after);
    const to = next === "" ? this.#rows.length : this.#indexAfter(next);
    this.#rows.splice(from, to - from, ...rows);
    const isLast = from + rows.length === this.#rows.length;
    if (next === "") this.#loadedTo = undefined;
    // A list that was complete has more logs behind its last one now.
    else if (this.#loadedTo === undefined) this.#loadedTo = isLast ? next : undefined;
    else if (compareNames(next, this.#loadedTo) > 0) this.#loadedTo = next;
  }

  /** Adds or replaces one log, if its place in the list is loaded. */
  put(seen: LogSeen, nowMs: number): void {
    if (this.#loadedTo !== undefined && compareNames(seen.name, this.#loadedTo) > 0) return;
    const at = this.indexOf(seen.name);
    const before = this.#rows[at];
    const known = before?.name === seen.name ? before : undefined;
    this.#rows.splice(at, known === undefined ? 0 : 1, rowOf(seen, known, nowMs));
  }

  drop(name: string): void {
    const at = this.indexOf(name);
    if (this.#rows[at]?.name === name) this.#rows.splice(at, 1);
  }

  #indexAfter(name: string): number {
    const at = this.indexOf(name);
    return this.#rows[at]?.name === name ? at + 1 : at;
  }
}
