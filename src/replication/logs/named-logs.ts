/**
 * The named logs of a cluster, as every node serves them: it reads its own rows, and sends changes to the leader.
 */

import type { Fault } from "../../fault.ts";
import type { CursorInfo, CursorPage } from "../../lib/names/cursor-info.ts";
import { isReservedName } from "../../lib/names/log-name.ts";
import type { Clock } from "../../lib/time/clock.ts";
import {
  type LogRow,
  type LogState,
  type LogView,
  livedMs,
  type SegmentedLog,
  shown,
  streamsLevel,
  type TailedLog,
  touchAfterMs,
} from "../../log/mod.ts";
import type {
  AppendOptions,
  Bounds,
  ChangedLog,
  Freshness,
  LogCatalog,
  LogChange,
  LogId,
  LogInfo,
  LogPage,
  LogRef,
  MultiStart,
  MultiTail,
  NamedCommitLog,
  Offset,
  RaftIndex,
  TailedLogs,
} from "../../types.ts";
import type { Appender } from "../append/appender.ts";
import type { FreshnessGate, FreshnessPorts } from "../freshness-gate.ts";
import { LogReads } from "../log-reads.ts";
import { cursorInfoOf } from "./admin/cursor-admin.ts";
import { drawLife } from "./cluster-life.ts";
import { followLogs } from "./follow-logs.ts";
import { LogAdmin } from "./log-admin.ts";
import { anotherLife } from "./log-refusals.ts";
import { LogRetention } from "./log-retention.ts";
import { NamedLog, type NamedLogPorts } from "./named-log.ts";

export interface NamedLogsPorts
  extends Pick<NamedLogPorts, "confirm" | "beforeName" | "append" | "trim" | "describe"> {
  readonly log: SegmentedLog;
  readonly appender: Appender;
  /** Why this node gets no more records, if so. */
  readonly cutOff: () => Fault | undefined;
  readonly newGate: (log: FreshnessPorts["log"]) => FreshnessGate;
  readonly clock: Clock;
  /** The time for expiry; undefined while no clock is trusted. */
  readonly expiryMs: () => number | undefined;
  readonly membersWithout: (level: number) => readonly string[];
  /** Returns a number from 0 up to but without 1. */
  readonly random: () => number;
  /** Does the work here if this node leads, otherwise on the leader. */
  readonly onLeader: <T>(
    here: () => Promise<T>,
    there: (leader: string) => Promise<T>,
    options: AppendOptions,
  ) => Promise<T>;
  readonly forward: (
    leader: string,
    change: LogChange,
    options: AppendOptions,
    signal?: AbortSignal,
  ) => Promise<ChangedLog>;
  /** Resolves when the condition holds after a commit here, or when the time for that is over. */
  readonly visibleHere: (holds: () => boolean, options: AppendOptions) => Promise<void>;
}

/** How long a touch may take. A read waits for it: then it counts, unless the leader is not there. */
const touchMs = 3_000;
/** Names that the tail of a log of the cluster itself compares in one turn. */
const ownAsksMax = 1_024;
/** Touches that are under way at the same time. */
const touchesMax = 4_096;

export class NamedLogs implements LogCatalog {
  readonly admin: LogAdmin;
  /** Runs once start() of it is called. */
  readonly retention: LogRetention;
  readonly #ports: NamedLogsPorts;
  readonly #reads = new WeakMap<LogView, LogReads>();
  /** Touches under way. A read that comes meanwhile needs none of its own. */
  readonly #touches = new Map<LogId, Promise<void>>();

  constructor(ports: NamedLogsPorts) {
    this.#ports = ports;
    const { appender, log, membersWithout, random } = ports;
    this.admin = new LogAdmin({
      table: () => log.state.logs,
      appender,
      membersWithout,
      drawLife: () => drawLife(random),
      bounds: () => log.bounds,
    });
    const late = "nothing was appended in time: the cluster was not yet prepared for streams";
    appender.prepareStreams = (deadlineMs) => this.admin.level.prepare(streamsLevel, deadlineMs, late);
    this.retention = this.#createRetention();
  }

  #createRetention(): LogRetention {
    const { appender, clock, expiryMs, log } = this.#ports;
    return new LogRetention({
      clock,
      table: () => log.state.logs,
      admin: this.admin,
      leads: () => appender.ready,
      expiryMs,
      prepareTime: ({ id }, timestampMs) => log.view(id).prepareTime(timestampMs)?.over,
      seekTime: ({ id }, timestampMs) => log.view(id).seekTime(timestampMs),
    });
  }

  /** The log of this name for one request, and its description. */
  open(ref: LogRef): NamedCommitLog {
    const named = this.#named(ref);
    return Object.assign(named, {
      info: async (freshness?: Freshness) => this.#infoOf(await named.row(freshness)),
    });
  }

  #named(ref: LogRef): NamedLog {
    const { log, confirm, beforeName, append, trim, describe } = this.#ports;
    const ports = {
      row: (name: string) => log.state.logs.named(name),
      life: () => this.life,
      view: (row: LogRow) => log.view(row.id),
      reads: (view: LogView) => this.#readsOf(view),
      ...{ confirm, beforeName, append, trim, describe },
    };
    return new NamedLog(ports, ref);
  }

  /** Returns the log with its id, after everything acknowledged before. @throws Fault "not-found", "unavailable" */
  async resolved(ref: LogRef, deadlineMs: number): Promise<LogRef> {
    if (ref.id !== undefined) return ref;
    const named = this.#named(ref);
    await named.row({ mode: "linearizable", deadlineMs });
    return named.ref;
  }

  /** See LogCatalog.list. */
  list(prefix: string, after: string, limit: number): LogPage {
    const table = this.#ports.log.state.logs;
    const page = table.namesFrom(prefix, after, limit + 1);
    const names = page.names.slice(0, limit);
    const logs = names.flatMap((name) => {
      const row = isReservedName(name) ? undefined : shown(table.named(name));
      return row === undefined ? [] : [this.#infoOf(row)];
    });
    return { logs, next: page.names.length > limit ? names[limit - 1] : page.next };
  }

  cursor(log: LogId, name: string): CursorInfo | undefined {
    const row = this.#ports.log.state.logs.cursor(log, name);
    return row === undefined ? undefined : cursorInfoOf(row, this.life);
  }

  cursors(log: LogId, after: string, limit: number): CursorPage {
    const table = this.#ports.log.state.logs;
    const { cursors, next } = table.cursorsFrom(log, after, limit);
    const infos = cursors.map((row) => cursorInfoOf(row, this.life));
    return { cursors: infos, count: table.cursorsOf(log), next };
  }

  follow(logs: TailedLogs, start: MultiStart, freshness: Freshness = {}): Promise<MultiTail> {
    if (!("prefix" in logs)) return followLogs(this.#ports, logs, start, freshness);
    const may = (name: string): boolean => !isReservedName(name) && logs.may(name);
    return followLogs(this.#ports, { ...logs, may }, start, freshness);
  }

  /** Follows a log of the cluster itself from its first record on, also before it is created. */
  followOwn(name: string): Promise<MultiTail> {
    const logs = { prefix: name, may: (found: string) => found === name, asksMax: ownAsksMax };
    return followLogs(this.#ports, logs, "start", { mode: "any" });
  }

  seenIndex(id: LogId, next: Offset): RaftIndex | undefined {
    const row = this.#ports.log.state.logs.row(id);
    return row === undefined || row.next < next ? undefined : row.version;
  }

  get life(): number {
    return this.#ports.log.state.logs.life;
  }

  /** See LogCatalog. */
  async checkLife(life: number, freshness: Freshness = {}): Promise<void> {
    if (life === this.life) return;
    await this.#ports.confirm(freshness);
    if (life !== this.life) throw anotherLife("default", life, this.life);
  }

  /** How many logs there are. */
  get count(): number {
    return this.#ports.log.state.logs.size;
  }

  /** Changes a log on the leader. Resolves once this node shows it. */
  async change(change: LogChange, options: AppendOptions = {}): Promise<ChangedLog> {
    const { onLeader, forward } = this.#ports;
    return onLeader(
      () => this.#changeHere(change, options),
      async (leader) => {
        const changed = await forward(leader, change, options);
        if (!("validateOnly" in change) && change.kind !== "touch") await this.#shown(changed, options);
        return changed;
      },
      options,
    );
  }

  async #changeHere(change: LogChange, { deadlineMs, subject }: AppendOptions): Promise<ChangedLog> {
    const { admin } = this;
    switch (change.kind) {
      case "create": {
        const { name, settings, validateOnly } = change;
        if (validateOnly) {
          const found = await admin.creation.checkCreate(name, settings, subject, deadlineMs);
          return { log: found === undefined ? undefined : this.#infoOf(found), created: found === undefined };
        }
        const { row, created } = await admin.creation.create(name, settings, subject, deadlineMs);
        return { log: this.#infoOf(row), created };
      }
      case "fork": {
        const { name, settings, source, at } = change;
        const { row, created } = await admin.creation.fork(name, settings, source, at, subject, deadlineMs);
        return { log: this.#infoOf(row), created };
      }
      case "touch":
        await admin.touch(change.log, deadlineMs);
        return { log: undefined, created: false };
      case "update":
        if (change.validateOnly) {
          const row = await admin.checkUpdate(change.log, change.settings, change.version, deadlineMs);
          return { log: this.#infoOf(row), created: false };
        }
        return {
          log: this.#infoOf(await admin.update(change.log, change.settings, change.version, deadlineMs)),
          created: false,
        };
      case "close":
        return {
          log: this.#infoOf(await admin.close(change.log, change.version, deadlineMs)),
          created: false,
        };
      case "delete":
        await admin.delete(change.log, change.version, deadlineMs);
        return { log: undefined, created: false };
      case "commit-cursor": {
        const { log, version } = change;
        const { row, created } = await admin.cursors.commit(log, change, { version, deadlineMs, subject });
        return { log: undefined, created, cursor: cursorInfoOf(row, this.life) };
      }
      case "delete-cursor": {
        const { log, cursor, version } = change;
        await admin.cursors.delete(log, cursor, { version, deadlineMs });
        return { log: undefined, created: false };
      }
    }
  }

  /** Waits until this node has applied what the leader did, but not beyond the deadline. */
  async #shown({ log, cursor }: ChangedLog, options: AppendOptions): Promise<void> {
    const { log: stored, confirm, visibleHere } = this.#ports;
    if (cursor !== undefined) {
      const shows = (): boolean => (this.cursor(cursor.log, cursor.name)?.version ?? 0) >= cursor.version;
      await visibleHere(shows, options);
      return;
    }
    if (log === undefined) {
      // The answer does not say which log was deleted.
      const { deadlineMs } = options;
      await confirm(deadlineMs === undefined ? {} : { deadlineMs }).catch(() => undefined);
      return;
    }
    const { id, version } = log;
    const isAt = ({ logs }: LogState): boolean =>
      (logs.row(id)?.version ?? 0) >= version || logs.wasDeleted(id);
    await visibleHere(() => isAt(stored.state), options);
  }

  /** See LogCatalog. */
  touch({ name }: LogRef, { subject }: Pick<AppendOptions, "subject"> = {}): Promise<void> | undefined {
    const row = shown(this.#ports.log.state.logs.named(name));
    const { ttlMs, contentType } = row?.settings ?? {};
    if (row === undefined || ttlMs === undefined || contentType === undefined) return undefined;
    const { clock, expiryMs } = this.#ports;
    const underWay = this.#touches.get(row.id);
    if (underWay !== undefined) return underWay;
    // While the clock here is not trusted, the leader compares the times.
    const nowMs = expiryMs() ?? Number.POSITIVE_INFINITY;
    if (nowMs < livedMs(row) + touchAfterMs(ttlMs) || this.#touches.size >= touchesMax) return undefined;
    const deadlineMs = clock.monotonicMs() + touchMs;
    const change = { kind: "touch", log: { name, id: row.id } } as const;
    const options = { deadlineMs, ...(subject === undefined ? {} : { subject }) };
    const { promise: touched, resolve } = Promise.withResolvers<void>();
    this.#touches.set(row.id, touched);
    // The leader waits for a commit without a deadline. The touch then stays under way, and no read waits for it any more.
    const timer = clock.after(touchMs, resolve);
    const ended = (): void => {
      this.#touches.delete(row.id);
      timer.cancel();
      resolve();
    };
    this.change(change, options).then(ended, ended);
    return touched;
  }

  #readsOf(view: LogView): LogReads {
    const known = this.#reads.get(view);
    if (known !== undefined) return known;
    const reads = new LogReads(this.#tailed(view), view, this.#ports.newGate(view));
    this.#reads.set(view, reads);
    return reads;
  }

  /** The log as its tails see it. */
  #tailed(view: LogView): TailedLog {
    const { cutOff } = this.#ports;
    return {
      reader: view,
      changed: view.changed,
      get bounds(): Bounds {
        return view.bounds;
      },
      get closed() {
        return view.closed;
      },
      get cutOff() {
        return view.cutOff ?? cutOff();
      },
      get ended() {
        return view.row?.closed === true;
      },
      tailOpened: () => view.tailOpened(),
      tailClosed: () => view.tailClosed(),
    };
  }

  #infoOf({
    lastIndex: _,
    stream: __,
    touchedMs: ___,
    deleted: ____,
    cursor: _____,
    ...row
  }: LogRow): LogInfo {
    return { ...row, life: this.#ports.log.state.logs.life };
  }
}
