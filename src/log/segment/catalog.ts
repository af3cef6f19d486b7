/**
 * The catalog: what the stable store holds of the log. Keys and values:
 *
 *   log/directory            { format, id }
 *   log/start                { end, checkpoint }     the log before its first segment
 *   log/segment/<first>      SegmentMeta             <first>: 20 digits
 *   log/checkpoint/<first>   StateCheckpoint         the state before the segment's first batch
 *   log/commit               the highest index known to be committed at some time
 *   log/damage/<first>       SavedDamage             found while the log ran; a start is refused while it exists
 *   log/scrubbed             first index of the last scrubbed segment
 *   log/doomed                        first indexes of segments whose files are to be removed
 *   log/unsynced             true while a node runs that does not sync every group
 */
import { Fault } from "../../fault.ts";
import type { StableStore } from "../../store/mod.ts";
import type { RaftIndex } from "../../types.ts";
import { type ChainEnd, chainStart } from "../frame/chain.ts";
import { emptyCheckpoint, type StateCheckpoint } from "../state/log-state.ts";
import type { SavedDamage } from "./damage.ts";
import { firstOf, type SegmentMeta } from "./segment.ts";

/** Format 2 can hold named logs. A directory gets it before the first frame that format 1 does not know. */
const directoryFormats = { defaultOnly: 1, namedLogs: 2 } as const;

/** The log before its first segment: empty, or the content of a snapshot. */
export interface LogStart {
  readonly end: ChainEnd;
  readonly checkpoint: StateCheckpoint;
}

/** Keys and values for one atomic write. Undefined removes a key. */
export type CatalogChanges = Record<string, unknown>;

const segmentPrefix = "log/segment/";
const damagePrefix = "log/damage/";
const pad = (first: RaftIndex): string => String(first).padStart(20, "0");

export class Catalog {
  readonly #store: StableStore;

  constructor(store: StableStore) {
    this.#store = store;
  }

  /** Writes all changes in one transaction, which is durable on return. */
  write(...changes: readonly CatalogChanges[]): void {
    this.#store.write(Object.assign({}, ...changes) as CatalogChanges);
  }

  /**
   * The directory's id; undefined for a new directory.
   * @throws Fault "unsupported-version"
   */
  directoryId(): Uint8Array | undefined {
    const found = this.#store.get("log/directory") as { format: number; id: Uint8Array } | undefined;
    if (found === undefined) return undefined;
    const { defaultOnly, namedLogs } = directoryFormats;
    if (found.format !== defaultOnly && found.format !== namedLogs) {
      throw new Fault("unsupported-version", {
        message: `the directory has format ${found.format}, this version reads formats ${defaultOnly} and ${namedLogs}`,
        facts: { found: found.format, expected: namedLogs },
      });
    }
    return Uint8Array.from(found.id);
  }

  /** True if the directory has the format of named logs. */
  holdsNamedLogs(): boolean {
    const found = this.#store.get("log/directory") as { format: number } | undefined;
    return found?.format === directoryFormats.namedLogs;
  }

  start(): LogStart {
    return (
      (this.#store.get("log/start") as LogStart | undefined) ?? {
        end: chainStart,
        checkpoint: emptyCheckpoint,
      }
    );
  }

  /**
   * In the order of the log.
   * @throws Fault "corrupt" for a key without a value, or with the value of another one
   */
  segments(): SegmentMeta[] {
    return this.#store.keys(segmentPrefix).map((key) => {
      const meta = this.#store.get(key) as SegmentMeta | undefined;
      if (meta !== undefined && key === segmentPrefix + pad(firstOf(meta))) return meta;
      throw new Fault("corrupt", {
        message: `the catalog is damaged, ${key} ${meta === undefined ? "has no value" : `holds segment ${firstOf(meta)}`}`,
        facts: { file: "meta", position: 0, why: "catalog", key },
      });
    });
  }

  checkpoint(first: RaftIndex): StateCheckpoint | undefined {
    return this.#store.get(`log/checkpoint/${pad(first)}`) as StateCheckpoint | undefined;
  }

  commit(): RaftIndex {
    return (this.#store.get("log/commit") as RaftIndex | undefined) ?? 0;
  }

  /** First indexes of the segments in which damage was found. */
  damaged(): RaftIndex[] {
    return this.#store.keys(damagePrefix).map((key) => Number(key.slice(damagePrefix.length)));
  }

  scrubbed(): RaftIndex {
    return (this.#store.get("log/scrubbed") as RaftIndex | undefined) ?? 0;
  }

  pendingRemovals(): RaftIndex[] {
    return (this.#store.get("log/doomed") as RaftIndex[] | undefined) ?? [];
  }

  unsynced(): boolean {
    return this.#store.get("log/unsynced") === true;
  }
}

export const catalogChange = {
  directory: (id: Uint8Array, namedLogs: boolean): CatalogChanges => ({
    "log/directory": { format: directoryFormats[namedLogs ? "namedLogs" : "defaultOnly"], id },
  }),
  start: (start: LogStart): CatalogChanges => ({ "log/start": start }),
  segment: (meta: SegmentMeta): CatalogChanges => ({ [segmentPrefix + pad(firstOf(meta))]: meta }),
  checkpoint: (first: RaftIndex, checkpoint: StateCheckpoint): CatalogChanges => ({
    [`log/checkpoint/${pad(first)}`]: checkpoint,
  }),
  removed: (first: RaftIndex): CatalogChanges => ({
    [segmentPrefix + pad(first)]: undefined,
    [`log/checkpoint/${pad(first)}`]: undefined,
    [damagePrefix + pad(first)]: undefined,
  }),
  damage: (first: RaftIndex, damage: SavedDamage | undefined): CatalogChanges => ({
    [damagePrefix + pad(first)]: damage,
  }),
  scrubbed: (first: RaftIndex): CatalogChanges => ({ "log/scrubbed": first }),
  commit: (index: RaftIndex): CatalogChanges => ({ "log/commit": index }),
  pendingRemovals: (firsts: readonly RaftIndex[]): CatalogChanges => ({
    "log/doomed": firsts.length === 0 ? undefined : firsts,
  }),
  unsynced: (unsynced: boolean): CatalogChanges => ({ "log/unsynced": unsynced ? true : undefined }),
};
