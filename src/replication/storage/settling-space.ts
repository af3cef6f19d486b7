/** The disk space that is kept for settling: a segment can be copied when the disk is full. A copy is never larger than its segment. */
import type { Disk } from "../../lib/disk/disk.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { type LogSettings, Reserve, type SettleReserve } from "../../log/mod.ts";

/** The largest reserve, as a part of the volume. */
const volumeShare = 1 / 16;

export interface SettlingSpaceOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  readonly settings: LogSettings;
}

export class SettlingSpace implements SettleReserve {
  #reserve: Reserve | undefined;

  /** Takes the space once the log is open. Frees what an earlier start kept, unless `isOn`. */
  open({ disk, clock, directory, settings }: SettlingSpaceOptions, isOn: boolean): void {
    const path = `${directory}/reserve-settling`;
    if (!isOn && disk.exists(path)) disk.remove(path);
    if (!isOn) return;
    const most = Math.floor(disk.totalBytes(directory) * volumeShare);
    const bytes = Math.max(1, Math.min(settings.segmentStoreBytesMax, most));
    this.#reserve = new Reserve({ disk, clock, path, bytes });
  }

  release(): boolean {
    this.#reserve?.filled();
    return this.#reserve?.release() ?? false;
  }

  /** While it is empty, the look whether it is full fills it. */
  refill(): void {
    void this.#reserve?.open;
  }
}
