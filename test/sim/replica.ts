/**
 * What the simulator asks of a node's storage, state and clients' side, so that it can hold a world of them in its
 * hand: a bare one in memory (memory-replica), and what a real node runs, on a simulated disk (real-replica).
 *
 * Never: an implementation.
 */

import type { Prng } from "../../src/lib/prng.ts";
import type { Clock } from "../../src/lib/time/clock.ts";
import type { BootRecords } from "../../src/replication/identity/boot-records.ts";
import type { ReplicatedLog } from "../../src/replication/replicated-log.ts";
import type { LogTime } from "../../src/replication/time/log-time.ts";
import type { ProducerStamp } from "../../src/types.ts";
import type { DiskImage } from "../support/sim-disk.ts";
import type { StoreImage } from "../support/sim-stable-store.ts";
import type { CoreEvent, HardState, Message, RaftIndex, RaftNode, RaftNodeOptions, Term } from "./raft.ts";

/** What an applied entry added: nothing, or values from an offset on. */
export interface Applied {
  readonly index: RaftIndex;
  readonly term: Term;
  readonly digest: string;
  readonly offset: number | undefined;
  readonly values: readonly string[];
}

export interface ReplicaFaults {
  /** How long the next sync takes, milliseconds; 0 is at once, within the call. */
  syncMs(): number;
  /** There is no room for what is new. */
  full(): boolean;
  /** The next sync fails. */
  failNext: boolean;
}

/** What a process has around it. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Prng;
  readonly limits: Partial<RaftNodeOptions>;
  readonly send: (message: Message) => void;
  readonly observe: (event: CoreEvent) => void;
  /** Its disk has failed, or the power went: the process ends. */
  readonly failed: () => void;
  readonly applied: (applied: Applied) => void;
  /** The same for what was found to be committed when it opened. */
  readonly recovered: (applied: Applied) => void;
  /** A snapshot took the place of everything up to this index. */
  readonly restored: (index: RaftIndex) => void;
}

/** A data directory as it was at one moment. */
export interface Copy {
  readonly disk: DiskImage;
  readonly store: StoreImage;
}

/** How an append ended. */
export interface Answer {
  acked(offset: number): void;
  failed(fault: Error): void;
}

export interface SimReplica {
  readonly firstIndex: RaftIndex;
  readonly appliedIndex: RaftIndex;
  /** The committed extent: offsets lowest … next−1 can be read. */
  readonly lowest: number;
  readonly next: number;
  /** The committed values from `lowest` on. */
  values(): readonly string[];
  /** What a power cut now could not take. */
  readonly durable: {
    readonly hardState: HardState;
    readonly lastIndex: RaftIndex;
    term(index: RaftIndex): Term | undefined;
  };
  /** Where clients of a real node call; a bare one has none. */
  readonly log: ReplicatedLog | undefined;
  /** Boot numbers, of a real node. */
  readonly boots?: BootRecords;
  /** Its directory, of a real node; and back to it, while its process is down. */
  copy?(): Copy;
  rollBack?(copy: Copy): void;

  /** Takes part from now on. */
  start(): RaftNode;
  /** Tells what was applied since it was last asked, where it does not tell by itself. */
  look(): void;
  append(value: string, answer: Answer, producer?: ProducerStamp): void;
  /** Calls back with the end of the log as it is for everybody; not at all when that could not be found out. */
  linearizableEnd(then: (next: number) => void): void;
  /** Trims about half of its records. Returns the lowest offset that stays. */
  trim(): number;
  /** Where a real node compares its clock with others; a bare one has none. */
  readonly time: LogTime | undefined;
  /** Gives up what is applied and not wanted. */
  compact(): void;
  /** The power is to go in the middle of what the disk does next. */
  cutSoon?(): void;
  /** The process is gone, with a power cut or without: the replica of the next one. Throws what opening throws. */
  reopen(surroundings: Surroundings, powerCut: boolean): SimReplica;
}
