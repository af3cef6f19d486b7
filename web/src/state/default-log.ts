/**
 * The log `default` as a row of the list: ListLogs does not return it. Describe has its extent. The size and the last time that
 * Describe has are those of all logs, so the row shows none.
 */
import { signal } from "@preact/signals";
import { type LogRow, rowOf } from "../core/log-rows.ts";
import { monotonicMs } from "../io/timing.ts";
import type { LogExtent } from "./cluster.ts";

export const defaultName = "default";
const noSettings = {
  retentionBytes: undefined,
  retentionAgeMs: undefined,
  maxBytes: undefined,
  recordBytesMax: undefined,
  ttlMs: undefined,
  expiresAtMs: undefined,
  contentType: undefined,
};

export class DefaultLog {
  readonly row = signal<LogRow | undefined>(undefined);

  /** Takes what the node reported last. `end` is one past the last committed record. */
  note({ lowest, next }: Pick<LogExtent, "lowest" | "next">, end: number): void {
    const seen = {
      name: defaultName,
      id: "",
      lowest,
      next: Math.max(next, end),
      bytes: 0,
      createdMs: 0,
      lastMs: 0,
      closed: false,
      settings: noSettings,
    };
    this.row.value = rowOf(seen, this.row.peek(), monotonicMs());
  }
}
