/** Opens the disk space that is kept in reserve for a full disk, and logs when the disk becomes full or has space again. */
import type { Disk } from "../../lib/disk/disk.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { defaultReserveBytes, type LogSettings, Reserve } from "../../log/mod.ts";

export interface OpenReserveOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  readonly settings: LogSettings;
  /** Default: defaultReserveBytes(). 0 keeps no reserve. */
  readonly reserveBytes?: number | undefined;
  readonly logger: Logger;
  /** Called when the disk becomes full. */
  readonly onFull: () => void;
}

/** Returns undefined if no reserve is to be kept. */
export function openReserve(options: OpenReserveOptions): Reserve | undefined {
  const { disk, clock, directory, settings, logger } = options;
  const volumeBytes = disk.totalBytes(directory);
  const bytes = options.reserveBytes ?? defaultReserveBytes(volumeBytes, settings.segmentStoreBytesMax);
  if (bytes === 0) return undefined;
  const figures = (): object => ({ reserveBytes: bytes, freeBytes: disk.freeBytes(directory), volumeBytes });
  logger.info(figures(), "disk space is reserved for a full disk");
  return new Reserve({
    disk,
    clock,
    path: `${directory}/reserve`,
    bytes,
    onChange: (full) => {
      if (full) {
        logger.warn(figures(), "the disk is full: records are refused until there is space");
        options.onFull();
      } else logger.info(figures(), "the disk has space again: records are accepted");
    },
  });
}
