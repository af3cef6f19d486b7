/**
 * Changes and deletes named logs on the leader; LogCreation creates them, CursorAdmin is for their cursors. The leader decides
 * with the rows after everything that is staged, and the command states the effect. Commands about one log are executed one after
 * another; other logs go on.
 *
 * A refusal is sent only once a quorum confirms that this node was the leader.
 *
 * `deadlineMs` is the time of the monotonic clock until which a change waits for its turn. Default: without end.
 */
import { isDeepStrictEqual } from "node:util";
import {
  type BatchKind,
  batchKind,
  encodeLogCommand,
  forksLevel,
  type LogRow,
  livedMs,
  outOfRange,
  ownLowest,
  shown,
  touchAfterMs,
} from "../../log/mod.ts";
import type { LogId, LogRef, NamedLogSettings, Offset, RaftIndex, SettingsChange } from "../../types.ts";
import type { Appender } from "../append/appender.ts";
import { endApplied } from "./admin/applied-end.ts";
import { ClusterLevel, type ClusterLevelPorts } from "./admin/cluster-level.ts";
import type { CommandTarget } from "./admin/command-target.ts";
import { committedRow } from "./admin/committed-row.ts";
import { CursorAdmin, type CursorAdminPorts } from "./admin/cursor-admin.ts";
import { LogCreation } from "./admin/log-creation.ts";
import { RowIds } from "./admin/row-ids.ts";
import { changed, refusedChange, sameSettings } from "./admin/settings-change.ts";
import { changedBefore, hasForks, type PresentTime, versionMismatch } from "./log-refusals.ts";

export interface LogAdminPorts extends Omit<ClusterLevelPorts, "appender">, Pick<CursorAdminPorts, "bounds"> {
  readonly appender: Pick<
    Appender,
    | "admission"
    | "disk"
    | "turns"
    | "command"
    | "namedCommand"
    | "refuse"
    | "unstagedBytes"
    | "quotaRefusals"
    | "confirmed"
    | "presentTime"
  >;
}

export class LogAdmin {
  readonly #ports: LogAdminPorts;
  readonly level: ClusterLevel;
  readonly creation: LogCreation;
  readonly cursors: CursorAdmin;

  constructor(ports: LogAdminPorts) {
    this.#ports = ports;
    this.level = new ClusterLevel(ports);
    const shared = { ...ports, level: this.level, ids: new RowIds(ports.table) };
    this.creation = new LogCreation(shared);
    this.cursors = new CursorAdmin(shared);
  }

  /**
   * Changes settings. `ttlMs` counts from the last append, or from the creation.
   * @throws Fault "not-found", "failed-precondition"; "bad-request" for a new time of expiry that has passed, and for a new
   *   `ttlMs` with which the log would be deleted at once
   */
  async update(
    ref: LogRef,
    change: SettingsChange,
    version?: RaftIndex,
    deadlineMs?: number,
  ): Promise<LogRow> {
    return this.#withRow(ref, version, deadlineMs, async (row) => {
      const settings = changed(row.settings, change);
      if (sameSettings(row.settings, settings)) return this.#unchanged(row);
      const refused = refusedChange(row, settings, this.presentTime);
      if (refused !== undefined) return this.#ports.appender.refuse(() => refused);
      await this.#command(batchKind.configureLog, row, encodeLogCommand({ settings }));
      return committedRow(this.#ports.table(), row.id, row.name);
    });
  }

  /** Checks what update() would do, and returns the log as it is. @throws as update() */
  async checkUpdate(
    ref: LogRef,
    change: SettingsChange,
    version?: RaftIndex,
    deadlineMs?: number,
  ): Promise<LogRow> {
    return this.#withRow(ref, version, deadlineMs, async (row) => {
      const refused = refusedChange(row, changed(row.settings, change), this.presentTime);
      return refused === undefined ? this.#unchanged(row) : this.#ports.appender.refuse(() => refused);
    });
  }

  /** The log takes no more records. Its readers get an end. @throws Fault "not-found", "failed-precondition" */
  async close(ref: LogRef, version?: RaftIndex, deadlineMs?: number): Promise<LogRow> {
    return this.#withRow(ref, version, deadlineMs, async (row) => {
      if (row.closed) return this.#unchanged(row);
      await this.#command(batchKind.closeLog, row, new Uint8Array(0));
      return committedRow(this.#ports.table(), row.id, row.name);
    });
  }

  /** @throws Fault "not-found", "failed-precondition" */
  async delete(ref: LogRef, version?: RaftIndex, deadlineMs?: number): Promise<void> {
    await this.#withRow(ref, version, deadlineMs, (row) => this.#delete(row, version));
  }

  /** A log with forks is only deleted for its clients. No fork of it is being created now. */
  async #delete(row: LogRow, version?: RaftIndex): Promise<void> {
    const kind = this.#ports.table().forksOf(row.id) > 0 ? batchKind.hideLog : batchKind.deleteLog;
    const command = version === undefined ? new Uint8Array(0) : encodeLogCommand({ version });
    await this.#command(kind, row, command);
    if (shown(this.#ports.table().row(row.id)) === undefined) this.cursors.logDeleted(row.id);
  }

  /** Deletes a log that was deleted for its clients, if it has no forks any more. Returns whether it did. */
  async deleteUnread({ name, id }: { readonly name: string; readonly id: LogId }): Promise<boolean> {
    return this.#alone(name, undefined, async () => {
      const row = this.#ports.table().stagedRow(id);
      if (row?.deleted !== true || this.#ports.table().forksOf(id) > 0) return false;
      await this.#delete(row);
      return true;
    });
  }

  /** A client has read the log: its time to live begins again, if a quarter of it is over and the disk takes it. */
  async touch(ref: LogRef, deadlineMs?: number): Promise<void> {
    await this.level.prepare(forksLevel, deadlineMs, "the cluster was not yet prepared for reads that count");
    await this.#withRow(ref, undefined, deadlineMs, async (row) => {
      const { ttlMs } = row.settings;
      const { nowMs } = this.presentTime();
      if (ttlMs === undefined || nowMs < livedMs(row) + touchAfterMs(ttlMs)) return;
      try {
        // As for creates.
        this.#ports.appender.disk.check();
        this.#ports.appender.admission.checkRowsWritten();
      } catch {
        return;
      }
      await this.#command(batchKind.touchLog, row, new Uint8Array(0));
    });
  }

  /** Deletes a log unless a batch about it has a higher index than `version`, also one that is not committed yet. */
  async deleteIdle(ref: LogRef, version: RaftIndex): Promise<void> {
    await this.#withRow(ref, undefined, undefined, (row) => this.#delete(row, version));
  }

  /** Deletes a log, whatever was appended to it, if its time of expiry is not after `nowMs` once it is its turn. */
  async deleteExpired(ref: LogRef, nowMs: number): Promise<void> {
    await this.#withRow(ref, undefined, undefined, async (row) => {
      const { expiresAtMs = Number.POSITIVE_INFINITY } = row.settings;
      if (expiresAtMs <= nowMs) await this.#delete(row);
    });
  }

  /**
   * Deletes the records before an offset. Returns the lowest offset after it. `decidedFor`: nothing is deleted if the log has
   * other settings once it is its turn.
   * @throws Fault "not-found", "failed-precondition"; "out-of-range" for an offset beyond the end
   */
  async trim(
    ref: LogRef,
    before: Offset,
    deadlineMs?: number,
    decidedFor?: NamedLogSettings,
  ): Promise<Offset> {
    await endApplied(this.#ports, ref, before);
    return this.#withRow(ref, undefined, deadlineMs, async (row) => {
      if (decidedFor !== undefined && !isDeepStrictEqual(row.settings, decidedFor)) return row.lowest;
      const committed = this.#ports.table().row(row.id) ?? row;
      const { lowest, next } = committed;
      if (before > next) return this.#ports.appender.refuse(() => outOfRange(before, { lowest, next }));
      if (before <= lowest) return (await this.#unchanged(row)).lowest;
      if (this.#ports.table().forksOf(row.id) > 0) {
        if (decidedFor !== undefined) return lowest;
        return this.#ports.appender.refuse(() => hasForks(row.name));
      }
      // Bytes are counted by share: the records of a log are of about one size.
      const own = ownLowest(committed);
      const bytes = before <= own ? 0 : Math.floor((committed.bytes * (before - own)) / (next - own));
      await this.#command(batchKind.trimLog, row, encodeLogCommand({ from: lowest, to: before, bytes }));
      return committedRow(this.#ports.table(), row.id, row.name).lowest;
    });
  }

  /** What this node takes for the present time. */
  readonly presentTime = (): PresentTime => this.#ports.appender.presentTime();

  /** See LogTurns.alone(). */
  #alone<T>(name: string, deadlineMs: number | undefined, decide: () => Promise<T>): Promise<T> {
    return this.#ports.appender.turns.alone(name, deadlineMs, decide);
  }

  /** Does the same with the staged row of the log, which must have the version if one is given. */
  #withRow<T>(
    ref: LogRef,
    version: RaftIndex | undefined,
    deadlineMs: number | undefined,
    decide: (row: LogRow) => Promise<T>,
  ): Promise<T> {
    const { appender } = this.#ports;
    return this.#alone(ref.name, deadlineMs, () => {
      let row: LogRow;
      try {
        row = appender.admission.rowOf(ref);
        if (version !== undefined && row.version !== version) throw versionMismatch(row, version);
      } catch (refusal) {
        return appender.refuse(() => refusal);
      }
      // What was accepted before gives the log another version, unless it fails.
      if (version !== undefined && appender.unstagedBytes(row.id) > 0)
        return appender.refuse(
          () => changedBefore(this.#ports.table().row(row.id), row.name, version),
          row.id,
        );
      return decide(row);
    });
  }

  /** The row of a log that needs no change, once that is certain. */
  async #unchanged(row: LogRow): Promise<LogRow> {
    await this.#ports.appender.confirmed();
    return row;
  }

  #command(kind: BatchKind, row: CommandTarget, command: Uint8Array): Promise<void> {
    return this.#ports.appender.namedCommand(kind, command, row);
  }
}
