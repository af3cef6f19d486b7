/**
 * `--debug-telemetry DIR`: metrics and spans as JSON lines in files, to read without a server. A file that reaches its
 * limit is renamed to `.1`, which replaces the previous `.1`. If the disk is full, writing stops with one log line.
 */
import { closeSync, fchmodSync, openSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ownerFile, systemDisk } from "../lib/disk/system-disk.ts";
import type { Logger } from "../lib/telemetry.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
import type { Instruments } from "./instruments.ts";
import type { SpanRecord } from "./otel-tracer.ts";

const fileBytesMax = 64 * 1024 * 1024;
const metricsEveryMs = 5_000;

export interface DebugFiles extends Disposable {
  span(record: SpanRecord): void;
  /** Writes a snapshot of the metrics now. */
  flush(): void;
}

/**
 * Opens `metrics.jsonl` and `traces.jsonl` in the directory, and writes the metrics every five seconds.
 * @throws Error if a file cannot be opened
 */
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

/** Spans contain subjects, so the files are readable by their owner only. That includes an existing file. */
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
