/**
 * Opens the disk space that is kept in reserve for a full disk, and logs when the disk becomes full or has space again. A start on a
 * full disk uses that space.
 */
import { Fault } from "../../fault.ts";
import type { Disk } from "../../lib/disk/disk.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { defaultReserveBytes, type LogSettings, Reserve, releaseReserve, spaceText } from "../../log/mod.ts";

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

const reservePath = (directory: string): string => `${directory}/reserve`;

/**
 * Opens what needs space on a full disk, such as a log of which a torn end is set aside or an index is written again. If the disk
 * refuses it, the reserve is released and it is opened once more: records are refused then until there is space.
 * @throws Fault "disk-full" with the free space and what to do, if there is no reserve; what `open` throws
 */
export function openOnFullDisk<T>(
  { disk, directory, logger }: Pick<OpenReserveOptions, "disk" | "directory" | "logger">,
  open: () => T,
): T {
  try {
    return open();
  } catch (reason) {
    if (!isFull(reason)) throw reason;
    if (!releaseReserve(disk, reservePath(directory))) throw fullAtStart(disk, directory, reason);
    logger.warn({ err: reason }, "the disk is full: the node starts in the space of the reserve");
  }
  try {
    return open();
  } catch (reason) {
    throw isFull(reason) ? fullAtStart(disk, directory, reason) : reason;
  }
}

const isFull = (reason: unknown): reason is Fault => reason instanceof Fault && reason.kind === "disk-full";

function fullAtStart(disk: Disk, directory: string, cause: Fault): Fault {
  const { text, facts } = spaceText(disk, directory);
  const free = text === "" ? "" : `, ${text}`;
  return new Fault("disk-full", {
    message:
      `the disk is full${free}, and there is nothing in reserve: this start has to write up to 16 MiB, because the last one ` +
      `did not end in order. Nothing is lost. Free 16 MiB on the file system of ${directory}, and start the node again`,
    facts,
    cause,
  });
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
    path: reservePath(directory),
    bytes,
    onChange: (full) => {
      if (full) {
        logger.warn(figures(), "the disk is full: records are refused until there is space");
        options.onFull();
      } else logger.info(figures(), "the disk has space again: records are accepted");
    },
  });
}
