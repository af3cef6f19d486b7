/** What a leader checks about named logs when a request arrives: against the rows with everything that is staged. */
import { Fault } from "../../fault.ts";
import { readVarint, varintEnd } from "../../lib/bytes.ts";
import { damagedRows, type LogRow, type LogTable } from "../../log/mod.ts";
import type { LogRef, RecordRun } from "../../types.ts";
import type { LogQuotas } from "./log-quotas.ts";
import {
  anotherLife,
  anotherLog,
  isOtherLife,
  keptForForks,
  logClosed,
  logFull,
  noSuchLog,
  recordTooLarge,
} from "./log-refusals.ts";

type Table = Pick<LogTable, "stagedNamed" | "stagedLife" | "lags" | "isDamaged">;

export class LogAdmission {
  readonly #table: () => Table;
  readonly quotas: LogQuotas;

  constructor(table: () => Table, quotas: LogQuotas) {
    this.#table = table;
    this.quotas = quotas;
  }

  /** @throws Fault "overloaded" while too many rows changed that the disk has not taken; "corrupt" if it never will */
  checkRowsWritten(): void {
    const { lags, isDamaged } = this.#table();
    if (!lags) return;
    if (isDamaged) throw damagedRows();
    throw new Fault("overloaded", {
      message: "the state of named logs is written too slowly, try again later",
    });
  }

  /**
   * Returns the row of a log.
   * @throws Fault "not-found"; "failed-precondition" if the name means another log than the stated one, and for another life
   */
  rowOf({ name, id, life }: LogRef): LogRow {
    const row = this.#table().stagedNamed(name);
    const { stagedLife } = this.#table();
    // Only here: a follower that lags can know an earlier life.
    if (isOtherLife(life, stagedLife)) throw anotherLife(name, life, stagedLife);
    if (row === undefined || row.cursor !== undefined) throw noSuchLog(name);
    if (id !== undefined && id !== row.id) throw anotherLog(name);
    if (row.deleted === true) throw keptForForks(name, "not-found");
    return row;
  }

  /**
   * Checks whether a log takes these records. `needed` are their bytes with the head of a frame. `queued` returns the
   * bytes of the frames of the log that are not staged yet. The limit of a log counts frames.
   * @throws Fault "failed-precondition" for a log that is closed or full, "too-large" for a record beyond its limit,
   * "overloaded" while the disk does not keep up with the rows, "corrupt" if their database is damaged
   */
  checkRun(
    { name, closed, settings, bytes }: LogRow,
    run: RecordRun,
    needed: number,
    queued: () => number,
  ): void {
    this.checkRowsWritten();
    if (closed) throw logClosed(name);
    const { maxBytes, recordBytesMax } = settings;
    if (maxBytes !== undefined) {
      const held = bytes + queued();
      if (held + needed > maxBytes) throw logFull(name, held, needed, maxBytes);
    }
    const largest = recordBytesMax === undefined ? 0 : largestRecord(run.bytes);
    if (recordBytesMax !== undefined && largest > recordBytesMax)
      throw recordTooLarge(name, largest, recordBytesMax);
  }
}

/** The size of the largest record of a run, without its tag and length. */
function largestRecord(bytes: Uint8Array): number {
  let largest = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = readVarint(bytes, at + 1, bytes.length);
    largest = Math.max(largest, length);
    at = varintEnd(bytes, at + 1, bytes.length) + length;
  }
  return largest;
}
