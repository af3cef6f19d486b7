/**
 * Finds the cursors that are furthest behind the end of their logs, for the metrics. There can be a million cursors, and
 * metrics have room for few names.
 *
 *   collection   looks at cursors for 2 ms, and answers
 *   after it     goes on in turns of the event loop, up to 100 ms of work for one collection
 *   round        all cursors once; with more than some thousand, it takes several collections
 *
 * The answer is made of the last whole round and of what this one has found, with the positions of now. Without collections
 * nothing runs.
 */
import { Largest } from "../../../lib/collections/largest.ts";
import { lagOf } from "../../../lib/names/cursor-info.ts";
import { defaultLog } from "../../../lib/names/log-name.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import { type CursorRow, cursorNameIn, isCursorRow, type LogTable, shown } from "../../../log/mod.ts";
import type { Bounds, LogId } from "../../../types.ts";

/** Cursors that are shown. */
const laggingMax = 16;
const turnMs = 2;
const workMs = 100;
/** Cursors that are looked at together. */
const pageMax = 64;

export interface CursorLagsPorts {
  readonly clock: Clock;
  readonly table: () => Pick<LogTable, "everyCursor" | "peek">;
  /** The committed extent of `default`. */
  readonly bounds: () => Bounds;
}

export interface CursorLag {
  readonly log: string;
  readonly cursor: string;
  /** Records. */
  readonly lag: number;
}

export class CursorLags {
  readonly #ports: CursorLagsPorts;
  /** The name of the row after which the round goes on. */
  #after = "";
  #found = new Largest<LogId>(laggingMax);
  #lastRound: readonly LogId[] = [];
  /** Work for the last collection goes on. */
  #isBusy = false;

  constructor(ports: CursorLagsPorts) {
    this.#ports = ports;
  }

  /** The cursors that are furthest behind, at most 16, the furthest first. @throws Fault as reading a row does */
  collect(): readonly CursorLag[] {
    if (!this.#isBusy && !this.#look()) this.#goOn(workMs - turnMs);
    const shownOnes = new Largest<CursorLag>(laggingMax);
    for (const id of new Set([...this.#lastRound, ...this.#found.items])) {
      const row = this.#ports.table().peek(id);
      const found = isCursorRow(row) ? this.#lagOf(row) : undefined;
      if (found !== undefined) shownOnes.add(found.lag, found);
    }
    return shownOnes.items;
  }

  #goOn(leftMs: number): void {
    this.#isBusy = leftMs > 0;
    if (!this.#isBusy) return;
    workTurns(this.#ports.clock).wait(() => {
      try {
        this.#goOn(this.#look() ? 0 : leftMs - turnMs);
      } catch {
        // The rows cannot be read now, or the node stops. The next collection begins another round.
        this.#after = "";
        this.#isBusy = false;
      }
    });
  }

  /** Looks at cursors for one turn. Returns true at the end of a round. */
  #look(): boolean {
    const { clock, table } = this.#ports;
    const untilMs = clock.monotonicMs() + turnMs;
    do {
      const { cursors, next } = table().everyCursor(this.#after, pageMax);
      for (const row of cursors) {
        const lag = this.#lagOf(row)?.lag;
        if (lag !== undefined) this.#found.add(lag, row.id);
      }
      this.#after = next ?? "";
      if (next === undefined) {
        this.#lastRound = this.#found.items;
        this.#found = new Largest(laggingMax);
        return true;
      }
    } while (clock.monotonicMs() < untilMs);
    return false;
  }

  /** Undefined if the log was deleted. */
  #lagOf(row: CursorRow): CursorLag | undefined {
    const { bounds, table } = this.#ports;
    const { log, offset } = row.cursor;
    const of = log === 0 ? { name: defaultLog, ...bounds() } : shown(table().peek(log));
    if (of === undefined) return undefined;
    return { log: of.name, cursor: cursorNameIn(row), lag: lagOf({ offset }, of) };
  }
}
