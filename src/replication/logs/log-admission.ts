/**
 * What a leader decides about named logs when a request arrives: against the rows with everything staged, and not while a
 * command about the log is under way. Such a command is a barrier for its log; other logs go on.
 */
import { Fault } from "../../fault.ts";
import { readVarint, varintEnd } from "../../lib/bytes.ts";
import type { LogRow, LogTable, QueuedGroup } from "../../log/mod.ts";
import type { LogRef, RecordRun } from "../../types.ts";

export class LogAdmission {
  readonly #table: () => Pick<LogTable, "stagedNamed">;
  /** The commands that were accepted and are not applied yet, by the name of their log. */
  readonly #commands = new Map<string, QueuedGroup>();
  /** The last append or change that waits for commands about a log, by its name. Resolves once it has its place. */
  readonly #waiting = new Map<string, Promise<void>>();

  constructor(table: () => Pick<LogTable, "stagedNamed">) {
    this.#table = table;
  }

  /** The group of the command about this log that is under way, if any. */
  commandOn(name: string): QueuedGroup | undefined {
    return this.#commands.get(name);
  }

  /** True while an append to this log waits: for a command, or behind an append or a change that does. */
  isBusy(name: string): boolean {
    return this.#commands.has(name) || this.#waiting.has(name);
  }

  /** An append or a change of this log begins to wait. Its turn comes after `before`; it calls `end` when it has its place. */
  waitsFor(name: string): { readonly before: Promise<void> | undefined; readonly end: () => void } {
    const before = this.#waiting.get(name);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(name, promise);
    const end = (): void => {
      if (this.#waiting.get(name) === promise) this.#waiting.delete(name);
      resolve();
    };
    return { before, end };
  }

  /** A command about this log was queued. */
  began(name: string, group: QueuedGroup): void {
    this.#commands.set(name, group);
    group.barriers.push(() => {
      if (this.#commands.get(name) === group) this.#commands.delete(name);
    });
  }

  /**
   * Returns the row of a log.
   * @throws Fault "not-found"; "failed-precondition" if the name means another log than the stated one
   */
  rowOf({ name, id }: LogRef): LogRow {
    const row = this.#table().stagedNamed(name);
    if (row === undefined) throw noSuchLog(name);
    if (id !== undefined && id !== row.id) throw anotherLog(name);
    return row;
  }

  /**
   * Checks whether a log takes these records. `queuedBytes` are those that it was promised already.
   * @throws Fault "failed-precondition" for a log that is closed or full, "too-large" for a record beyond its limit
   */
  checkRun({ name, closed, settings, bytes }: LogRow, run: RecordRun, queuedBytes: number): void {
    if (closed) {
      throw new Fault("failed-precondition", {
        message: `log "${name}" is closed, it takes no more records`,
        facts: { name, reason: "LOG_CLOSED" },
      });
    }
    const { maxBytes, recordBytesMax } = settings;
    if (maxBytes !== undefined && bytes + queuedBytes + run.bytes.length > maxBytes) {
      throw new Fault("failed-precondition", {
        message: `log "${name}" holds ${bytes} bytes and takes at most ${maxBytes}`,
        facts: { name, reason: "LOG_FULL" },
      });
    }
    const largest = recordBytesMax === undefined ? 0 : largestRecord(run.bytes);
    if (recordBytesMax !== undefined && largest > recordBytesMax) {
      throw new Fault("too-large", {
        message: `a record has ${largest} bytes, log "${name}" takes records of at most ${recordBytesMax}`,
        facts: { foundBytes: largest, bytesMax: recordBytesMax },
      });
    }
  }
}

export const noSuchLog = (name: string): Fault =>
  new Fault("not-found", {
    message: `there is no log "${name}". To create it: tailrace logs create '${name}'`,
    facts: { name, reason: "NO_SUCH_LOG" },
  });

export const anotherLog = (name: string): Fault =>
  new Fault("failed-precondition", {
    message: `the name "${name}" now means another log: the stated one was deleted`,
    facts: { name, reason: "ANOTHER_LOG" },
  });

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
