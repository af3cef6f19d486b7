/**
 * `--debug-telemetry DIR`: metrics and spans as JSON lines in files, for looking at without any server, as the
 * book's `-debug` did. A file that has grown to its limit becomes `.1`, and the `.1` before it goes.
 *
 * Never: loses the process because the disk is full; it stops writing and says so once.
 */
import { closeSync, fchmodSync, openSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ownerFile, systemDisk } from "../lib/disk/system-disk.ts";
import type { Logger } from "../lib/telemetry.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
import type { Instruments } from "./instruments.ts";
import type { SpanRecord } from "./tracing.ts";

const fileBytesMax = 64 * 1024 * 1024;
const metricsEveryMs = 5_000;

export interface DebugFiles extends Disposable {
  span(record: SpanRecord): void;
  /** Writes a snapshot of the metrics now. */
  flush(): void;
}

/** Opens `metrics.jsonl` and `traces.jsonl` in the directory. Errors of opening are thrown. */
export function openDebugFiles(
  directory: string,
  instruments: Instruments,
  clock: Clock,
  log: Logger,
): DebugFiles {
  systemDisk.makeDirectory(directory);
  const metrics = new LineFile(join(directory, "metrics.jsonl"), log);
  const traces = new LineFile(join(directory, "traces.jsonl"), log);
  let timer: Timer | undefined;
  const flush = (): void => {
    metrics.write({ at: new Date(clock.wallMs()).toISOString(), metrics: instruments.collect() });
  };
  const again = (): void => {
    timer = clock.after(metricsEveryMs, () => {
      flush();
      again();
    });
  };
  again();
  return {
    span: (record) => traces.write(record),
    flush,
    [Symbol.dispose]() {
      timer?.cancel();
      flush();
      metrics.close();
      traces.close();
    },
  };
}

/** Spans tell who did what: the files are for their owner alone, also one that was there already. */
function openForOwner(path: string): number {
  const descriptor = openSync(path, "w", ownerFile);
  fchmodSync(descriptor, ownerFile);
  return descriptor;
}

class LineFile {
  readonly #path: string;
  readonly #log: Logger;
  #descriptor: number | undefined;
  #bytes = 0;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    this.#descriptor = openForOwner(path);
  }

  write(line: object): void {
    if (this.#descriptor === undefined) return;
    try {
      if (this.#bytes >= fileBytesMax) this.#roll(this.#descriptor);
      this.#bytes += writeSync(this.#descriptor, `${JSON.stringify(line)}\n`);
    } catch (err) {
      this.#log.warn({ err, path: this.#path }, "debug telemetry is no longer written");
      this.close();
    }
  }

  #roll(descriptor: number): void {
    closeSync(descriptor);
    this.#descriptor = undefined;
    renameSync(this.#path, `${this.#path}.1`);
    this.#descriptor = openForOwner(this.#path);
    this.#bytes = 0;
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}
