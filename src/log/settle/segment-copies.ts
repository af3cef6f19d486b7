/**
 * Makes the copies of segments that settling and merging need, at the rate that the settings say. Nothing names the files of a copy
 * yet: they are removed if it is not used.
 */
import { Fault } from "../../fault.ts";
import { errorCode, troubleOf } from "../../lib/disk/disk.ts";
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import { CopyRate } from "./copy-rate.ts";
import { type SettledCopy, type SettledCopyParts, writeSettled } from "./settled-store.ts";
import type { SettlerParts } from "./settler-parts.ts";

export type SegmentRun = readonly [SealedSegment, ...SealedSegment[]];

/** What the copies need of the settler. */
export interface CopyTurns {
  readonly sleep: (ms: number) => Promise<void>;
  /** The segments are in the log, and may be replaced now. */
  readonly mayReplace: (segments: readonly SealedSegment[]) => boolean;
  /** Files may be removed. */
  readonly isOn: () => boolean;
  /** Logs a refusal of the disk. */
  readonly note: (reason: unknown) => void;
}

export interface CopyRequest {
  readonly segments: SegmentRun;
  readonly below: ReadonlyMap<LogId, Offset>;
  readonly settledAt: RaftIndex;
  readonly fits?: NonNullable<SettledCopyParts["fits"]>;
  /** On a full disk, the reserve is freed for the copy. */
  readonly usesReserve: boolean;
  /** A segment is damaged. */
  readonly damaged: () => void;
}

type Parts = Pick<SettlerParts, "files" | "directoryId" | "bytesPerSecond" | "reserve" | "clock">;

export class SegmentCopies {
  readonly #parts: Parts;
  readonly #turns: CopyTurns;

  constructor(parts: Parts, turns: CopyTurns) {
    this.#parts = parts;
    this.#turns = turns;
  }

  /**
   * Copies the segments. An error loses nothing, whatever its code is, unless a sync failed. Undefined if the copy is not needed any
   * more, or a segment is damaged, or they do not fit.
   * @throws Fault "disk-busy" or "disk-full" for a refusal of the disk; the error of a sync
   */
  async copy({
    segments,
    below,
    settledAt,
    fits,
    usesReserve,
    damaged,
  }: CopyRequest): Promise<SettledCopy | undefined> {
    const { files, directoryId, bytesPerSecond, reserve, clock } = this.#parts;
    const { mayReplace, sleep } = this.#turns;
    const rate = new CopyRate(clock, bytesPerSecond);
    const goesOn = async (bytes: number): Promise<boolean> => {
      const pauseMs = rate.pauseAfter(bytes);
      if (pauseMs !== undefined) {
        await sleep(pauseMs);
        rate.resumed();
      }
      return mayReplace(segments);
    };
    const parts = { files, directoryId, below, settledAt, goesOn, ...(fits === undefined ? {} : { fits }) };
    for (let isFirst = true; mayReplace(segments); isFirst = false) {
      try {
        return await writeSettled(segments, parts);
      } catch (reason) {
        if (errorCode(reason) === "" && !(reason instanceof Fault)) throw reason;
        this.remove(segments);
        if (reason instanceof Fault && reason.kind === "corrupt") {
          damaged();
          return undefined;
        }
        const mayRepeat =
          isFirst && usesReserve && troubleOf(reason) === "full" && reserve?.release() === true;
        if (!mayRepeat) throw reason instanceof Fault ? reason : new Fault("disk-busy", { cause: reason });
      }
    }
    return undefined;
  }

  /**
   * Puts a copy in the place of the segments. If the catalog refuses it, nothing is changed, and the files are removed. Otherwise it
   * may name them: they stay for the next opening.
   */
  replace(segments: SegmentRun, replacement: () => void): void {
    try {
      replacement();
    } catch (reason) {
      if (troubleOf(reason) !== "lost") this.remove(segments);
      throw reason;
    }
  }

  /** Removes the files of a copy that is not used. What cannot be removed is removed by the next copy or opening. */
  remove([{ first }]: SegmentRun): void {
    if (!this.#turns.isOn()) return;
    try {
      this.#parts.files.removeSettled(first);
    } catch (reason) {
      if (errorCode(reason) === "") throw reason;
      this.#turns.note(reason);
    }
  }
}
