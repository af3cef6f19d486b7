/** What the settler is given: the log, its files, and when to work. */
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Bounds, RaftIndex } from "../../types.ts";
import type { Ladders } from "../read/log-ladder.ts";
import type { LogRows } from "../rows/log-rows.ts";
import type { Catalog } from "../segment/catalog.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";
import type { SegmentSet } from "../segment/segment-set.ts";
import type { LogState } from "../state/log-state.ts";
import type { DiskHealth } from "../write/disk-health.ts";

/** What it needs of the log. */
export interface SettledLog {
  readonly commitIndex: RaftIndex;
  readonly syncedIndex: RaftIndex;
  readonly state: LogState;
  /** Of `default`. */
  readonly bounds: Bounds;
  /** Its commit index is the one that the catalog holds. */
  readonly committed: { readonly savedCommit: RaftIndex; readonly ladders: Pick<Ladders, "clear"> };
  readonly rows: Pick<LogRows, "isAsOf" | "readsSegments">;
}

/** Space that is kept for copies on a full disk. */
export interface SettleReserve {
  /** Frees the space. Returns false if there is none. */
  release(): boolean;
  /** Takes the space again, if there is enough. */
  refill(): void;
}

export interface SettlerParts {
  readonly clock: Clock;
  /** Read from segments and copied. 0: nothing is settled, and space is only counted. */
  readonly bytesPerSecond: number;
  readonly logger: Logger | undefined;
  readonly files: SegmentFiles;
  readonly directoryId: Uint8Array;
  readonly catalog: Catalog;
  readonly set: Pick<SegmentSet, "sealed" | "all" | "checkpoints" | "removals" | "merged">;
  readonly log: SettledLog;
  readonly health: Pick<DiskHealth, "usable" | "failed" | "refusal">;
  readonly reserve: SettleReserve | undefined;
  readonly pace: SettlePace;
}

/** When it works, and what is worth it. */
export interface SettlePace {
  /** A segment is settled when that frees this part of its store. */
  readonly gainMin: number;
  /** On a full disk, less is worth it. */
  readonly gainMinFull: number;
  /** A merged segment has this part of the configured size at most. 0: nothing is merged. */
  readonly mergedShare: number;
  /** Looks go on for so long, then other work has so much time. */
  readonly lookMs: number;
  readonly restMs: number;
  readonly firstPassMs: number;
  /** From the end of a pass over all segments to the next one. */
  readonly nextPassMs: number;
  /** After a copy that the disk refused. */
  readonly retryMs: number;
}
