/**
 * The main thread's side of the worker. The worker starts with its first job: a node without named logs starts no worker. If it
 * ends unexpectedly, its job fails and the next one starts another worker.
 */
import { Worker } from "node:worker_threads";
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { RowPacker } from "../row-codec.ts";
import type { OwnerChange, RowChange } from "../rows.ts";
import { errorOf, type FromWorker, type ToWorker, type Work } from "./worker-messages.ts";

/** How long changes are packed in one turn of the event loop. */
const sliceMs = 2;
/** Changes between two looks at the clock. */
const lookEvery = 16;
const messageBytes = 256 * 1024;

interface Waiting {
  resolve(result: number | undefined): void;
  reject(reason: unknown): void;
}

/** The sources are run as they are; a build puts the worker beside the file that this one became a part of. */
const entry = import.meta.url.endsWith(".ts") ? "./rows-worker.ts" : "./rows-worker.js";

/** Its objects live for one row only. Node's default takes 30 MB more. */
const resourceLimits = { maxYoungGenerationSizeMb: 6 };

export class WorkerLink {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #jobs = 0;
  /** Resolves when the last job that was given has ended. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sends the changes, then the work. Jobs run one after the other. `changes` is read when the job's turn comes. */
  run(work: Work, changes: Iterable<RowChange | OwnerChange> = []): Promise<number | undefined> {
    const done = this.#last.then(() => this.#run(work, changes));
    this.#last = done.catch(() => {});
    return done;
  }

  /** Ends the worker after its last job. */
  async close(): Promise<void> {
    await this.#last;
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.removeAllListeners();
    await worker?.terminate();
  }

  async #run(work: Work, changes: Iterable<RowChange | OwnerChange>): Promise<number | undefined> {
    const worker = this.#started();
    worker.ref();
    try {
      await this.#sendAll(worker, changes);
    } catch (reason) {
      await this.#job(worker, { kind: "forget" });
      throw reason;
    }
    return this.#job(worker, work);
  }

  async #sendAll(worker: Worker, changes: Iterable<RowChange | OwnerChange>): Promise<void> {
    const packer = new RowPacker(messageBytes);
    const send = (): void => {
      const packed = packer.take();
      worker.postMessage({ changes: packed } satisfies ToWorker, [packed.buffer]);
    };
    let sinceMs = this.#clock.monotonicMs();
    let seen = 0;
    for (const change of changes) {
      packer.push(change);
      if (packer.length >= messageBytes - 4096) send();
      if (++seen % lookEvery !== 0 || this.#clock.monotonicMs() - sinceMs < sliceMs) continue;
      await new Promise<void>((resolve) => this.#clock.soon(resolve));
      sinceMs = this.#clock.monotonicMs();
    }
    if (packer.length > 0) send();
  }

  /** Fails if the worker has ended since: the changes that it got are lost. */
  #job(worker: Worker, work: Work): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      if (worker !== this.#worker) return reject(workerEnded("it ended before its job"));
      const job = ++this.#jobs;
      this.#waiting.set(job, { resolve, reject });
      worker.postMessage({ job, work } satisfies ToWorker);
    });
  }

  /** The worker keeps the process alive only while it has a job. */
  #started(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(new URL(entry, import.meta.url), {
      name: "rows",
      execArgv: [],
      resourceLimits,
    });
    worker.unref();
    worker.on("message", (message: FromWorker) => this.#ended(message));
    worker.on("error", (reason) => this.#lost(worker, reason));
    worker.on("exit", (status) => this.#lost(worker, new Error(`it exited with status ${status}`)));
    this.#worker = worker;
    return worker;
  }

  #ended({ job, failure, result }: FromWorker): void {
    const waiting = this.#waiting.get(job);
    this.#waiting.delete(job);
    if (this.#waiting.size === 0) this.#worker?.unref();
    if (failure === undefined) waiting?.resolve(result);
    else waiting?.reject(errorOf(failure));
  }

  #lost(worker: Worker, cause: unknown): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(workerEnded(cause));
  }
}

function workerEnded(cause: unknown): Fault<"disk-busy"> {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Fault("disk-busy", { message: `the thread that writes the rows of logs ended: ${why}`, cause });
}
