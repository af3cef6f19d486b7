/**
 * The storage, state and client side of a simulated server. Two implementations: in memory (memory-replica.ts), and the
 * real one on a simulated disk (real-replica.ts).
 */

import type { Prng } from "../../../src/lib/prng.ts";
import type { Clock } from "../../../src/lib/time/clock.ts";
import type { BootRecords } from "../../../src/replication/identity/boot-records.ts";
import type { BackupPart, ChainPoint, Replica } from "../../../src/replication/mod.ts";
import type { ReplicatedLog } from "../../../src/replication/replicated-log.ts";
import type { LogTime } from "../../../src/replication/time/log-time.ts";
import type { LogId, ProducerStamp } from "../../../src/types.ts";
import type { DiskImage } from "../../support/disk/sim-disk.ts";
import type { StoreImage } from "../../support/disk/sim-stable-store.ts";
import type { SeenCursor } from "../checks/cursor-history.ts";
import type { NamedFrame } from "../checks/named-history.ts";
import type { CoreEvent, HardState, Message, RaftIndex, RaftNode, RaftNodeOptions, Term } from "../raft.ts";

/** The effect of an applied entry: no value, or values from an offset on. */
export interface Applied {
  readonly index: RaftIndex;
  readonly term: Term;
  readonly digest: string;
  readonly offset: number | undefined;
  readonly values: readonly string[];
  /** A frame of a named log. It has no values then. */
  readonly named?: NamedFrame;
}

export interface ReplicaFaults {
  /** Duration of the next sync in milliseconds. 0 means inline, within the call. */
  syncMs(): number;
  /** Whether the disk is full. */
  full(): boolean;
  /** Whether the next sync fails. */
  failNext: boolean;
}

/** The environment of one process. */
export interface ProcessContext {
  readonly clock: Clock;
  readonly random: Prng;
  readonly limits: Partial<RaftNodeOptions>;
  readonly send: (message: Message) => void;
  readonly observe: (event: CoreEvent) => void;
  /** Called when the disk fails or the power is cut. The process ends. */
  readonly failed: () => void;
  readonly applied: (applied: Applied) => void;
  /** Like `applied`, for the entries that are committed when the replica opens. */
  readonly recovered: (applied: Applied) => void;
  /** Called when a snapshot replaces everything up to this index. */
  readonly restored: (index: RaftIndex) => void;
  /** Something happened that the run should reach. */
  readonly mark: (name: string) => void;
  /** How much earlier than its clock a server stamps frames. */
  readonly stampedEarlierMs: () => number;
  /** The rows of the named logs as of an applied index. */
  readonly rows: (index: RaftIndex, rows: string) => void;
}

/** A copy of a data directory. */
export interface DirectoryCopy {
  readonly disk: DiskImage;
  readonly store: StoreImage;
}

/** Callbacks for the result of an append. */
export interface AppendCallbacks {
  acked(offset: number): void;
  failed(fault: Error): void;
}

export interface SimReplica {
  readonly firstIndex: RaftIndex;
  readonly appliedIndex: RaftIndex;
  /** The committed offsets are lowest … next − 1. */
  readonly lowest: number;
  readonly next: number;
  /** The committed values from `lowest` on. */
  values(): readonly string[];
  /** The committed values of the named logs, by id. Only of a real replica. */
  namedValues?(): ReadonlyMap<LogId, { readonly lowest: number; readonly values: readonly string[] }>;
  /** The committed cursors, by key. Only of a real replica. */
  cursors?(): ReadonlyMap<string, SeenCursor>;
  /** The state that a power cut now would keep. */
  readonly durable: {
    readonly hardState: HardState;
    readonly lastIndex: RaftIndex;
    term(index: RaftIndex): Term | undefined;
  };
  /** The log that clients call. Only a real replica has one. */
  readonly log: ReplicatedLog | undefined;
  /** Boot numbers. Only a real replica has them. */
  readonly boots?: BootRecords;
  /** Copies the directory, or restores it while the process is down. Only for a real replica. */
  copy?(): DirectoryCopy;
  rollBack?(copy: DirectoryCopy): void;

  /** The rows of named logs on their way between nodes. Only a real replica has them. */
  readonly rows?: Replica["rows"];

  /** Yields the parts of a backup. Only of a real replica. */
  backup?(have: readonly string[], after: ChainPoint | undefined): Iterable<BackupPart | undefined>;

  /** When it started, on the monotonic clock of its process. Only of a real replica. */
  readonly startedMs?: number;

  /** Starts to take part in the cluster. */
  start(): RaftNode;
  /** Reports the entries applied since the last call, for a replica that does not report them itself. */
  reportApplied(): void;
  append(value: string, callbacks: AppendCallbacks, producer?: ProducerStamp): void;
  /** Calls back with the linearizable end of the log. Does not call back if it cannot be determined. */
  linearizableEnd(then: (next: number) => void): void;
  /** Trims about half of the records. Returns the lowest offset that is kept. */
  trim(): number;
  /** Compares the clocks of the servers. Only a real replica has it. */
  readonly time: LogTime | undefined;
  /** Discards applied entries that need not be kept. */
  compact(): void;
  /** Cuts the power during one of the next disk operations. */
  cutSoon?(): void;
  /**
   * Ends the process, with or without a power cut, and returns the replica of the next one. Throws what opening throws.
   */
  reopen(context: ProcessContext, powerCut: boolean): SimReplica;
}
