/**
 * Commits and deletes cursors on the leader. The leader decides with the rows after everything that is staged, and the command
 * states the effect. Commands about one cursor are executed one after another. Those of different cursors are written
 * together: a write group has as many as arrive meanwhile.
 *
 * A commit is acknowledged once it is on the disks of a majority and applied here. A refusal is sent only once a quorum confirms
 * that this node was the leader.
 *
 * A cursor is found by the id of its log. When a log is deleted, its cursors are deleted after it, page by page. What a change of the
 * leader leaves of them is never shown, and is deleted when it was idle for long enough, as any cursor.
 */
import type { Fault } from "../../../fault.ts";
import { assert } from "../../../lib/assert.ts";
import type { CursorCommit } from "../../../lib/names/cursor-info.ts";
import { noSuchCursor } from "../../../lib/names/cursor-name.ts";
import { defaultLog } from "../../../lib/names/log-name.ts";
import {
  type Barrier,
  batchKind,
  type CursorRow,
  cursorNameIn,
  cursorRowName,
  cursorsLevel,
  encodeCursorCommand,
  encodeLogCommand,
  isCursorRow,
  type LogTable,
  outOfRange,
  rowAfter,
} from "../../../log/mod.ts";
import type { Bounds, LogId, LogRef, RaftIndex } from "../../../types.ts";
import type { Appender } from "../../append/appender.ts";
import { anotherLife, isOtherLife, noIdsLeft, refusedName } from "../log-refusals.ts";
import { endApplied } from "./applied-end.ts";
import type { ClusterLevel } from "./cluster-level.ts";
import { cursorChanged, tooManyCursors, tooManyOfCluster } from "./cursor-refusals.ts";
import type { RowIds } from "./row-ids.ts";
import { checkOwner } from "./settings-change.ts";

export interface CursorAdminPorts {
  readonly table: () => LogTable;
  /** The committed extent of `default`. */
  readonly bounds: () => Bounds;
  readonly appender: Pick<Appender, "admission" | "disk" | "turns" | "namedCommand" | "refuse" | "confirmed">;
  readonly level: Pick<ClusterLevel, "prepare">;
  readonly ids: RowIds;
}

/** How a call changes a cursor. */
export interface CursorOptions {
  /** The version that the cursor must have; 0: there must be none. Default: any. */
  readonly version?: RaftIndex | undefined;
  readonly deadlineMs?: number | undefined;
  readonly subject?: string | undefined;
}

/** The log of a cursor. */
interface CursorLog extends Bounds {
  readonly id: LogId;
  readonly name: string;
}

/** Cursors of a deleted log that are deleted together. */
const sweptTogether = 256;

export class CursorAdmin {
  readonly #ports: CursorAdminPorts;
  /** Creates under way, all and by log. They are not in the table yet. */
  #creating = 0;
  readonly #creatingIn = new Map<LogId, number>();

  constructor(ports: CursorAdminPorts) {
    this.#ports = ports;
  }

  /**
   * Sets a cursor, and creates it if there is none. Returns its row.
   * @throws Fault "not-found" for the log; "failed-precondition" for another version, with the present one, and while a member has
   *   no cursors; "out-of-range" beyond the end of the log; "quota-exceeded"; "disk-full" or "disk-busy" while the disk refuses records
   */
  async commit(
    ref: LogRef,
    { cursor: name, offset, metadata = "" }: CursorCommit,
    { version, deadlineMs, subject }: CursorOptions = {},
  ): Promise<{ readonly row: CursorRow; readonly created: boolean }> {
    const { appender, level } = this.#ports;
    checkOwner(subject);
    const late = `cursor "${name}" was not committed in time: the cluster was not yet prepared for cursors`;
    await level.prepare(cursorsLevel, deadlineMs, late);
    await endApplied(this.#ports, ref, offset);
    return this.#withCursor(ref, name, deadlineMs, async (log, row) => {
      if (version !== undefined && version !== (row?.version ?? 0))
        return appender.refuse(() => cursorChanged(name, version, row));
      if (offset > log.next) return appender.refuse(() => outOfRange(offset, log));
      // Commits would use up the reserve, and then no log could be trimmed or deleted.
      appender.disk.check();
      appender.admission.checkRowsWritten();
      const refused =
        row === undefined ? (refusedName(name, "cursor") ?? this.#refusedCreate(log)) : undefined;
      if (refused !== undefined) return appender.refuse(() => refused);
      const written = await this.#write(log, name, row, { offset, metadata }, subject);
      return { row: written, created: row === undefined };
    });
  }

  /** @throws Fault "not-found" for the log or the cursor; "failed-precondition" for another version, with the present one */
  async delete(ref: LogRef, name: string, { version, deadlineMs }: CursorOptions = {}): Promise<void> {
    const { appender } = this.#ports;
    await this.#withCursor(ref, name, deadlineMs, async (log, row) => {
      if (version !== undefined && version !== (row?.version ?? 0))
        return appender.refuse(() => cursorChanged(name, version, row));
      if (row === undefined) return appender.refuse(() => noSuchCursor(log.name, name));
      await appender.namedCommand(batchKind.deleteLog, new Uint8Array(0), row);
    });
  }

  /** Deletes a cursor unless a commit of it has a higher index than `version`. */
  async deleteIdle(row: Pick<CursorRow, "id" | "name">, version: RaftIndex): Promise<void> {
    const { appender, table } = this.#ports;
    await appender.turns.alone(row.name, undefined, async () => {
      if (!isCursorRow(table().stagedRow(row.id))) return;
      await appender.namedCommand(batchKind.deleteLog, encodeLogCommand({ version }), row);
    });
  }

  /** Deletes the cursors of a log that was deleted. A failure is left to the expiry of idle cursors. */
  logDeleted(log: LogId): void {
    if (this.#ports.table().cursorsOf(log) > 0) this.#sweep(log).catch(() => undefined);
  }

  async #sweep(log: LogId): Promise<void> {
    const { table } = this.#ports;
    for (let last = ""; ; ) {
      const { cursors, next } = table().cursorsFrom(log, last, sweptTogether);
      await Promise.all(cursors.map((row) => this.deleteIdle(row, row.version)));
      if (next === undefined) return;
      last = next;
    }
  }

  /**
   * Begins the command before its first await. Returns the row after it: when it is applied here, a commit that a later leader
   * accepted may be applied, too.
   */
  async #write(
    { id: log }: CursorLog,
    name: string,
    row: CursorRow | undefined,
    { offset, metadata }: { readonly offset: number; readonly metadata: string },
    subject: string | undefined,
  ): Promise<CursorRow> {
    const { appender, ids } = this.#ports;
    const created = { log, name, ...(subject === undefined ? {} : { owner: subject }) };
    const command = encodeCursorCommand({
      offset,
      ...(metadata === "" ? {} : { metadata }),
      ...(row === undefined ? { created } : {}),
    });
    const target = { id: row?.id ?? ids.give(), name: cursorRowName(log, name), subject };
    const counted = row === undefined ? this.#creates(log) : undefined;
    let written: ReturnType<typeof rowAfter>;
    const ended: Barrier = (_, frame) => {
      counted?.();
      if (frame !== undefined) written = rowAfter(row, frame, 0);
    };
    try {
      await appender.namedCommand(batchKind.commitCursor, command, target, ended);
    } catch (reason) {
      counted?.();
      throw reason;
    }
    assert(typeof written === "object" && isCursorRow(written), "a commit of a cursor has no row");
    return written;
  }

  /** Calls `decide` with the log and the staged row of the cursor, if there is one, when it is the turn of the cursor. */
  async #withCursor<T>(
    ref: LogRef,
    name: string,
    deadlineMs: number | undefined,
    decide: (log: CursorLog, row: CursorRow | undefined) => Promise<T>,
  ): Promise<T> {
    const { appender, table } = this.#ports;
    const attempt = (): CursorLog | Promise<never> => {
      try {
        return this.#logOf(ref);
      } catch (refusal) {
        return appender.refuse(() => refusal);
      }
    };
    const { id } = await attempt();
    const rowName = cursorRowName(id, name);
    return appender.turns.alone(rowName, deadlineMs, async () => {
      // It may have been deleted while this waited for its turn.
      const log = attempt();
      if (log instanceof Promise) return log;
      const row = table().stagedNamed(rowName);
      return decide(log, isCursorRow(row) ? row : undefined);
    });
  }

  /** @throws as LogAdmission.rowOf() */
  #logOf(ref: LogRef): CursorLog {
    const { appender, bounds, table } = this.#ports;
    if (ref.name === defaultLog) {
      const { stagedLife } = table();
      if (isOtherLife(ref.life, stagedLife)) throw anotherLife(ref.name, ref.life, stagedLife);
      return { id: 0, name: defaultLog, ...bounds() };
    }
    const row = appender.admission.rowOf(ref);
    const { lowest, next } = table().row(row.id) ?? row;
    return { id: row.id, name: row.name, lowest, next };
  }

  #refusedCreate({ id, name }: CursorLog): Fault | undefined {
    const { table, ids, appender } = this.#ports;
    const { cursorLimits, refused } = appender.admission.quotas;
    const found = table().cursorsOf(id) + (this.#creatingIn.get(id) ?? 0);
    const all = table().cursors + this.#creating;
    if (found < cursorLimits.ofLog && all < cursorLimits.all)
      return ids.free === undefined ? noIdsLeft() : undefined;
    refused.cursors++;
    if (found >= cursorLimits.ofLog) return tooManyCursors(name, found, cursorLimits.ofLog);
    return tooManyOfCluster(all, cursorLimits.all);
  }

  /** A create begins. Returns the function that ends it. */
  #creates(log: LogId): () => void {
    const count = (change: number): void => {
      this.#creating += change;
      const sum = (this.#creatingIn.get(log) ?? 0) + change;
      if (sum === 0) this.#creatingIn.delete(log);
      else this.#creatingIn.set(log, sum);
    };
    count(1);
    let isUnderWay = true;
    return () => {
      if (isUnderWay) count(-1);
      isUnderWay = false;
    };
  }
}

/** The cursor of a row, as clients see it. */
export const cursorInfoOf = (row: CursorRow, life: number) => ({
  name: cursorNameIn(row),
  ...{ life, log: row.cursor.log, offset: row.cursor.offset, metadata: row.cursor.metadata ?? "" },
  ...{ version: row.version, createdMs: row.createdMs, committedMs: row.lastMs },
  ...(row.owner === undefined ? {} : { owner: row.owner }),
});
