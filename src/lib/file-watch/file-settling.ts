/**
 * Waits until files that changed are complete: they stay the same for a while and no process has them open for writing.
 *
 * Linux tells the second for files of our own user (`native.hasWriter`). Where it does not, the wait is longer. A process
 * that keeps a file open without writing to it delays the change by `writerPatienceMs`.
 */
import { closeSync, openSync, statSync } from "node:fs";
import { native } from "../disk/native.ts";
import type { Clock } from "../time/clock.ts";

/** The same for so long, and no writer. */
const stableMs = 400;
/** The same for so long, where it is not known whether there is a writer. */
const stableUnknownMs = 2_000;
/** The same for so long, although a writer is there. */
const writerPatienceMs = 30_000;

export class Settling {
  readonly #paths: readonly string[];
  readonly #clock: Pick<Clock, "monotonicMs">;
  #seen = "";
  #sinceMs = 0;

  constructor(paths: readonly string[], clock: Pick<Clock, "monotonicMs">) {
    this.#paths = paths;
    this.#clock = clock;
  }

  /** Looks at the files. Returns 0 when they are complete, else how many milliseconds to wait for the next look. */
  look(): number {
    const nowMs = this.#clock.monotonicMs();
    const now = this.#paths.map(fingerprint).join("\n");
    if (now !== this.#seen) {
      this.#seen = now;
      this.#sinceMs = nowMs;
      return stableMs;
    }
    const writers = this.#paths.map(hasWriter);
    const neededMs = writers.includes(true)
      ? writerPatienceMs
      : writers.includes(undefined)
        ? stableUnknownMs
        : stableMs;
    const leftMs = neededMs - (nowMs - this.#sinceMs);
    return leftMs <= 0 ? 0 : Math.min(leftMs, stableMs);
  }
}

function fingerprint(path: string): string {
  try {
    const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "error";
  }
}

/** Is it open for writing? Undefined where that is not known. */
function hasWriter(path: string): boolean | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    return native()?.hasWriter?.(descriptor);
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
