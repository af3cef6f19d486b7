/**
 * The words every room shares. Types and nothing else: no value here does anything.
 *
 * Numbers are plain `number`, safe to 2^53 and checked at the borders; `bigint` lives only where protobuf-es
 * asks for it.
 *
 * Never: imports a room, knows a protocol or a disk.
 */

/** A record's place in the log: 0, 1, 2, … with no gaps. */
export type Offset = number;
/** A batch's place in the Raft log: 1, 2, 3, … control batches included. */
export type RaftIndex = number;
/** A Raft term, from 1 once anything was appended. */
export type Term = number;
/** A node's name, unique in its cluster. */
export type NodeId = string;

/** How far an error's cause reached: "no" means that nothing was or will be appended. */
export type Written = "no" | "unknown";

/**
 * Records as they lie in a request, in a batch and on disk: elements `0x0a length record`, one after another.
 * Whoever makes one has walked it (see the log room's record walk), so every reader may trust the bytes.
 */
export interface RecordRun {
  /** The elements. The log copies them; the caller may reuse the memory once append has returned its promise. */
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** Who appends, when an append is to be idempotent. The sequence is that of the first record of the run. */
export interface ProducerStamp {
  /** The subject that owns the id; two subjects may use the same id. */
  readonly subject: string;
  readonly id: bigint;
  readonly epoch: number;
  readonly sequence: number;
}

/**
 * What the appends of one stream have in common: their order in the log is the order of the calls, on every node and
 * through changes of the leader. The first that fails ends the stream: those behind it fail too, unless they were under
 * way already.
 */
export interface AppendOrder {
  /** Set by the owner once no caller waits: what was not sent by then is not appended. */
  ended: boolean;
}

export interface AppendOptions {
  readonly producer?: ProducerStamp;
  /** Append only if the first record gets this offset, else Fault "offset-mismatch". */
  readonly expectedOffset?: Offset;
  /** Point on the monotonic clock (`performance.now()`, `Clock.monotonicMs()`) after which the caller no longer waits. */
  readonly deadlineMs?: number;
  /** Of the caller; for access checks and the trace where an append travels on to the leader. */
  readonly subject?: string;
  readonly traceparent?: string;
  /** Append in order with all others that have the same object here. */
  readonly order?: AppendOrder;
  /** Answer Fault "not-leader" with the leader's address rather than forward. */
  readonly forward?: false;
  /** Another node sent it, and bounds what it sends: without room it waits its turn, in order with all such. */
  readonly forwarded?: true;
}

/** What an append came to, once it is durable and committed. */
export interface Appended {
  readonly firstOffset: Offset;
  readonly count: number;
  readonly timestampMs: number;
  /** True when this answers a retry: nothing was appended this time. */
  readonly duplicate: boolean;
}

export type ReadMode = "linearizable" | "session" | "bounded" | "any";

/** How fresh a read must be. The default is session with nothing seen. */
export interface Freshness {
  readonly mode?: ReadMode;
  /** For session: the highest offset the caller has seen or was acknowledged. */
  readonly seenOffset?: Offset;
  readonly maxStalenessMs?: number;
  /** Point on the monotonic clock, as in AppendOptions. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** Where a read starts. Negative numbers do not occur: "the last N" is `{ last: N }`. */
export type ReadStart =
  | { readonly offset: Offset }
  | { readonly fromTimeMs: number }
  | { readonly last: number }
  | { readonly end: true };

/** The committed extent of the log: records `lowest … next-1` can be read. */
export interface Bounds {
  readonly lowest: Offset;
  readonly next: Offset;
}

/**
 * Whole committed data batches as they lie on disk, each CRC already checked, control batches left out.
 * The same object is handed to every tail that is caught up, so work done on it can be shared by keeping it
 * in a WeakMap keyed by the slice.
 */
export interface BatchSlice {
  /** `frame*`, see the log room's FORMAT.md. Never written to after it was handed out, but by the owner of a room. */
  readonly frames: Uint8Array;
  /** Offset of the first record of the first frame: it may lie before the offset asked for. */
  readonly firstOffset: Offset;
  /** One past the last record of the last frame. */
  readonly nextOffset: Offset;
}

/** A cursor on the log that never goes back, never skips and shows only committed records. One owner. */
export interface Tail {
  /** The next offset this cursor will show. */
  readonly position: Offset;
  /**
   * What is there now, at most about `maxBytes` (whole batches, at least one), else undefined: caught up.
   * Throws Fault "out-of-range" when retention or trim has overtaken the cursor.
   *
   * `room`: memory of the caller's own, for frames that come from a disk. Whether it was used tells `frames.buffer`;
   * then the slice is the caller's alone, and good until the caller uses its room again.
   */
  take(maxBytes?: number, room?: Uint8Array): BatchSlice | undefined;
  /** Bytes of the batch that take() begins with, without reading it; 0 at the end, or where take() would throw. */
  nextBytes?(): number;
  /** Resolves when take() has something, or with false once the tail is disposed or the log closed. */
  ready(): Promise<boolean>;
  /** Frees everything at once; a pending ready() resolves with false. */
  [Symbol.dispose](): void;
}

export interface SegmentDescription {
  readonly baseOffset: Offset;
  readonly nextOffset: Offset;
  readonly bytes: number;
  readonly indexEntries: number;
  readonly sealed: boolean;
  readonly firstTimestampMs: number;
  readonly lastTimestampMs: number;
}

export interface LogDescription extends Bounds {
  readonly bytes: number;
  readonly segments: readonly SegmentDescription[];
  /** `always`, `interval=…` or `never`. */
  readonly sync: string;
  readonly diskFreeBytes: number;
}

/**
 * The contract of a commit log: the log of one node, the replicated log and the client of a far one are each one,
 * and one suite in test/contract runs against all of them. Every rejection is a Fault.
 */
export interface CommitLog {
  /** Appends a run atomically at contiguous offsets; resolves when it is durable and committed. */
  append(run: RecordRun, options?: AppendOptions): Promise<Appended>;
  /**
   * The committed batch that holds the record at `offset`, as a slice of one frame.
   * Fault "out-of-range" with lowest and next where there is none.
   */
  read(offset: Offset, freshness?: Freshness): Promise<BatchSlice>;
  /** The committed extent, as fresh as asked for. */
  bounds(freshness?: Freshness): Promise<Bounds>;
  /** The offset where a read that starts so begins; `{ offset }` is checked to be at least `lowest`. */
  seek(start: ReadStart, freshness?: Freshness): Promise<Offset>;
  /**
   * A cursor from `offset` on, which may lie at most at the end; else Fault "out-of-range", thrown here or, where only
   * a far node can tell, by the first take().
   */
  follow(offset: Offset): Tail;
  /** Raises the lowest offset; answers the lowest offset there is then. Going back is no error and does nothing. */
  trim(before: Offset, options?: AppendOptions): Promise<Offset>;
  describe(): Promise<LogDescription>;
}

export type Role = "leader" | "follower" | "candidate" | "learner";

/** One node as another one sees it. */
export interface NodeView {
  readonly id: NodeId;
  readonly rpcAddr: string;
  readonly role: Role;
  readonly isLeader: boolean;
  readonly term: Term;
  readonly commitIndex: RaftIndex;
  readonly appliedIndex: RaftIndex;
  readonly lastOffset: Offset;
  readonly lag: number;
  readonly lastContactMs: number;
  readonly version: string;
  readonly healthy: boolean;
}

/** The cluster as this node knows it. A single node is a cluster of one. */
export interface ClusterView {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly term: Term;
  readonly leaderId: NodeId | undefined;
  readonly hasQuorum: boolean;
  nodes(): readonly NodeView[];
  /** Why members that can be reached refuse this node, or it them; empty where nobody does. */
  refusals?(): readonly string[];
  /** Resolves when nodes() is as fresh as it gets: at once, or when the leader answered or did not in time. */
  fresh?(): Promise<void>;
  /** Calls back on every change of role, term, members or membership; the answer ends it. */
  onChange(listener: (change: ClusterChange) => void): () => void;
}

export interface ClusterChange {
  readonly name: NodeId;
  readonly change: "joined" | "left" | "failed" | "updated" | "reaped" | "elected";
  readonly addr: string;
}
