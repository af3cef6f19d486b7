/**
 * The catalog: what the stable store holds of the log. Keys and values:
 *
 *   log/directory            { format, id }
 *   log/start                { end, checkpoint }     the log before its first segment. `producers` can be a file, or null once that
 *                                                    segment was removed
 *   log/segment/<first>      SegmentMeta             <first>: 20 digits
 *   log/checkpoint/<first>   StateCheckpoint         the state before the segment's first batch. `producers` can be a file, or null
 *                                                    while the file is not written: then an earlier checkpoint is used
 *   log/commit               the highest index known to be committed at some time
 *   log/damage/<first>       SavedDamage             found while the log ran; a start is refused while it exists
 *   log/scrubbed             first index of the last scrubbed segment
 *   log/rows                 RowFiles                the files of the rows of named logs; absent before the first of them
 *   log/doomed                        first indexes of segments whose files are to be removed
 *   log/settling             first index of a segment whose settled or merged files may not be in place yet
 *   log/cut                  where a repair cut the log; absent if none did
 *   log/unsynced             true while a node runs that does not sync every group
 */
import { Fault } from "../../fault.ts";
import type { BaseSource } from "../../rows/mod.ts";
import type { StableStore } from "../../store/mod.ts";
import type { RaftIndex } from "../../types.ts";
import { type ChainEnd, chainStart } from "../frame/chain.ts";
import type { ProducersFile } from "../producers/producers-file.ts";
import type { LogRow } from "../state/log-row.ts";
import { type CheckpointHead, emptyCheckpoint, type StateCheckpoint } from "../state/log-state.ts";
import type { ProducerRow } from "../state/produced-batch.ts";
import type { TableHead } from "../state/row-codec.ts";
import type { SavedDamage } from "./damage.ts";
import { firstOf, type SegmentMeta } from "./segment.ts";

/**
 * Format 3 can hold named logs, format 4 batches of streams, format 5 settled frames, format 6 forks, and format 7 cursors. A directory gets it before the first frame that the format
 * before does not know. In format 2 the checkpoints hold the rows of the named logs; opening converts it.
 */
const directoryFormats = {
  defaultOnly: 1,
  rowsInCheckpoints: 2,
  namedLogs: 3,
  streams: 4,
  settled: 5,
  forks: 6,
  cursors: 7,
} as const;

/** The format by the level of the log. */
const formatOfLevel = [
  directoryFormats.defaultOnly,
  directoryFormats.namedLogs,
  directoryFormats.streams,
  directoryFormats.settled,
  directoryFormats.forks,
  directoryFormats.cursors,
];

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

/** Returns the producers in a file. @throws Fault "corrupt" with why "producers" */
export type ReadProducers = (file: ProducersFile) => readonly ProducerRow[];

export class Catalog {
  readonly #store: StableStore;
  readonly #readProducers: ReadProducers;

  constructor(store: StableStore, readProducers: ReadProducers) {
    this.#store = store;
    this.#readProducers = readProducers;
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
    const { defaultOnly, cursors } = directoryFormats;
    if (!(Object.values(directoryFormats) as number[]).includes(found.format)) {
      throw new Fault("unsupported-version", {
        message: `the directory has format ${found.format}, this version reads formats ${defaultOnly} to ${cursors}`,
        facts: { found: found.format, expected: cursors },
      });
    }
    return Uint8Array.from(found.id);
  }

  /** The highest level whose frames the directory can hold; 0: no named logs. */
  level(): number {
    return Math.max(0, (formatOfLevel as unknown[]).indexOf(this.#format));
  }

  /** True if the checkpoints hold the rows of the named logs. */
  holdsInlineRows(): boolean {
    return this.#format === directoryFormats.rowsInCheckpoints;
  }

  get #format(): number | undefined {
    return (this.#store.get("log/directory") as { format: number } | undefined)?.format;
  }

  /** Only a log without segments needs the producers of its start: they are empty without `withProducers`. */
  start(withProducers = true): LogStart {
    const found = this.#storedStart;
    if (found === undefined) return { end: chainStart, checkpoint: emptyCheckpoint };
    const { end, checkpoint } = found;
    const producers = withProducers ? (this.#producersOf(checkpoint) ?? []) : [];
    return { end, checkpoint: { ...withoutRows(checkpoint), producers } };
  }

  /** The file with the producers at the start, if there is one. */
  startProducers(): ProducersFile | undefined {
    return fileOf(this.#storedStart?.checkpoint);
  }

  /** The log before its first segment, and the state there. Many producers are in a file. */
  storedStart(first: SegmentMeta | undefined): StoredStart {
    const { end, checkpoint } =
      first === undefined
        ? (this.#storedStart ?? { end: chainStart, checkpoint: emptyCheckpoint })
        : { end: first.before, checkpoint: this.#storedCheckpoint(firstOf(first)) ?? emptyCheckpoint };
    return { end, checkpoint: withoutRows(checkpoint) };
  }

  get #storedStart(): StoredStart | undefined {
    return this.#store.get("log/start") as StoredStart | undefined;
  }

  /** The log before its first segment, and the state there. */
  firstStart(first: SegmentMeta | undefined): LogStart {
    if (first === undefined) return this.start();
    return { end: first.before, checkpoint: this.checkpoint(firstOf(first)) ?? emptyCheckpoint };
  }

  /** The same without the producers. */
  firstStartHead(first: SegmentMeta | undefined): {
    readonly end: ChainEnd;
    readonly checkpoint: CheckpointHead;
  } {
    if (first === undefined) return this.start(false);
    return { end: first.before, checkpoint: this.checkpointHead(firstOf(first)) ?? emptyCheckpoint };
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

  /** Undefined also while its producers are not written. @throws Fault "corrupt" with why "producers" */
  checkpoint(first: RaftIndex): StateCheckpoint | undefined {
    const found = this.#storedCheckpoint(first);
    const producers = found && this.#producersOf(found);
    return found === undefined || producers === undefined ? undefined : { ...withoutRows(found), producers };
  }

  /** The checkpoint without its producers. */
  checkpointHead(first: RaftIndex): CheckpointHead | undefined {
    const found = this.#storedCheckpoint(first);
    if (found === undefined) return undefined;
    const { producers: _, ...head } = withoutRows(found);
    return head;
  }

  /** True while the producers of the checkpoint are not written. */
  lacksProducers(first: RaftIndex): boolean {
    return this.#storedCheckpoint(first)?.producers === null;
  }

  /** The file with the producers of the checkpoint, if there is one. */
  producersFile(first: RaftIndex): ProducersFile | undefined {
    return fileOf(this.#storedCheckpoint(first));
  }

  #storedCheckpoint(first: RaftIndex): StoredCheckpoint | undefined {
    return this.#store.get(`log/checkpoint/${pad(first)}`) as StoredCheckpoint | undefined;
  }

  #producersOf({ producers }: StoredCheckpoint): readonly ProducerRow[] | undefined {
    if (producers === null) return undefined;
    return "file" in producers ? this.#readProducers(producers) : producers;
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

  /** Where a repair cut the log: commands after it may be lost. */
  cut(): RaftIndex | undefined {
    return this.#store.get("log/cut") as RaftIndex | undefined;
  }

  /** The segment whose settled files may not be in place yet. */
  settling(): RaftIndex | undefined {
    return this.#store.get("log/settling") as RaftIndex | undefined;
  }

  unsynced(): boolean {
    return this.#store.get("log/unsynced") === true;
  }
}

/** In format 2, the table of named logs holds its rows, and not their number. */
export interface StoredCheckpoint extends CheckpointHead {
  readonly producers: readonly ProducerRow[] | ProducersFile | null;
  readonly logs?: TableHead & { readonly rows?: readonly LogRow[] };
}

export interface StoredStart {
  readonly end: ChainEnd;
  readonly checkpoint: StoredCheckpoint;
}

/** The file with the producers of this checkpoint, if there is one. */
export function fileOf(checkpoint: StoredCheckpoint | undefined): ProducersFile | undefined {
  const { producers = null } = checkpoint ?? {};
  return producers !== null && "file" in producers ? producers : undefined;
}

/** The start as it is stored. `producers`: their file, if there is one. */
export const startWith = ({ end, checkpoint }: LogStart, producers?: ProducersFile): StoredStart => ({
  end,
  checkpoint: producers === undefined ? checkpoint : { ...checkpoint, producers },
});

/** The start of a log whose first segment was removed: nothing needs its producers. */
export const startWithout = ({ end, checkpoint }: StoredStart): StoredStart => ({
  end,
  checkpoint: { ...checkpoint, producers: null },
});

function withoutRows<T extends StoredCheckpoint>(checkpoint: T): T {
  if (checkpoint.logs?.rows === undefined) return checkpoint;
  const { level, life, nextId, rows } = checkpoint.logs;
  return { ...checkpoint, logs: { level, life, nextId, size: rows.length } };
}

export const catalogChange = {
  directory: (id: Uint8Array, level: number): CatalogChanges => ({
    "log/directory": { format: formatOfLevel[Math.min(level, formatOfLevel.length - 1)], id },
  }),
  start: ({ end, checkpoint }: StoredStart): CatalogChanges => ({ "log/start": { end, checkpoint } }),
  rowFiles: (files: RowFiles): CatalogChanges => ({
    "log/rows": files.base === 0 && files.generation === 0 ? undefined : files,
  }),
  segment: (meta: SegmentMeta): CatalogChanges => ({ [segmentPrefix + pad(firstOf(meta))]: meta }),
  checkpoint: (first: RaftIndex, checkpoint: StateCheckpoint): CatalogChanges => ({
    [`log/checkpoint/${pad(first)}`]: checkpoint,
  }),
  /** A checkpoint whose producers are in a file, or will be. */
  checkpointApart: (
    first: RaftIndex,
    head: CheckpointHead,
    producers: ProducersFile | null,
  ): CatalogChanges => ({
    [`log/checkpoint/${pad(first)}`]: { ...head, producers },
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
  cut: (index: RaftIndex | undefined): CatalogChanges => ({ "log/cut": index }),
  settling: (first: RaftIndex | undefined): CatalogChanges => ({ "log/settling": first }),
  unsynced: (unsynced: boolean): CatalogChanges => ({ "log/unsynced": unsynced ? true : undefined }),
};
