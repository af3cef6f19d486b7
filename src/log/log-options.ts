/**
 * The options of a log.
 */
import type { Fault } from "../fault.ts";
import type { Disk } from "../lib/disk/disk.ts";
import type { Mapper } from "../lib/disk/mapped-file.ts";
import type { Logger } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { RowStore } from "../rows/mod.ts";
import type { StableStore } from "../store/mod.ts";
import type { Offset } from "../types.ts";
import type { LogTelemetry } from "./log-meter.ts";
import type { RowCheckpoints } from "./rows/row-place.ts";
import type { SettlePace, SettleReserve } from "./settle/settler-parts.ts";

export interface SegmentedLogOptions {
  /** The data directory, which must exist. The segments are in its `log`. */
  readonly directory: string;
  readonly disk: Disk;
  /** Holds the catalog. */
  readonly store: StableStore;
  /** Opens the index files of sealed segments. */
  readonly mapper: Mapper;
  /** 16 random bytes, the id of a directory that has none yet. */
  readonly newDirectoryId: Uint8Array;
  /** The first offset of an empty log. Default 0. */
  readonly initialOffset?: Offset;
  /** Bytes of the newest frames kept in memory. Default 16 MiB. */
  readonly frameCacheBytesMax?: number;
  /** Bytes of each of the reader's three caches. Default 8 MiB. */
  readonly readCacheBytesMax?: number;
  /** Open store files of sealed segments, and open index files. Default 64 of each. */
  readonly openFilesMax?: number;
  /** The node may run without syncing every group, so a crash may tear more than one. Default false. */
  readonly unsynced?: boolean;
  /** The most zeros behind a small group, in bytes (frame/zero-tail.ts). Default 256 KiB; 0: none. */
  readonly zerosMax?: number;
  /** Bytes of sealed segments that opening checks, besides the last segment. Default 64 MiB. */
  readonly checkBytesMax?: number;
  /** The rate of the background scrub of sealed segments; it needs a clock. Default 0: no scrub. */
  readonly scrubBytesPerSecond?: number;
  /** Sealed segments are settled at this rate (SETTLING.md); it needs a clock. Default 0: none are. */
  readonly settleBytesPerSecond?: number;
  /** Counts what removed records hold of the disk, also if nothing is settled; it needs a clock. Default false. */
  readonly countSpace?: boolean;
  /** Space for a settled copy on a full disk. Default none. */
  readonly settleReserve?: SettleReserve;
  /** When segments are settled. Default: `paceDefault`. */
  readonly settlePace?: Partial<SettlePace>;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** The databases of the rows of named logs. Default none: all rows stay in memory, and opening folds all frames. */
  readonly rowStore?: RowStore;
  /** When the database of rows is written. Default: `rowCheckpointsDefault`. */
  readonly rowCheckpoints?: Partial<RowCheckpoints>;
  /** With more producers than these, the checkpoints of segments do not hold them: a file of each has them. Default 2,048. */
  readonly inlineProducersMax?: number;
  /** Called when the disk begins to refuse writes (see SegmentedLog.refusal). */
  readonly onRefusal?: () => void;
  /** Called once, when the log fails (see SegmentedLog.failure), also by work that no call waits for. */
  readonly onFailure?: (failure: Fault) => void;
  /** Receives durations, sizes and spans. */
  readonly telemetry?: LogTelemetry | undefined;
}
