/**
 * Sends a draft N times at rate R in batches, one request at a time. It does not retry: the user sees whether a failed
 * request was written, and decides.
 */
import { signal } from "@preact/signals";
import { batching, type Draft, type Prepared } from "../core/produce-plan.ts";
import { asCallError, callsTo } from "../io/calls.ts";
import { after, monotonicMs } from "../io/timing.ts";

export interface Sending {
  readonly running: boolean;
  readonly sent: number;
  readonly of: number;
  readonly first: number | undefined;
  readonly last: number | undefined;
  /** What went wrong, and whether the write happened. */
  readonly wrong: string | undefined;
}

const idle: Sending = { running: false, sent: 0, of: 0, first: undefined, last: undefined, wrong: undefined };

/** Where records are appended: a node, and a log by its name and its id. */
export interface Destination {
  readonly node: string;
  /** Empty: the log `default`. */
  readonly log: string;
  readonly logId: string | undefined;
}

export class ProducerRun {
  readonly state = signal<Sending>(idle);
  #abort: AbortController | undefined;

  stop(): void {
    this.#abort?.abort();
  }

  /** Resolves when all was sent, an error ended it, or stop() did. `onAppended` gets each batch's offsets. */
  async send(
    to: Destination,
    record: Prepared,
    draft: Draft,
    onAppended: (first: number, count: number) => void,
  ): Promise<void> {
    if (this.state.peek().running) return;
    const abort = new AbortController();
    this.#abort = abort;
    const { records, everyMs } = batching(draft, record.value.length + record.key.length + 32);
    const startedMs = monotonicMs();
    this.state.value = { ...idle, running: true, of: draft.count };
    try {
      for (let sent = 0, batch = 0; sent < draft.count && !abort.signal.aborted; batch++) {
        await until(startedMs + batch * everyMs, abort.signal);
        if (abort.signal.aborted) break;
        const count = Math.min(records, draft.count - sent);
        const answer = await callsTo(to.node).log.produceBatch(
          {
            records: new Array<Prepared>(count).fill(record).map(asRecord),
            log: to.log,
            ...(to.logId !== undefined && { logId: to.logId }),
          },
          { signal: abort.signal, timeoutMs: 15_000 },
        );
        sent += count;
        const first = Number(answer.firstOffset);
        onAppended(first, count);
        const before = this.state.peek();
        this.state.value = { ...before, sent, first: before.first ?? first, last: first + count - 1 };
      }
      this.state.value = { ...this.state.peek(), running: false };
    } catch (error) {
      const { message, facts, code } = asCallError(error);
      const stopped = abort.signal.aborted;
      const outcome =
        !stopped && facts["written"] === "no" ? "nothing was written" : "whether it was written is unknown";
      const wrong = stopped
        ? `stopped; ${outcome} for the last request`
        : `${message} (${code ?? "no answer"}; ${outcome})`;
      this.state.value = { ...this.state.peek(), running: false, wrong };
    }
  }
}

const asRecord = (record: Prepared) => ({
  value: record.value as Uint8Array<ArrayBuffer>,
  key: record.key as Uint8Array<ArrayBuffer>,
  headers: record.headers.map(({ key, value }) => ({ key, value: value as Uint8Array<ArrayBuffer> })),
});

function until(atMs: number, signal: AbortSignal): Promise<void> {
  const left = atMs - monotonicMs();
  if (left <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    const cancel = after(left, resolve);
    signal.addEventListener("abort", () => {
      cancel();
      resolve();
    });
  });
}
