/**
 * Collects garbage when memory runs low. V8 looks for Buffers that are no longer used after every 64 MiB of new ones, or
 * later (gc-flags.ts), and not at all while a node is idle: too late where 256 MiB are all there is, and memory would
 * not return after a peak.
 *
 * It looks when the memory budget has seen some traffic or has fallen, never by itself.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { native } from "../../lib/disk/native.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { MachineMemory } from "./machine-memory.ts";

/** From this part of the limit on garbage is collected. */
const collectFrom = 0.6;
/** Between two collections, and between two while memory is nearly used up: one takes 10 to 50 ms. */
const pauseMs = 300;
const shortPauseMs = 100;
const shortFrom = 0.8;
/** With less memory, blocks from this size on go back to the system at once when they are freed. */
const mapBlocksBytes = 128 * 1024;
const smallMachineBytes = 1024 * 2 ** 20;

export interface ReclaimOptions {
  readonly machine: MachineMemory;
  readonly clock: Clock;
  /** Resident memory now, bytes. */
  readonly residentBytes?: () => number;
  /** Collects garbage and gives freed memory back. */
  readonly collect?: () => void;
  /** Called after each look: garbage was collected, or need not be. */
  readonly onLooked: () => void;
}

export class Reclaim {
  readonly #limitBytes: number;
  readonly #clock: Clock;
  readonly #residentBytes: () => number;
  readonly #collect: () => void;
  readonly #onLooked: () => void;
  #timer: Timer | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor({ machine, clock, residentBytes, collect, onLooked }: ReclaimOptions) {
    this.#limitBytes = machine.limitBytes;
    this.#clock = clock;
    this.#residentBytes = residentBytes ?? (() => process.memoryUsage.rss());
    this.#collect = collect ?? collectNow();
    this.#onLooked = onLooked;
  }

  /** Memory was used or given back: looks soon whether garbage is to be collected. */
  readonly look = (): void => {
    if (this.#timer !== undefined) return;
    const isShort = this.#residentBytes() >= shortFrom * this.#limitBytes;
    const dueMs = this.#lastMs + (isShort ? shortPauseMs : pauseMs);
    this.#timer = this.#clock.after(Math.max(0, dueMs - this.#clock.monotonicMs()), () => {
      this.#timer = undefined;
      if (this.#residentBytes() >= collectFrom * this.#limitBytes) {
        this.#collect();
        this.#lastMs = this.#clock.monotonicMs();
      }
      this.#onLooked();
    });
  };

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }
}

/** On a machine with little memory: large blocks of malloc are not kept for later. */
export function mapLargeBlocks({ limitBytes }: MachineMemory): void {
  if (limitBytes < smallMachineBytes) native()?.mapBlocksFrom(mapBlocksBytes);
}

function collectNow(): () => void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  return () => {
    collect();
    native()?.trim();
  };
}
