/**
 * Deletes named logs that expire, and trims their records beyond their retention. Only the leader decides, and only by a
 * clock that is trusted. It looks at a limited number of logs at once.
 *
 * A log that was idle for its ttl_ms is deleted only if nothing happened to it since: a record that was appended in the meantime
 * keeps it. At its expires_at_ms a log is deleted also while records are appended.
 */
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { dueMsOf, type LogRow, type LogTable } from "../../log/mod.ts";
import type { LogId, Offset } from "../../types.ts";
import type { LogAdmin } from "./log-admin.ts";

export interface LogRetentionPorts {
  readonly clock: Clock;
  readonly table: () => Pick<LogTable, "due" | "row">;
  readonly admin: Pick<LogAdmin, "deleteIdle" | "deleteExpired" | "trim">;
  readonly leads: () => boolean;
  /** The time for expiry, in milliseconds since 1970; undefined while no clock is trusted. */
  readonly expiryMs: () => number | undefined;
  /** Finds what seekTime() needs, in turns of the event loop. Undefined if it needs nothing. */
  readonly prepareTime: (row: LogRow, timestampMs: number) => Promise<void> | undefined;
  /** The offset of the first record of a log that is not older than a time. */
  readonly seekTime: (row: LogRow, timestampMs: number) => Offset;
}

const everyMs = 1_000;
/** Logs that are looked at in one turn. A look at a log with an age reads its index. */
const rowsMax = 256;
/** Logs that are passed over in one turn, because nothing is due yet. */
const passedMax = 4096;

export type RetentionDecision =
  | { readonly kind: "expired" | "idle" }
  | { readonly kind: "trim"; readonly to: Offset };

/** What the settings of a log ask for at `nowMs`. Pure but for `seekTime`. */
export function decideRetention(
  row: LogRow,
  nowMs: number,
  seekTime: (timestampMs: number) => Offset,
): RetentionDecision | undefined {
  const { expiresAtMs, ttlMs, retentionAgeMs, retentionBytes } = row.settings;
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) return { kind: "expired" };
  if (ttlMs !== undefined && Math.max(row.createdMs, row.lastMs) + ttlMs <= nowMs) return { kind: "idle" };
  const records = row.next - row.lowest;
  if (records === 0) return undefined;
  let to = row.lowest;
  if (retentionAgeMs !== undefined) to = Math.max(to, seekTime(nowMs - retentionAgeMs));
  if (retentionBytes !== undefined && row.bytes > retentionBytes) {
    // Bytes are counted by share: the records of a log are of about one size.
    to = Math.max(to, row.lowest + Math.ceil((records * (row.bytes - retentionBytes)) / row.bytes));
  }
  return to > row.lowest ? { kind: "trim", to: Math.min(to, row.next) } : undefined;
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
      await this.#work();
    } catch {
      this.#round = undefined;
    }
    if (!this.#closed) this.start();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** Looks at the next logs, and carries out what is decided. A refusal is decided again in a later round. */
  async #work(): Promise<void> {
    const { expiryMs, leads, table } = this.#ports;
    const nowMs = expiryMs();
    // A node that does not lead may get other rows.
    if (!leads()) this.#round = undefined;
    if (nowMs === undefined || !leads()) return;
    this.#round ??= table().due(nowMs);
    const work: Promise<unknown>[] = [];
    for (let passed = 0; work.length < rowsMax && passed < passedMax; passed++) {
      const step = this.#round.next();
      if (step.done === true) {
        this.#round = undefined;
        break;
      }
      const row = step.value === undefined ? undefined : table().row(step.value);
      if (row !== undefined && (dueMsOf(row) ?? Number.POSITIVE_INFINITY) <= nowMs)
        work.push(this.#carryOut(row, nowMs));
    }
    await Promise.allSettled(work);
  }

  async #carryOut(found: LogRow, nowMs: number): Promise<void> {
    const { admin, prepareTime, seekTime, table } = this.#ports;
    const { retentionAgeMs } = found.settings;
    if (retentionAgeMs !== undefined) await prepareTime(found, nowMs - retentionAgeMs);
    // The log may have changed meanwhile.
    const row = table().row(found.id);
    if (row === undefined) return;
    const { name, id, version, settings } = row;
    const decision = decideRetention(row, nowMs, (timestampMs) => seekTime(row, timestampMs));
    if (decision?.kind === "idle") await admin.deleteIdle({ name, id }, version);
    else if (decision?.kind === "expired") await admin.deleteExpired({ name, id }, nowMs);
    else if (decision?.kind === "trim") await admin.trim({ name, id }, decision.to, undefined, settings);
  }
}
