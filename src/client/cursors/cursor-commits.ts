/**
 * Commits a cursor in the background while its reader goes on, at most once in an interval. Each commit states the version
 * of the one before: if another reader uses the cursor, or somebody moved it, the reader fails instead of moving it back.
 *
 *   done(n) → wait for the interval → commit the last n → …        close(): commit what is left
 */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Offset } from "../../types.ts";
import type { CursorDescription, LogCursor } from "./log-cursor.ts";

export interface CursorCommitsOptions {
  readonly cursor: Pick<LogCursor, "name" | "get" | "commit">;
  readonly clock: Clock;
  readonly everyMs: number;
  /** The cursor where the reader began; undefined if there was none. */
  readonly found: CursorDescription | undefined;
}

/** After these, no later commit succeeds. */
const finalKinds: readonly string[] = [
  "failed-precondition",
  "not-found",
  "permission-denied",
  "unauthenticated",
  "out-of-range",
  "quota-exceeded",
  "bad-request",
  "unimplemented",
];

export class CursorCommits {
  readonly #options: CursorCommitsOptions;
  #version: number;
  #done: Offset;
  #committed: Offset;
  #timer: Timer | undefined;
  #committing: Promise<void> | undefined;
  #fault: Fault | undefined;

  /** `from`: where the reader begins. */
  constructor(from: Offset, options: CursorCommitsOptions) {
    this.#options = options;
    this.#version = options.found?.version ?? 0;
    this.#done = from;
    this.#committed = options.found?.offset ?? from;
  }

  /** The reader has done everything before `offset`. @throws the fault of a commit that cannot succeed any more */
  done(offset: Offset): void {
    if (this.#fault !== undefined) throw this.#fault;
    this.#done = offset;
    if (this.#timer !== undefined || this.#committing !== undefined) return;
    this.#timer = this.#options.clock.after(this.#options.everyMs, () => {
      this.#timer = undefined;
      this.#committing = this.#commitNow().finally(() => (this.#committing = undefined));
    });
  }

  /** Commits what is left. @throws the fault of the commit */
  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.#committing;
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#done !== this.#committed) await this.#commit(this.#done);
  }

  /** What fails is tried again with the next record, unless it can never succeed. */
  async #commitNow(): Promise<void> {
    try {
      if (this.#done !== this.#committed) await this.#commit(this.#done);
    } catch (reason) {
      const fault = Fault.from(reason);
      if (finalKinds.includes(fault.kind)) this.#fault = fault;
    }
  }

  async #commit(offset: Offset): Promise<void> {
    const { cursor } = this.#options;
    let committed: CursorDescription;
    try {
      committed = await cursor.commit(offset, { version: this.#version });
    } catch (reason) {
      const found = Fault.from(reason).written === "unknown" ? await cursor.get() : undefined;
      // An attempt with an unknown outcome succeeded.
      if (found === undefined || found.offset !== offset || found.version <= this.#version) throw reason;
      committed = found;
    }
    this.#version = committed.version;
    this.#committed = offset;
  }
}
