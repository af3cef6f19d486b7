/**
 * The scrub of the database of rows: checks all of it in the background, a thousand rows at a time, so that damage is found while
 * the database is not needed. The first pass begins a minute after the start, the next one a day after the end of a pass.
 *
 * A damaged database is built again in the background (see LogRows), and its pass ends.
 */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { RowDatabase } from "../../rows/mod.ts";
import type { LogId } from "../../types.ts";
import type { CommittedRows } from "../state/committed-rows.ts";

export interface RowScrubOptions {
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly rows: () => CommittedRows;
}

const firstPassMs = 60_000;
const nextPassMs = 24 * 3_600_000;
/** A piece takes some 20 ms of the worker. */
const pieceEveryMs = 500;

export class RowScrub {
  readonly #options: RowScrubOptions;
  #timer: Timer | undefined;
  #database: RowDatabase | undefined;
  /** The last id that was checked in this pass. */
  #afterId: LogId = -1;
  #closed = false;

  constructor(options: RowScrubOptions) {
    this.#options = options;
    this.#later(firstPassMs);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #later(delayMs: number): void {
    if (!this.#closed) this.#timer = this.#options.clock.after(delayMs, () => void this.#piece());
  }

  /** Does not reject. */
  async #piece(): Promise<void> {
    const rows = this.#options.rows();
    const { database } = rows;
    if (database !== this.#database) this.#afterId = -1;
    this.#database = database;
    let lastId: LogId | undefined;
    try {
      lastId = await database?.scrub(this.#afterId);
    } catch (err) {
      this.#options.logger?.error({ err }, "the scrub of the rows of named logs ended");
      // Another one may be in use by now.
      const isInUse = rows.database === database;
      if (err instanceof Fault && err.kind === "corrupt" && isInUse) rows.damaged();
    }
    this.#afterId = lastId ?? -1;
    this.#later(lastId === undefined ? nextPassMs : pieceEveryMs);
  }
}
