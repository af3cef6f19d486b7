/**
 * Adds up what removed records hold of the sealed segments, from one look at each of them in their order. Memory: an entry for each
 * log with removed records, up to a limit, and for each of a few logs that keep files.
 */
import type { LogSpace, SpaceUse } from "../../lib/disk/space-use.ts";
import type { LogId } from "../../types.ts";
import type { LogTable } from "../state/log-table.ts";

/** Logs that a report names, of each kind. */
const namedMax = 10;
/** Logs whose removed records are added up. Beyond that, the smaller ones are forgotten: then a sum can be too small. */
const logsMax = 65_536;
/** Logs that are added between two yields. */
const stepLogs = 1024;

/** What a look found in a segment. */
export interface SegmentSpace {
  /** Bytes of removed records, for each log with some. */
  readonly removed: ReadonlyMap<LogId, number>;
  /** Those of deleted logs. */
  readonly deletedBytes: number;
  /** How many batches of each log can be read. Logs without any are not in it. */
  readonly live: ReadonlyMap<LogId, number>;
  /** What settling would give back. */
  readonly gainBytes: number;
}

type Row = LogTable["row"];

export class SpaceCensus {
  readonly #row: Row;
  readonly #removed = new Map<LogId, number>();
  /** Logs with the oldest records, and the bytes of removed records in front of these. */
  readonly #keeping = new Map<LogId, number>();
  #bytes = 0;
  #removedBytes = 0;
  #deletedBytes = 0;
  #gainBytes = 0;

  /** `row`: the committed row of a named log. */
  constructor(row: Row) {
    this.#row = row;
  }

  /** Whether it needs `live` of the next segment. */
  get wantsLive(): boolean {
    return this.#keeping.size < namedMax;
  }

  /** Takes the next segment, in steps. */
  *add(
    segmentBytes: number,
    { removed, deletedBytes, live, gainBytes }: SegmentSpace,
  ): Generator<void, true> {
    if (this.wantsLive) this.#keep(live);
    this.#bytes += segmentBytes;
    this.#gainBytes += gainBytes;
    this.#deletedBytes += deletedBytes;
    this.#removedBytes += deletedBytes;
    let logs = 0;
    for (const [id, bytes] of removed) {
      this.#removedBytes += bytes;
      this.#removed.set(id, (this.#removed.get(id) ?? 0) + bytes);
      if (++logs % stepLogs === 0) yield;
    }
    if (this.#removed.size > logsMax) yield* this.#forget();
    return true;
  }

  /** Forgets half of the logs, the smaller ones first: about, without sorting them. */
  *#forget(): Generator<void, void> {
    const average = this.#removedBytes / this.#removed.size;
    for (let least = average / 2; this.#removed.size > logsMax / 2; least *= 1.25) {
      for (const [id, bytes] of this.#removed) {
        if (this.#removed.size <= logsMax / 2) break;
        if (bytes < least) this.#removed.delete(id);
      }
      yield;
    }
  }

  report(): Omit<SpaceUse, "ageMs"> {
    const keeping = [...this.#keeping].map(([id, before]) => [id, this.#removedBytes - before] as const);
    return {
      bytes: this.#bytes,
      removedBytes: this.#removedBytes,
      deletedBytes: this.#deletedBytes,
      reclaimableBytes: this.#gainBytes,
      removed: this.#named(largest(this.#removed, namedMax)),
      keeping: this.#named(keeping.filter(([, bytes]) => bytes > 0)),
    };
  }

  #keep(live: ReadonlyMap<LogId, number>): void {
    const found = [...live].filter(([id]) => !this.#keeping.has(id));
    for (const [id] of largest(found, namedMax - this.#keeping.size))
      this.#keeping.set(id, this.#removedBytes);
  }

  #named(logs: Iterable<readonly [LogId, number]>): LogSpace[] {
    return [...logs].flatMap(([id, bytes]) => {
      const name = id === 0 ? "default" : this.#row(id)?.name;
      return name === undefined ? [] : [{ name, bytes }];
    });
  }
}

type Entry = readonly [id: LogId, value: number];

/** The few entries with the largest values, the largest first. One pass: there can be many entries. */
function largest(found: Iterable<Entry>, max: number): Entry[] {
  const top: Entry[] = [];
  for (const entry of found) {
    if (top.length === max && entry[1] <= top[max - 1]![1]) continue;
    const place = top.findIndex(([, value]) => value < entry[1]);
    top.splice(place < 0 ? top.length : place, 0, entry);
    if (top.length > max) top.pop();
  }
  return top;
}
