/**
 * Creates, changes and deletes named logs on the leader. The leader decides with the rows after everything that is staged,
 * and the command states the effect. Commands about one log are executed one after another; other logs go on.
 *
 * A refusal is sent only once a quorum confirms that this node was the leader.
 *
 * `deadlineMs` is the time of the monotonic clock until which a change waits for its turn. Default: without end.
 */

import { isDeepStrictEqual } from "node:util";
import { Fault } from "../../fault.ts";
import { settingKeys } from "../../lib/named-log-settings.ts";
import {
  type BatchKind,
  batchKind,
  encodeLogCommand,
  isOwner,
  type LogRow,
  type LogTable,
  namedLogsLevel,
  outOfRange,
  subjectBytesMax,
} from "../../log/mod.ts";
import type { LogId, LogRef, NamedLogSettings, Offset, RaftIndex, SettingsChange } from "../../types.ts";
import type { Appender, CommandTarget } from "../append/appender.ts";
import {
  alreadyExists,
  noIdsLeft,
  noSuchLog,
  oldMembers,
  pastExpiry,
  versionMismatch,
} from "./log-refusals.ts";

export interface LogAdminPorts {
  readonly table: () => LogTable;
  readonly appender: Pick<
    Appender,
    | "admission"
    | "disk"
    | "turns"
    | "command"
    | "namedCommand"
    | "refuse"
    | "refuseByQuota"
    | "confirmed"
    | "presentTime"
  >;
  /** The members that do not have this level, or are not connected. The level is not raised while there are any. */
  readonly membersWithout: (level: number) => readonly string[];
  /** Draws the life of a cluster. */
  readonly drawLife: () => number;
}

const idMax = 0xffff_ffff;

export class LogAdmin {
  readonly #ports: LogAdminPorts;
  /** The last id that this leader gave. A create that fails does not return its id. */
  #givenId: LogId = 0;
  #raising: Promise<void> | undefined;

  constructor(ports: LogAdminPorts) {
    this.#ports = ports;
  }

  /**
   * Creates a log for a subject. Without one it counts only for the cluster. Returns its row, and false if it existed with
   * the same settings.
   * @throws Fault "already-exists"; "bad-request" for a subject that is too long, or a time of expiry that has passed; "failed-precondition" while a member has no named logs; "quota-exceeded", "overloaded"; "disk-full" or "disk-busy" while the disk of this node refuses records
   */
  async create(
    name: string,
    settings: NamedLogSettings,
    owner?: string,
    deadlineMs?: number,
  ): Promise<{ readonly row: LogRow; readonly created: boolean }> {
    const { appender, table } = this.#ports;
    if (owner !== undefined && !isOwner(owner)) {
      throw new Fault("bad-request", {
        message: `the subject of a create has 1 to ${subjectBytesMax} bytes`,
      });
    }
    if (table().level < namedLogsLevel) {
      const message = `log "${name}" was not created in time: the cluster was not yet prepared for named logs`;
      await appender.turns.before(deadlineMs, this.#raiseLevel(), message);
    }
    return this.#alone(name, deadlineMs, async () => {
      const known = table().stagedNamed(name);
      if (known !== undefined) {
        if (!sameSettings(known.settings, settings))
          return appender.refuse(() => alreadyExists(known, settings));
        await appender.confirmed();
        return { row: known, created: false };
      }
      const expired = this.#refusedExpiry(settings.expiresAtMs);
      if (expired !== undefined) return appender.refuse(() => expired);
      // Creates would use up the reserve, and then no log could be trimmed or deleted.
      appender.disk.check();
      appender.admission.checkRowsWritten();
      const { quotas } = appender.admission;
      try {
        quotas.checkCreate(owner);
      } catch {
        return appender.refuseByQuota(() => quotas.refusedCreate(owner));
      }
      const id = this.#nextId();
      if (id === undefined) return appender.refuse(noIdsLeft);
      const ended = quotas.creates(owner);
      try {
        const create = { name, settings, ...(owner === undefined ? {} : { owner }) };
        await this.#command(batchKind.createLog, { id, name }, encodeLogCommand(create));
      } finally {
        ended();
      }
      return { row: this.#rowAfter(id, name), created: true };
    });
  }

  /** @throws Fault "not-found", "failed-precondition"; "bad-request" for a new time of expiry that has passed */
  async update(
    ref: LogRef,
    change: SettingsChange,
    version?: RaftIndex,
    deadlineMs?: number,
  ): Promise<LogRow> {
    return this.#withRow(ref, version, deadlineMs, async (row) => {
      const settings = changed(row.settings, change);
      if (sameSettings(row.settings, settings)) return this.#unchanged(row);
      const isNew = settings.expiresAtMs !== row.settings.expiresAtMs;
      const expired = isNew ? this.#refusedExpiry(settings.expiresAtMs) : undefined;
      if (expired !== undefined) return this.#ports.appender.refuse(() => expired);
      await this.#command(batchKind.configureLog, row, encodeLogCommand({ settings }));
      return this.#rowAfter(row.id, row.name);
    });
  }

  /** The log takes no more records. Its readers get an end. @throws Fault "not-found", "failed-precondition" */
  async close(ref: LogRef, version?: RaftIndex, deadlineMs?: number): Promise<LogRow> {
    return this.#withRow(ref, version, deadlineMs, async (row) => {
      if (row.closed) return this.#unchanged(row);
      await this.#command(batchKind.closeLog, row, new Uint8Array(0));
      return this.#rowAfter(row.id, row.name);
    });
  }

  /** @throws Fault "not-found", "failed-precondition" */
  async delete(ref: LogRef, version?: RaftIndex, deadlineMs?: number): Promise<void> {
    await this.#withRow(ref, version, deadlineMs, async (row) => {
      const command = version === undefined ? new Uint8Array(0) : encodeLogCommand({ version });
      await this.#command(batchKind.deleteLog, row, command);
      // Records that were queued before it gave the log another version.
      const left = version === undefined ? undefined : this.#ports.table().row(row.id);
      if (left !== undefined && version !== undefined) throw versionMismatch(left, version);
    });
  }

  /** Deletes a log unless a batch about it has a higher index than `version`, also one that is not committed yet. */
  async deleteIdle(ref: LogRef, version: RaftIndex): Promise<void> {
    await this.#withRow(ref, undefined, undefined, (row) =>
      this.#command(batchKind.deleteLog, row, encodeLogCommand({ version })),
    );
  }

  /** Deletes a log, whatever was appended to it, if its time of expiry is not after `nowMs` once it is its turn. */
  async deleteExpired(ref: LogRef, nowMs: number): Promise<void> {
    await this.#withRow(ref, undefined, undefined, async (row) => {
      const { expiresAtMs = Number.POSITIVE_INFINITY } = row.settings;
      if (expiresAtMs <= nowMs) await this.#command(batchKind.deleteLog, row, new Uint8Array(0));
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
    return this.#withRow(ref, undefined, deadlineMs, async (row) => {
      if (decidedFor !== undefined && !isDeepStrictEqual(row.settings, decidedFor)) return row.lowest;
      const committed = this.#ports.table().row(row.id) ?? row;
      const { lowest, next } = committed;
      if (before > next) return this.#ports.appender.refuse(() => outOfRange(before, { lowest, next }));
      if (before <= lowest) return (await this.#unchanged(row)).lowest;
      // Bytes are counted by share: the records of a log are of about one size.
      const bytes = Math.floor((committed.bytes * (before - lowest)) / (next - lowest));
      await this.#command(batchKind.trimLog, row, encodeLogCommand({ from: lowest, to: before, bytes }));
      return this.#rowAfter(row.id, row.name).lowest;
    });
  }

  /** Why a log cannot get this time of expiry, if so. A clock that is not trusted can refuse it, and deletes nothing. */
  #refusedExpiry(expiresAtMs: number | undefined): Fault | undefined {
    if (expiresAtMs === undefined) return undefined;
    const present = this.#ports.appender.presentTime();
    return expiresAtMs <= present.nowMs ? pastExpiry(expiresAtMs, present) : undefined;
  }

  /**
   * Calls `decide` in turn. It begins its command before its first await. See LogTurns.inTurn().
   * @throws Fault "overloaded" while too many changes of the log wait
   */
  #alone<T>(name: string, deadlineMs: number | undefined, decide: () => Promise<T>): Promise<T> {
    const { turns } = this.#ports.appender;
    if (!turns.isBusy(name)) return decide();
    return turns.inTurn(name, deadlineMs, decide, turns.reserve(name));
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

  #rowAfter(id: LogId, name: string): LogRow {
    const row = this.#ports.table().row(id);
    if (row === undefined) throw noSuchLog(name);
    return row;
  }

  /** Undefined: the cluster has given all ids. */
  #nextId(): LogId | undefined {
    const id = Math.max(this.#ports.table().nextId, this.#givenId + 1);
    if (id > idMax) return undefined;
    this.#givenId = id;
    return id;
  }

  /** Raises the level before the first log, once all members have named logs. */
  #raiseLevel(): Promise<void> {
    const { appender, drawLife, membersWithout } = this.#ports;
    const without = membersWithout(namedLogsLevel);
    if (without.length > 0) return appender.refuse(() => oldMembers(without));
    const command = encodeLogCommand({ level: namedLogsLevel, life: drawLife() });
    this.#raising ??= appender.command(batchKind.level, command).finally(() => (this.#raising = undefined));
    return this.#raising;
  }
}

function sameSettings(one: NamedLogSettings, other: NamedLogSettings): boolean {
  return settingKeys.every((key) => one[key] === other[key]);
}

function changed(settings: NamedLogSettings, change: SettingsChange): NamedLogSettings {
  const merged = Object.entries({ ...settings, ...change }).filter(([, value]) => value != null);
  return Object.fromEntries(merged) as NamedLogSettings;
}
