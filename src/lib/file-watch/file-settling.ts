/**
 * Decides when changed files are complete: they stay the same for a while and no process has them open for writing.
 *
 * Linux reports writers for files of the process's own user (`native.hasWriter`). Where they are unknown, the wait is
 * longer. A process that keeps a file open without writing delays the change by `writerPatienceMs`.
 */
import { closeSync, openSync, statSync } from "node:fs";
import { native } from "../disk/native.ts";
import type { Clock } from "../time/clock.ts";

/** Unchanged for so long, without a writer. */
const stableMs = 400;
/** Unchanged for so long, if writers are unknown. */
const stableUnknownMs = 2_000;
/** Unchanged for so long, although there is a writer. */
const writerPatienceMs = 30_000;

export class FileSettling {
  readonly #paths: readonly string[];
  readonly #clock: Pick<Clock, "monotonicMs">;
  #seen = "";
  #sinceMs = 0;

  constructor(paths: readonly string[], clock: Pick<Clock, "monotonicMs">) {
    this.#paths = paths;
    this.#clock = clock;
  }

  /** Checks the files. Returns 0 if they are complete, else the milliseconds until the next check. */
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

/** Returns true if a process has the file open for writing, undefined if unknown. */
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
