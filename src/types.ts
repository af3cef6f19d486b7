/**
 * The types that all modules share, in one file because they refer to each other. `CommitLog` is the contract of a log. Numbers
 * are at most 2^53−1, and are checked where they enter. `bigint` is used only where protobuf-es requires it.
 */

import type { SegmentDescription } from "./lib/disk/segment-description.ts";
import type { SpaceUse } from "./lib/disk/space-use.ts";
import type { CursorCommit, CursorInfo, CursorPage } from "./lib/names/cursor-info.ts";
import type { LogFork, NamedLogSettings } from "./lib/names/log-settings.ts";
import type { StreamOptions, StreamResult } from "./lib/stream-head.ts";

export type { LogFork, NamedLogSettings, SegmentDescription };

declare const unit: unique symbol;
/**
 * A number of one meaning. A plain number, such as the result of arithmetic, can become one. A number of another meaning
 * cannot: an offset is not accepted as a Raft index.
 */
type Named<Name extends string> = number & { readonly [unit]?: Name };

/** The position of a record in the log: 0, 1, 2, … without gaps. */
export type Offset = Named<"Offset">;
/** The position of a batch in the Raft log: 1, 2, 3, … Control batches count. */
export type RaftIndex = Named<"RaftIndex">;
/** A Raft term. It is 0 in an empty log, and at least 1 after that. */
export type Term = Named<"Term">;
/** The number of a log in its cluster. 0 is `default`. An id is never used again. */
export type LogId = Named<"LogId">;
/** A log in a request. With an id, the request is refused if the name now means another log. */
export interface LogRef {
  readonly name: string;
  readonly id?: LogId;
  /** The life of the cluster in which the id was given. Absent: the present one. */
  readonly life?: number;
}

/** A named log, as its row says. */
export interface LogInfo extends Bounds {
  readonly id: LogId;
  /** Ids are given again in each life of a cluster: after a restore, the same id means another log. */
  readonly life: number;
  readonly name: string;
  readonly settings: NamedLogSettings;
  /** The subject that created it, whose quotas count it. Absent if no caller did. */
  readonly owner?: string;
  /** The Raft index of the last batch of any kind about the log. */
  readonly version: RaftIndex;
  readonly bytes: number;
  readonly createdMs: number;
  /** The time of its last records; 0 if it never had any. */
  readonly lastMs: number;
  readonly closed: boolean;
  readonly fork?: LogFork;
}

/** The name of a node, unique in its cluster. */
export type NodeId = string;

/** Whether a failed write happened: "no" means that nothing was appended, and that nothing will be. */
export type Written = "no" | "unknown";

/**
 * Encoded records, the same bytes in a request, in a batch and on disk: `(0x0a length record)*`. The bytes of a run
 * have been checked (`walkRecords` in src/log), so code that takes a run does not check them again.
 */
export interface RecordRun {
  /** The log copies the bytes before append() returns its promise, so the caller can reuse the memory then. */
  readonly bytes: Uint8Array;
  readonly count: number;
}

export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array;
}

/** The parts of a record. Absent parts are empty. The arrays of a decoded record are views of the bytes that it was decoded from. */
export interface RecordParts {
  readonly value: Uint8Array;
  readonly key: Uint8Array;
  readonly headers: readonly RecordHeader[];
}

/** Identifies an idempotent append. `sequence` is the sequence of the first record of the run. */
export interface ProducerStamp {
  /** The subject that owns the id. Two subjects can use the same id. */
  readonly subject: string;
  readonly id: bigint;
  readonly epoch: number;
  readonly sequence: number;
  /** The log of the records. Default 0. The same id in another log is another producer. */
  readonly logId?: LogId;
}

/**
 * Shared by the appends of one stream. Their order in the log is the order of the calls, on every node and through
 * changes of the leader. The first append that fails ends the stream. The appends after it fail too, except those that
 * had already been sent.
 */
export interface AppendOrder {
  /** The owner sets this when no client waits any more. Appends that have not been sent by then are not appended. */
  ended: boolean;
}

export interface AppendOptions extends StreamOptions {
  /** Default: the log `default`. */
  readonly log?: LogRef;
  readonly producer?: ProducerStamp;
  /** Append only if the first record gets this offset; otherwise Fault "offset-mismatch". */
  readonly expectedOffset?: Offset;
  /** The time on the monotonic clock (`Clock.monotonicMs()`) until which the client waits. */
  readonly deadlineMs?: number;
  /** The client's subject and trace, which travel to the leader with a forwarded append. */
  readonly subject?: string;
  readonly traceparent?: string;
  /** Appends with the same object here are appended in the order of their calls. */
  readonly order?: AppendOrder;
  /** Reject with Fault "not-leader" and the address of the leader instead of forwarding. */
  readonly forward?: false;
  /** Another node forwarded it. That node limits what it sends, so the append waits in order if there is no room. */
  readonly forwarded?: true;
}

/** The result of an append that is durable and committed. */
export interface Appended extends StreamResult {
  readonly firstOffset: Offset;
  readonly count: number;
  readonly timestampMs: number;
  /** True for a retry of an earlier append: nothing was appended this time. */
  readonly duplicate: boolean;
  /** Absent for the log `default`. */
  readonly logId?: LogId;
}

export type ReadMode = "linearizable" | "session" | "bounded" | "any";

/** A Raft index in one life of the cluster. */
export interface SeenPlace {
  readonly life: number;
  readonly index: RaftIndex;
}

/** How fresh a read must be. Default: session, without a seen offset. */
export interface Freshness {
  readonly mode?: ReadMode;
  /** For session: the highest offset that the client has read, or that was acknowledged to it. */
  readonly seenOffset?: Offset;
  /** For session and named logs, instead: everything up to this index was seen. Another life is Fault "failed-precondition". */
  readonly seen?: SeenPlace;
  readonly maxStalenessMs?: number;
  /** As in AppendOptions. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** Where a read starts. The numbers are not negative: "the last N" is `{ last: N }`. */
export type ReadStart =
  | { readonly offset: Offset }
  | { readonly fromTimeMs: number }
  | { readonly last: number }
  | { readonly end: true };

/** The committed extent of the log: the records `lowest … next-1` can be read. */
export interface Bounds {
  readonly lowest: Offset;
  readonly next: Offset;
}

/**
 * Whole committed data batches in their encoding on disk. Their checksums have been checked. Control batches are left
 * out. All tails at the end of the log get the same object, so work on a slice can be cached by the slice.
 */
export interface BatchSlice {
  /** `frame*`, see FORMAT.md in src/log. Nothing writes to these bytes, except the owner of the `buffer` of take(). */
  readonly frames: Uint8Array;
  /** Offset of the first record of the first frame. It can be below the requested offset. */
  readonly firstOffset: Offset;
  /** The offset after the last record of the last frame. */
  readonly nextOffset: Offset;
  readonly kept?: readonly Offset[]; // Of a filtered tail: the records that are shown. Undefined: all.
}

/** A cursor on the log. It moves forward only, skips nothing and shows only committed records. It has one owner. */
export interface Tail {
  /** The next offset that take() returns. */
  readonly position: Offset;
  /** One past the last committed record on this node: how far the cursor is behind. Undefined: not known here. */
  readonly end?: Offset;
  /**
   * Returns what can be read now: whole batches, at least one, about `maxBytes` at most. Returns undefined at the end.
   * `buffer` is memory of the caller for frames that are read from disk. If `frames.buffer` is its memory, it was used, and
   * the slice is valid until the caller uses the buffer again.
   *
   * @throws Fault "out-of-range" if retention or trim removed records that the cursor has not shown; Fault "unavailable" at
   *   the end if this node receives no more records, because it is no longer in its cluster
   */
  take(maxBytes?: number, buffer?: Uint8Array): BatchSlice | undefined;
  /**
   * Finds where take() would begin, in turns of the event loop. Call it before nextBytes() and take(): they find it too, but
   * in one turn. Undefined if they find it at once. The promise does not reject. It resolves also when the tail is disposed.
   */
  prepare?(): Promise<void> | undefined;
  /** Size of the batch that take() would begin with, in bytes; 0 at the end, and where take() would throw. */
  nextBytes?(): number;
  /** Resolves with true when take() has something, and with false when the tail is disposed or the log closed. */
  ready(): Promise<boolean>;
  /** Frees the cursor. A pending ready() resolves with false. */
  [Symbol.dispose](): void;
}

/** A place in the Raft log: the batch at `index`, of which `sent` records were shown already. */
export interface RaftPosition {
  readonly index: RaftIndex;
  readonly sent: number;
}

/** A log of a tail of several logs. The id 0 is `default`. */
export interface TailedLogName {
  readonly id: LogId;
  readonly name: string;
}

/** Batches of one log that follow each other in the Raft log. */
export interface TailedBatches {
  readonly log: TailedLogName;
  /** Shared by the tails that show the same batches. */
  readonly slice: BatchSlice;
  /** The Raft index of its first batch. */
  readonly index: RaftIndex;
  /** Records before this offset were shown already, or are trimmed. */
  readonly from: Offset;
}

/** A log that was named, and does not exist any more. Shown once. */
export interface DeletedLog {
  readonly deleted: TailedLogName;
}

/**
 * A cursor on the committed records of several logs, in the order of the Raft log. It passes over trimmed records and deleted
 * logs. It has one owner.
 */
export interface MultiTail {
  /** Where take() goes on. Everything of its logs before that was taken. `life` is that of LogInfo. */
  readonly position: RaftPosition;
  readonly life: number;
  /** The last committed index on this node. */
  readonly end: RaftIndex;
  /** The named logs that exist, with their ends: all, or those of which take() returned records since. Empty for a prefix. */
  ends(which: "all" | "taken"): readonly (TailedLogName & { readonly next: Offset })[];
  /**
   * Returns batches that can be read now, about `maxBytes` of them. "later": there may be more, call again in another turn.
   * Undefined: all is taken.
   * @throws Fault "not-found" when all named logs are deleted; "unavailable" if this node receives no more or has another log
   */
  take(maxBytes?: number): TailedBatches | DeletedLog | "later" | undefined;
  /** About the size of what take() returns, in bytes; 0 at the end. */
  nextBytes(): number;
  /** As for Tail; also false when no log of it can grow. */
  ready(): Promise<boolean>;
  [Symbol.dispose](): void;
}

/** The logs of a tail: named ones, which can include `default`, or those whose names begin with a prefix. */
export type TailedLogs =
  | { readonly names: readonly LogRef[] }
  | {
      readonly prefix: string;
      /** Whether the log of this name is shown. Names do not change, but what it returns may. */
      readonly may: (name: string) => boolean;
      /** It is asked for at most so many names in one turn. */
      readonly asksMax: number;
    };

/** Where it begins: at the end, at the first batch that is kept, or at a place in one life of the cluster. */
export type MultiStart = "end" | "start" | (RaftPosition & { readonly life: number });

export interface LogDescription extends Bounds {
  /** All that is stored, of every log. */
  readonly bytes: number;
  /** Without the records of named logs. Undefined if that is not known. */
  readonly defaultBytes?: number;
  readonly segments: readonly SegmentDescription[];
  /** `always`, `interval=…` or `never`. */
  readonly sync: string;
  readonly diskFreeBytes: number;
  /** Of all logs, on this node. Undefined until it is counted. */
  readonly space?: SpaceUse | undefined;
}

/**
 * The contract of a commit log. The replicated log of a node and the client of a remote log implement it; the suite in
 * test/contract runs against both. Every rejection is a Fault.
 */
export interface CommitLog {
  /** Appends a run atomically, at contiguous offsets. Resolves when it is durable and committed. */
  append(run: RecordRun, options?: AppendOptions): Promise<Appended>;
  /**
   * Returns the committed batch that holds the record at `offset`, as a slice of one frame.
   * @throws Fault "out-of-range" with the facts lowest and next if there is no such record
   */
  read(offset: Offset, freshness?: Freshness): Promise<BatchSlice>;
  /** As read(), but the frame may have only some records of the batch, and no producer. Default: read(). */
  readRecord?: CommitLog["read"];
  /** About how many bytes readRecord() reads; 0 if this node does not have the record. Default: the batch. */
  recordBytes?(offset: Offset): number;
  /** Returns the committed extent, as fresh as `freshness` requires. */
  bounds(freshness?: Freshness): Promise<Bounds>;
  /** Returns the offset at which a read from `start` begins. An `{ offset }` below the lowest is Fault "out-of-range". */
  seek(start: ReadStart, freshness?: Freshness): Promise<Offset>;
  /**
   * Returns a cursor at `offset`, which can be at most the end of the log.
   * @throws Fault "out-of-range" beyond the end. The log of a remote node throws it in the first take().
   */
  follow(offset: Offset): Tail;
  /** Raises the lowest offset and returns it. A lower `before` does nothing, and is no error. */
  trim(before: Offset, options?: AppendOptions): Promise<Offset>;
  describe(): Promise<LogDescription>;
}

/** A change of settings: null removes one, so that the value of the cluster counts again. */
export type SettingsChange = { readonly [K in keyof NamedLogSettings]?: NamedLogSettings[K] | null };

/** A change of a named log, as it is sent to the leader. It is refused if the log does not have the version, if one is stated. */
export type LogChange =
  | (Validated & { readonly kind: "create"; readonly name: string; readonly settings: NamedLogSettings })
  | {
      readonly kind: "fork";
      readonly name: string;
      readonly settings: NamedLogSettings;
      /** With its id. */
      readonly source: LogRef;
      readonly at: Omit<LogFork, "source">;
    }
  | (OfLog & Validated & { readonly kind: "update"; readonly settings: SettingsChange })
  | (OfLog & { readonly kind: "close" | "delete" | "touch" })
  // `version` is that of the cursor; 0: there is none. The log can be `default`.
  | (OfLog & CursorCommit & { readonly kind: "commit-cursor" })
  | (OfLog & Pick<CursorCommit, "cursor"> & { readonly kind: "delete-cursor" });

/** The change is checked, and not made. Default: it is made. */
interface Validated {
  readonly validateOnly?: true;
}
interface OfLog {
  readonly log: LogRef;
  readonly version?: RaftIndex;
}

export interface ChangedLog {
  /** Undefined if the log was deleted, or would be created. */
  readonly log: LogInfo | undefined;
  /** True for a create; false if the log existed with the same settings. The same for a cursor that a commit created. */
  readonly created: boolean;
  /** After a commit. */
  readonly cursor?: CursorInfo;
}

/** A page of logs in the order of their names. */
export interface LogPage {
  readonly logs: readonly LogInfo[];
  /** The name after which the next page begins. It need not be the name of a log. Undefined at the end. */
  readonly next: string | undefined;
}

/** A named log, opened for one request. Its name is resolved once; then its id counts. */
export interface NamedCommitLog extends CommitLog {
  info(freshness?: Freshness): Promise<LogInfo>;
}

/** The named logs of a cluster. `default` is not one of them. */
export interface LogCatalog {
  /** See LogInfo. 0 while this node has no named log. */
  readonly life: number;
  /** Does not look the log up: the first call of the opened log does. */
  open(log: LogRef): NamedCommitLog;
  /** At most `limit` logs whose names begin with `prefix` and come after `after`. A shorter page can have a next one. */
  list(prefix: string, after: string, limit: number): LogPage;
  /**
   * Opens a tail of several logs. @throws Fault "not-found" if a named log does not exist, after a place only if none does;
   * "failed-precondition" for an id that the name does not have, and for another life; "out-of-range" with the lowest index
   */
  follow(logs: TailedLogs, start: MultiStart, freshness?: Freshness): Promise<MultiTail>;
  /** Resolves if this is the life of the cluster. @throws Fault "failed-precondition" if it is another one, "unavailable" */
  checkLife(life: number, freshness?: Freshness): Promise<void>;
  /** The index of the last batch about a log that this node shows; undefined if the log does not reach `next` here. */
  seenIndex(id: LogId, next: Offset): RaftIndex | undefined;
  /** A committed cursor here, or at most `limit` of those whose names come after `after`. 0 is the log `default`. */
  cursor(log: LogId, name: string): CursorInfo | undefined;
  cursors(log: LogId, after: string, limit: number): CursorPage;
  /** Changes a log or a cursor on the leader. Resolves once this node shows it. */
  change(change: LogChange, options?: AppendOptions): Promise<ChangedLog>;
  /**
   * A client reads the log: its time to live begins again, if a quarter of it is over. Undefined if there is nothing to do.
   * Resolves once that is replicated, or has failed.
   */
  touch(log: LogRef, options?: Pick<AppendOptions, "subject">): Promise<void> | undefined;
}

export type Role = "leader" | "follower" | "candidate" | "learner";
