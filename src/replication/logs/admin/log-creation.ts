/**
 * Creates named logs, also as forks of others, on the leader. It decides with the rows after everything that is staged, when it is
 * the turn of the name.
 */
import { Fault } from "../../../fault.ts";
import {
  batchKind,
  encodeLogCommand,
  forksLevel,
  type LogRow,
  type LogTable,
  namedLogsLevel,
} from "../../../log/mod.ts";
import type { LogFork, LogRef, NamedLogSettings } from "../../../types.ts";
import type { Appender } from "../../append/appender.ts";
import { alreadyExists, keptForForks, noIdsLeft, oldMembers, refusedName } from "../log-refusals.ts";
import { type AppliedEndPorts, endApplied } from "./applied-end.ts";
import type { ClusterLevel } from "./cluster-level.ts";
import { committedRow } from "./committed-row.ts";
import { forkCommandOf, isSameFork, otherFork } from "./log-forks.ts";
import type { RowIds } from "./row-ids.ts";
import { checkOwner, refusedExpiry, sameSettings } from "./settings-change.ts";

export interface LogCreationPorts extends Pick<AppliedEndPorts, "bounds"> {
  readonly table: () => LogTable;
  readonly appender: Pick<
    Appender,
    "admission" | "disk" | "turns" | "namedCommand" | "refuse" | "quotaRefusals" | "confirmed" | "presentTime"
  >;
  readonly membersWithout: (level: number) => readonly string[];
  readonly level: Pick<ClusterLevel, "prepare">;
  readonly ids: RowIds;
}

export class LogCreation {
  readonly #ports: LogCreationPorts;

  constructor(ports: LogCreationPorts) {
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
    const { appender, level } = this.#ports;
    checkOwner(owner);
    const late = `log "${name}" was not created in time: the cluster was not yet prepared for named logs`;
    await level.prepare(namedLogsLevel, deadlineMs, late);
    return appender.turns.alone(name, deadlineMs, async () => {
      const { known, refused } = this.#examineCreate(name, settings, owner, deadlineMs);
      if (refused !== undefined) return refused;
      if (known?.fork !== undefined) return appender.refuse(() => otherFork(known));
      if (known !== undefined) return { row: await this.#confirmed(known), created: false };
      const row = await this.#create(name, settings, owner);
      // The first read that counts should not wait for the level. While a member lacks it, reads do not count.
      if (settings.ttlMs !== undefined && settings.contentType !== undefined)
        level.prepare(forksLevel, undefined, "").catch(() => undefined);
      return { row, created: true };
    });
  }

  async #create(
    name: string,
    settings: NamedLogSettings,
    owner: string | undefined,
    forked?: { readonly from: LogRow; readonly at: Omit<LogFork, "source"> },
  ): Promise<LogRow> {
    const { appender, ids, table } = this.#ports;
    const id = ids.give();
    const ended = appender.admission.quotas.creates(owner);
    try {
      const create = {
        ...{ name, settings },
        ...(owner === undefined ? {} : { owner }),
        ...(forked === undefined ? {} : { fork: forkCommandOf(forked.from, forked.at) }),
      };
      const command = encodeLogCommand(create);
      const target = { id, name, barrier: forked?.from.name };
      await appender.namedCommand(batchKind.createLog, command, target, ended);
    } catch (reason) {
      ended(Fault.from(reason));
      throw reason;
    }
    return committedRow(table(), id, name);
  }

  /**
   * Creates a log that begins with the records of another one, which is stated with its id: those before `at.next`. It is one
   * command, and changes nothing about the source: how many forks that has follows from the rows.
   * @throws as create(); Fault "out-of-range" for a place that the source does not hold; "not-found", "failed-precondition"
   */
  async fork(
    name: string,
    settings: NamedLogSettings,
    source: LogRef,
    at: Omit<LogFork, "source">,
    owner?: string,
    deadlineMs?: number,
  ): Promise<{ readonly row: LogRow; readonly created: boolean }> {
    const { appender, level, table } = this.#ports;
    checkOwner(owner);
    await level.prepare(
      forksLevel,
      deadlineMs,
      `log "${name}" was not created in time: the cluster was not yet prepared for forks`,
    );
    await endApplied(this.#ports, source, at.next);
    return appender.turns.aloneWithBoth(source.name, name, deadlineMs, async () => {
      // A repeated request finds its fork, also if the source was deleted since.
      const { known, refused } = this.#examineCreate(name, settings, owner, deadlineMs);
      if (refused !== undefined) return refused;
      if (known !== undefined && isSameFork(known, source.id, at))
        return { row: await this.#confirmed(known), created: false };
      if (known !== undefined) return appender.refuse(() => otherFork(known));
      let from: LogRow;
      try {
        const found = appender.admission.rowOf(source);
        from = table().row(found.id) ?? found;
        forkCommandOf(from, at, (id) => table().row(id));
      } catch (refusal) {
        return appender.refuse(() => refusal);
      }
      return { row: await this.#create(name, settings, owner, { from, at }), created: true };
    });
  }

  /**
   * Checks what create() would do. Returns the log if it exists with the same settings, undefined if it would be created.
   * @throws as create()
   */
  async checkCreate(
    name: string,
    settings: NamedLogSettings,
    owner?: string,
    deadlineMs?: number,
  ): Promise<LogRow | undefined> {
    const { appender, membersWithout, table } = this.#ports;
    checkOwner(owner);
    const missing = table().level < namedLogsLevel ? membersWithout(namedLogsLevel) : [];
    if (missing.length > 0) return appender.refuse(() => oldMembers(missing));
    return appender.turns.alone(name, deadlineMs, async () => {
      const { known, refused } = this.#examineCreate(name, settings, owner, deadlineMs);
      if (refused !== undefined) return refused;
      await appender.confirmed();
      return known;
    });
  }

  /** The log with these settings if it exists, or a refusal. Neither: it can be created. */
  #examineCreate(
    name: string,
    settings: NamedLogSettings,
    owner: string | undefined,
    deadlineMs: number | undefined,
  ): { readonly known?: LogRow; readonly refused?: Promise<never> } {
    const { appender, ids, table } = this.#ports;
    const known = table().stagedNamed(name);
    if (known?.deleted === true)
      return { refused: appender.refuse(() => keptForForks(name, "already-exists")) };
    if (known !== undefined) {
      return sameSettings(known.settings, settings)
        ? { known }
        : { refused: appender.refuse(() => alreadyExists(known, settings)) };
    }
    const flaw =
      refusedName(name, "log") ?? refusedExpiry(settings.expiresAtMs, () => appender.presentTime());
    if (flaw !== undefined) return { refused: appender.refuse(() => flaw) };
    // Creates would use up the reserve, and then no log could be trimmed or deleted.
    appender.disk.check();
    appender.admission.checkRowsWritten();
    const { quotas } = appender.admission;
    try {
      quotas.checkCreate(owner);
    } catch {
      return { refused: appender.quotaRefusals.refuse(() => quotas.refusedCreate(owner), deadlineMs) };
    }
    return ids.free === undefined ? { refused: appender.refuse(noIdsLeft) } : {};
  }

  /** The row of a log that is there already, once that is certain. */
  async #confirmed(row: LogRow): Promise<LogRow> {
    await this.#ports.appender.confirmed();
    return row;
  }
}
