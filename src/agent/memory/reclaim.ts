/**
 * Collects garbage when memory runs low. V8 itself collects unused Buffers after 64 MiB of new ones, or later
 * (gc-flags.ts), and not while a node is idle. That is too late with 256 MiB of memory, and after a peak an idle node
 * would keep the memory. The memory budget calls check() after traffic and when it falls.
 */
import { native } from "../../lib/disk/native.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { collectGarbage } from "./collect-garbage.ts";
import type { MachineMemory } from "./machine-memory.ts";

/** Garbage is collected when resident memory is above this share of the limit. */
const collectFrom = 0.6;
/** The pause after a collection, and the one above `shortFrom` of the limit. A collection takes 10 to 50 ms. */
const pauseMs = 300;
const shortPauseMs = 100;
const shortFrom = 0.8;
/** On a small machine, freed blocks of at least this size return to the system at once. */
const mapBlocksBytes = 128 * 1024;
const smallMachineBytes = 1024 * 2 ** 20;

export interface ReclaimOptions {
  readonly machine: MachineMemory;
  readonly clock: Clock;
  /** Returns the resident memory, bytes. Default: that of the process. */
  readonly residentBytes?: () => number;
  /** Collects garbage and returns freed memory to the system. Default: V8's gc() and malloc_trim. */
  readonly collect?: () => void;
  /** Called after each check, when garbage was collected or did not need to be. */
  readonly onChecked: () => void;
}

export class Reclaim {
  readonly #limitBytes: number;
  readonly #clock: Clock;
  readonly #residentBytes: () => number;
  readonly #collect: () => void;
  readonly #onChecked: () => void;
  #timer: Timer | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor({ machine, clock, residentBytes, collect, onChecked }: ReclaimOptions) {
    this.#limitBytes = machine.limitBytes;
    this.#clock = clock;
    this.#residentBytes = residentBytes ?? (() => process.memoryUsage.rss());
    this.#collect = collect ?? collectGarbage;
    this.#onChecked = onChecked;
  }

  /** Checks soon whether garbage must be collected. Call it when memory was used or released. */
  readonly check = (): void => {
    if (this.#timer !== undefined) return;
    const isShort = this.#residentBytes() >= shortFrom * this.#limitBytes;
    const dueMs = this.#lastMs + (isShort ? shortPauseMs : pauseMs);
    this.#timer = this.#clock.after(Math.max(0, dueMs - this.#clock.monotonicMs()), () => {
      this.#timer = undefined;
      if (this.#residentBytes() >= collectFrom * this.#limitBytes) {
        this.#collect();
        this.#lastMs = this.#clock.monotonicMs();
      }
      this.#onChecked();
    });
  };

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }
}

/** On a machine with less than 1 GiB, makes malloc return large freed blocks to the system at once. */
export function mapLargeBlocks({ limitBytes }: MachineMemory): void {
  if (limitBytes < smallMachineBytes) native()?.mapBlocksFrom(mapBlocksBytes);
}
