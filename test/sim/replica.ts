/**
 * What the simulator asks of a node's storage and state, so that it can hold a world of them in its hand: one in
 * memory (memory-replica) and the real segmented log on a simulated disk (log-replica).
 *
 * Never: an implementation.
 */
import type { Clock } from "../../src/lib/clock.ts";
import type { Entry, HardState, RaftIndex, RaftStorage, StateMachine, Term } from "./raft.ts";

/** What an applied entry added: nothing, or a value at an offset. */
export interface Applied {
  readonly entry: Entry;
  readonly digest: string;
  readonly offset: number | undefined;
  readonly value: string | undefined;
}

export interface ReplicaFaults {
  /** How long the next sync takes, milliseconds; 0 is at once, within the call. */
  syncMs(): number;
  /** How the next write fails, if it does. */
  writeFails(): "disk-full" | "disk-failed" | undefined;
}

export interface Replica extends RaftStorage, StateMachine {
  readonly appliedIndex: RaftIndex;
  /** The committed extent: offsets lowest … next−1 can be read. */
  readonly lowest: number;
  readonly next: number;
  /** The committed values from `lowest` on. */
  values(): readonly string[];
  /** A proposal of one value. */
  data(value: string): Entry;
  /** Entries for a log that has none yet, and to give up what is below an offset; undefined: not here. */
  settings(): Entry | undefined;
  trim(before: number): Entry | undefined;
  /** Gives up what is applied and not wanted. */
  compact(): void;
  /** What a power cut now could not take. */
  readonly durable: {
    readonly hardState: HardState;
    readonly lastIndex: RaftIndex;
    term(index: RaftIndex): Term | undefined;
  };
  /** The process is gone, with a power cut or without: the replica of the next one. Throws what opening throws. */
  reopen(clock: Clock, powerCut: boolean): Replica;
  /** The power is to go in the middle of what the disk does next. */
  cutSoon?(): void;
  onApply: (applied: Applied) => void;
}
