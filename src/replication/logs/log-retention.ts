/**
 * Deletes named logs that expire, and trims their records beyond their retention. Only the leader decides. While its clock is
 * not trusted, nothing expires by time, and only retention by size goes on: otherwise a disk could fill meanwhile.
 *
 * It looks at a limited number of logs each second. While many are due, it goes on as soon as these are deleted, and rests in
 * between for half as long as that took, so that appends have time: a million logs that expire together take minutes.
 *
 * A log that was idle for its ttl_ms is deleted only if nothing happened to it since: a record that was appended in the meantime
 * keeps it. At its expires_at_ms a log is deleted also while records are appended. A log that was deleted while it had forks goes
 * with the last of them. A cursor is deleted when nothing was committed to it for 30 days.
 */
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import { cursorOverMs, dueMsOf, type LogRow, type LogTable, ownLowest, ttlOverMs } from "../../log/mod.ts";
import type { LogId, Offset } from "../../types.ts";
import type { LogAdmin } from "./log-admin.ts";

export interface LogRetentionPorts {
  readonly clock: Clock;
  readonly table: () => Pick<LogTable, "due" | "row" | "forksOf" | "isBehind">;
  readonly admin: Pick<LogAdmin, "deleteIdle" | "deleteExpired" | "deleteUnread" | "trim"> & {
    readonly cursors: Pick<LogAdmin["cursors"], "deleteIdle">;
  };
  readonly leads: () => boolean;
  /** The time for expiry, in milliseconds since 1970; undefined while no clock is trusted. */
  readonly expiryMs: () => number | undefined;
  /** Finds what seekTime() needs, in turns of the event loop. Undefined if it needs nothing. */
  readonly prepareTime: (row: LogRow, timestampMs: number) => Promise<void> | undefined;
  /** The offset of the first record of a log that is not older than a time. */
  readonly seekTime: (row: LogRow, timestampMs: number) => Offset;
}

const everyMs = 1_000;
/** Logs that are looked at before what was decided is carried out. A look at a log with an age reads its index. */
const rowsMax = 256;
/** Logs that are passed over meanwhile, because nothing is due yet, or because they are kept for their forks. */
const passedMax = 4096;
/** So many decisions are many. With fewer, the next logs are looked at a second later. */
const manyDecided = rowsMax / 2;
/** Looks begin for so long in one turn of the event loop, in milliseconds. */
const turnMsMax = 3;
const restMsMax = 100;

export type RetentionDecision =
  | { readonly kind: "expired" | "idle" | "forks-gone" | "idle-cursor" }
  | { readonly kind: "trim"; readonly to: Offset };

/** What the settings of a log ask for at `nowMs`; undefined if no clock is trusted. Pure but for `seekTime`. */
export function decideRetention(
  row: LogRow,
  nowMs: number | undefined,
  seekTime: (timestampMs: number) => Offset,
): RetentionDecision | undefined {
  const { expiresAtMs, retentionAgeMs, retentionBytes } = row.settings;
  if (row.cursor !== undefined)
    return nowMs !== undefined && cursorOverMs(row) <= nowMs ? { kind: "idle-cursor" } : undefined;
  // Whether it has forks is looked up when it is its turn.
  if (row.deleted === true) return { kind: "forks-gone" };
  if (nowMs !== undefined) {
    if (expiresAtMs !== undefined && expiresAtMs <= nowMs) return { kind: "expired" };
    if ((ttlOverMs(row) ?? Number.POSITIVE_INFINITY) <= nowMs) return { kind: "idle" };
  }
  const lowest = ownLowest(row);
  const records = row.next - lowest;
  if (records === 0) return undefined;
  let to = lowest;
  if (nowMs !== undefined && retentionAgeMs !== undefined)
    to = Math.max(to, seekTime(nowMs - retentionAgeMs));
  if (retentionBytes !== undefined && row.bytes > retentionBytes) {
    // Bytes are counted by share: the records of a log are of about one size.
    to = Math.max(to, lowest + Math.ceil((records * (row.bytes - retentionBytes)) / row.bytes));
  }
  return to > lowest ? { kind: "trim", to: Math.min(to, row.next) } : undefined;
}

export class LogRetention {
  readonly #ports: LogRetentionPorts;
  #timer: Timer | undefined;
  /** The logs that are still to be looked at in this round. */
  #round: Iterator<LogId | undefined> | undefined;
  #closed = false;

  constructor(ports: LogRetentionPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#timer = this.#ports.clock.after(everyMs, () => {
      void this.#workNow();
    });
  }

  /** A database that cannot be read is noted where it is read. The next round begins from the start. */
  async #workNow(): Promise<void> {
    try {
      while (!this.#closed && (await this.#work()));
    } catch {
      this.#round = undefined;
    }
    if (!this.#closed) this.start();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /**
   * Looks at the next logs, and carries out what is decided. A refusal is decided again in a later round. Returns true if many are
   * due, after a rest.
   */
  async #work(): Promise<boolean> {
    const { clock, expiryMs, leads, table } = this.#ports;
    const nowMs = expiryMs();
    // A node that does not lead may get other rows.
    if (!leads()) this.#round = undefined;
    if (!leads() || table().isBehind) return false;
    const beganMs = clock.monotonicMs();
    // The logs that are always looked at are due at 0. Without a trusted clock, no others are.
    this.#round ??= table().due(nowMs ?? 0);
    const outcomes = await Promise.allSettled(await this.#lookAt(this.#round, nowMs));
    const decided = outcomes.filter((one) => one.status === "fulfilled" && one.value).length;
    const isRefused = outcomes.some(({ status }) => status === "rejected");
    if (this.#round === undefined || isRefused || decided < manyDecided) return false;
    await this.#rest(Math.min(restMsMax, (clock.monotonicMs() - beganMs) / 2));
    return true;
  }

  /** Begins to carry out what is due of the next logs of the round, in turns of the event loop. */
  async #lookAt(round: Iterator<LogId | undefined>, nowMs: number | undefined): Promise<Promise<boolean>[]> {
    const { clock, leads, table } = this.#ports;
    const work: Promise<boolean>[] = [];
    let turnEndMs = clock.monotonicMs() + turnMsMax;
    for (let passed = 0; work.length < rowsMax && passed < passedMax; passed++) {
      if (clock.monotonicMs() >= turnEndMs) {
        await new Promise<void>((resolve) => workTurns(clock).wait(resolve));
        if (this.#closed || !leads()) break;
        turnEndMs = clock.monotonicMs() + turnMsMax;
      }
      const step = round.next();
      if (step.done === true) {
        this.#round = undefined;
        break;
      }
      const row = step.value === undefined ? undefined : table().row(step.value);
      if (row === undefined || (dueMsOf(row) ?? Number.POSITIVE_INFINITY) > (nowMs ?? 0)) continue;
      // Kept for its forks, it is due until the last one is deleted. It must not take the place of a log that can go.
      if (row.deleted === true && table().forksOf(row.id) > 0) continue;
      const done = this.#carryOut(row, nowMs);
      // It can be refused while the next ones are looked at.
      done.catch(() => undefined);
      work.push(done);
    }
    return work;
  }

  #rest(ms: number): Promise<void> {
    const { clock } = this.#ports;
    return new Promise((resolve) => {
      if (ms > 0) this.#timer = clock.after(ms, resolve);
      else clock.soon(resolve);
    });
  }

  /** Resolves to true if there was something to do. */
  async #carryOut(found: LogRow, nowMs: number | undefined): Promise<boolean> {
    const { admin, prepareTime, seekTime, table } = this.#ports;
    const { retentionAgeMs } = found.settings;
    if (nowMs !== undefined && retentionAgeMs !== undefined) await prepareTime(found, nowMs - retentionAgeMs);
    // The log may have changed meanwhile.
    const row = table().row(found.id);
    if (row === undefined) return false;
    const { name, id, version, settings } = row;
    const decision = decideRetention(row, nowMs, (timestampMs) => seekTime(row, timestampMs));
    if (decision?.kind === "forks-gone") return admin.deleteUnread({ name, id });
    if (decision?.kind === "idle-cursor") await admin.cursors.deleteIdle({ name, id }, version);
    else if (decision?.kind === "idle") await admin.deleteIdle({ name, id }, version);
    else if (decision?.kind === "expired") await admin.deleteExpired({ name, id }, nowMs ?? 0);
    else if (decision?.kind === "trim") await admin.trim({ name, id }, decision.to, undefined, settings);
    return decision !== undefined;
  }
}
