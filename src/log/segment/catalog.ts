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
 *   log/rows                 RowFiles                the files of the rows of named logs; absent before the first of them
 *   log/doomed                        first indexes of segments whose files are to be removed
 *   log/unsynced             true while a node runs that does not sync every group
 */
import { Fault } from "../../fault.ts";
import type { BaseSource } from "../../rows/mod.ts";
import type { StableStore } from "../../store/mod.ts";
import type { RaftIndex } from "../../types.ts";
import { type ChainEnd, chainStart } from "../frame/chain.ts";
import type { LogRow } from "../state/log-row.ts";
import { emptyCheckpoint, type StateCheckpoint } from "../state/log-state.ts";
import type { TableHead } from "../state/row-codec.ts";
import type { SavedDamage } from "./damage.ts";
import { firstOf, type SegmentMeta } from "./segment.ts";

/**
 * Format 3 can hold named logs. A directory gets it before the first frame that format 1 does not know. In format 2 the
 * checkpoints hold the rows of the named logs; opening converts it.
 */
const directoryFormats = { defaultOnly: 1, rowsInCheckpoints: 2, namedLogs: 3 } as const;

/** The files of the rows of named logs. */
export interface RowFiles {
  /** The index in the name of the base file, which holds the rows at the start of the log; 0 if there were none. */
  readonly base: RaftIndex;
  /** The generation of the database of rows; 0 before the first one. */
  readonly generation: number;
}

/** No database of an earlier generation is opened again. */
export const nextGeneration = ({ base, generation }: RowFiles): RowFiles => ({
  base,
  generation: generation + 1,
});

export const noRowFiles: RowFiles = { base: 0, generation: 0 };

/** The log before its first segment: empty, or the content of a snapshot. */
export interface LogStart {
  readonly end: ChainEnd;
  readonly checkpoint: StateCheckpoint;
  /** The rows of the named logs, in a start that came from outside. In a directory they are in the base file. */
  readonly rows?: StartRows;
}

/** Rows, or the content of a base file: in memory, where it can be read, or on the leader, which sends it. */
export type StartRows = readonly LogRow[] | Uint8Array | BaseSource | BaseRef;

/** A base file on a leader. */
export interface BaseRef {
  readonly index: RaftIndex;
  readonly bytes: number;
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
    if (!(Object.values(directoryFormats) as number[]).includes(found.format)) {
      throw new Fault("unsupported-version", {
        message: `the directory has format ${found.format}, this version reads formats ${defaultOnly} to ${namedLogs}`,
        facts: { found: found.format, expected: namedLogs },
      });
    }
    return Uint8Array.from(found.id);
  }

  /** True if the directory has the format of named logs. */
  holdsNamedLogs(): boolean {
    return this.#format === directoryFormats.namedLogs;
  }

  /** True if the checkpoints hold the rows of the named logs. */
  holdsInlineRows(): boolean {
    return this.#format === directoryFormats.rowsInCheckpoints;
  }

  get #format(): number | undefined {
    return (this.#store.get("log/directory") as { format: number } | undefined)?.format;
  }

  start(): LogStart {
    const found = this.#store.get("log/start") as
      | { readonly end: ChainEnd; readonly checkpoint: StoredCheckpoint }
      | undefined;
    if (found === undefined) return { end: chainStart, checkpoint: emptyCheckpoint };
    return { end: found.end, checkpoint: withoutRows(found.checkpoint) };
  }

  /** The log before its first segment, and the state there. */
  firstStart(first: SegmentMeta | undefined): LogStart {
    if (first === undefined) return this.start();
    return { end: first.before, checkpoint: this.checkpoint(firstOf(first)) ?? emptyCheckpoint };
  }

  /** The rows at the start of a log of format 2. */
  inlineRows(first: SegmentMeta | undefined): readonly LogRow[] {
    const key = first === undefined ? "log/start" : `log/checkpoint/${pad(firstOf(first))}`;
    const found = this.#store.get(key) as StoredCheckpoint | { checkpoint: StoredCheckpoint } | undefined;
    const checkpoint = found !== undefined && "checkpoint" in found ? found.checkpoint : found;
    return checkpoint?.logs?.rows ?? [];
  }

  rowFiles(): RowFiles {
    return (this.#store.get("log/rows") as RowFiles | undefined) ?? noRowFiles;
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
    const found = this.#store.get(`log/checkpoint/${pad(first)}`) as StoredCheckpoint | undefined;
    return found === undefined ? undefined : withoutRows(found);
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

/** In format 2, the table of named logs holds its rows, and not their number. */
interface StoredCheckpoint extends StateCheckpoint {
  readonly logs?: TableHead & { readonly rows?: readonly LogRow[] };
}

function withoutRows(checkpoint: StoredCheckpoint): StateCheckpoint {
  if (checkpoint.logs?.rows === undefined) return checkpoint;
  const { level, life, nextId, rows } = checkpoint.logs;
  return { ...checkpoint, logs: { level, life, nextId, size: rows.length } };
}

export const catalogChange = {
  directory: (id: Uint8Array, namedLogs: boolean): CatalogChanges => ({
    "log/directory": { format: directoryFormats[namedLogs ? "namedLogs" : "defaultOnly"], id },
  }),
  start: ({ end, checkpoint }: LogStart): CatalogChanges => ({ "log/start": { end, checkpoint } }),
  rowFiles: (files: RowFiles): CatalogChanges => ({
    "log/rows": files.base === 0 && files.generation === 0 ? undefined : files,
  }),
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
