/** The metrics of the backups that a node makes while it leads. */
import type { Counter, Metrics } from "../../lib/telemetry.ts";

export interface BackupState {
  /** Time since the last backup, in ms; undefined while this node does not lead. */
  readonly ageMs: number | undefined;
  /** Size of the last backup that this node completed. */
  readonly bytes: number;
  readonly everyMs: number;
}

export interface BackupCounters {
  readonly uploaded: Counter;
  readonly failures: Counter;
  readonly retries: Counter;
}

export function measureBackups(metrics: Metrics, state: () => BackupState): BackupCounters & Disposable {
  const ends = [
    metrics.gauge(
      "tailrace.backup.age",
      {
        description:
          "Time since the last complete backup; only the leader reports it, and before the first one since it leads",
        unit: "s",
      },
      () => {
        const { ageMs } = state();
        return ageMs === undefined ? [] : [{ value: ageMs / 1000, attributes: {} }];
      },
    ),
    metrics.gauge(
      "tailrace.backup.every",
      { description: "Time between two backups: the setting backup-every", unit: "s" },
      () => state().everyMs / 1000,
    ),
    metrics.gauge(
      "tailrace.backup.size",
      { description: "Size of the last backup that this node completed", unit: "By" },
      () => state().bytes,
    ),
  ];
  return {
    uploaded: metrics.counter("tailrace.backup.uploaded", {
      description: "Bytes that backups uploaded",
      unit: "By",
    }),
    failures: metrics.counter("tailrace.backup.failures", {
      description: "Backups that failed and are tried again",
      unit: "{backup}",
    }),
    retries: metrics.counter("tailrace.backup.retries", {
      description: "Requests to the bucket of backups that failed and were sent again",
      unit: "{request}",
    }),
    [Symbol.dispose]: () => {
      for (const end of ends) end();
    },
  };
}
