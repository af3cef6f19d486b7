/**
 * What a repair of a log does, and the options that decide it.
 */
import { Fault } from "../../fault.ts";
import type { StableStore } from "../../store/mod.ts";
import type { LogId, Offset } from "../../types.ts";
import type { ChainEnd } from "../frame/chain.ts";
import type { ActiveLogIndex } from "../index/log-index.ts";
import type { ActiveIndex } from "../index/offset-index.ts";
import type { CatalogChanges } from "../segment/catalog.ts";
import type { SegmentMeta, SettledFrames } from "../segment/segment.ts";
import type { StateCheckpoint } from "../state/log-state.ts";

/** One thing that a repair does. */
export interface RepairAction {
  readonly action:
    | "cut"
    | "set-aside"
    | "build-index"
    | "build-rows"
    | "build-base"
    | "build-catalog"
    | "forget-commit"
    | "forget-value"
    | "accept-keys"
    | "keep-identity"
    | "new-identity";
  readonly file: string;
  /** For a cut: where it begins, in bytes. Otherwise 0. */
  readonly position: number;
  /** For a cut, or a file that is set aside: how many bytes. Otherwise 0. */
  readonly bytes: number;
}

/** No actions: there is nothing to repair. */
export interface RepairPlan {
  readonly actions: readonly RepairAction[];
  /** The log ends before this offset afterwards. */
  readonly next: Offset;
  /** How many records of `default` that exist now are not in the log afterwards. */
  readonly lost: number;
  /** The same of named logs, the largest losses first: at most 1,000 logs. */
  readonly lostLogs: readonly LostLog[];
  /** How many more logs lose records. */
  readonly moreLostLogs: number;
}

/** What a repair takes from a named log. */
export interface LostLog {
  readonly id: LogId;
  /** Undefined if its create cannot be read. */
  readonly name: string | undefined;
  readonly records: number;
  /** The log itself is not there afterwards. */
  readonly isGone: boolean;
}

/** A segment that stays, or the part of it that stays. */
export interface KeptSegment {
  readonly meta: SegmentMeta;
  /** Built from the store. */
  readonly index: ActiveIndex;
  readonly logs: ActiveLogIndex;
  /** The state before the segment. */
  readonly checkpoint: StateCheckpoint;
  readonly end: ChainEnd;
  readonly bytes: number;
  readonly settled: SettledFrames;
}

export interface RepairOptions {
  /** A new identity, for a directory that other nodes rely on. Without it the directory keeps its identity. */
  readonly identity?: NewIdentity;
  /** The log is sound, but other nodes refuse the identity of the directory. Default false. */
  readonly refused?: boolean;
  /** Written in the same transaction if the directory keeps its identity. */
  readonly unchanged?: CatalogChanges;
}

/** The identity that replaces the one under which the directory acknowledged batches and voted. */
export interface NewIdentity {
  /** 16 random bytes. */
  readonly directoryId: Uint8Array;
  /** Returns true if other nodes may rely on the directory with this id. Not asked if the catalog is lost. */
  readonly needed: (current: Uint8Array) => boolean;
  /** Written to the stable store in the same transaction: removes the old identity's place in the cluster. */
  readonly changes: CatalogChanges;
}

/** Returns what `work` returns, or `fallback` if the stable store is damaged there. */
export function orIfCorrupt<T>(work: () => T, fallback: T): T {
  try {
    return work();
  } catch (reason) {
    if (reason instanceof Fault && reason.kind === "corrupt") return fallback;
    throw reason;
  }
}

/** The keys of the stable store, also those of other modules, whose values are damaged. */
export function unreadableKeys(store: StableStore): string[] {
  return store.keys("").filter((key) => {
    try {
      store.get(key);
      return false;
    } catch (reason) {
      if (reason instanceof Fault && reason.kind === "corrupt") return true;
      throw reason;
    }
  });
}
