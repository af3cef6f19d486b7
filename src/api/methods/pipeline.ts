/**
 * Runs many appends at once, started and yielded in the order of their inputs. Connect's ProduceStream and ProduceBulk use
 * it. When too many are in flight, by count or by bytes (StreamBudget), no more input is read. Nothing starts after a
 * failure.
 */
import type { StreamBudget, StreamShare } from "./stream-budget.ts";

export interface PipelineOptions<Input> {
  readonly pendingMax: number;
  readonly budget: StreamBudget;
  readonly bytesOf: (input: Input) => number;
  /** Returns what to throw for a failure. `later` are the outcomes of the work that was started after it. */
  readonly failure?: (reason: unknown, later: readonly PromiseSettledResult<unknown>[]) => unknown;
}

interface Task<Output> {
  readonly result: Promise<Output>;
  readonly bytes: number;
}

/**
 * Yields the result of `start` for each input, in order. Ends with the first failure of the input, of a start (nothing is
 * started after it) or of a result. Work that was started after the failed one is awaited first, because the error must
 * say whether it was written.
 */
export async function* pipelined<Input, Output>(
  inputs: AsyncIterable<Input>,
  start: (input: Input) => Promise<Output>,
  options: PipelineOptions<Input>,
): AsyncGenerator<Output, void, undefined> {
  using share = options.budget.open();
  const pipeline = new Pipeline<Input, Output>(options, share);
  const feeding = pipeline.feed(inputs, start);
  try {
    for (let task = await pipeline.head(); task !== undefined; task = await pipeline.head()) {
      yield await pipeline.take(task);
    }
  } finally {
    pipeline.stop();
    if (pipeline.inputOver) await feeding;
  }
}

/** The work in flight. feed() adds to it while it is not full, head() and take() read it in order. */
class Pipeline<Input, Output> {
  readonly #options: PipelineOptions<Input>;
  readonly #share: StreamShare;
  readonly #pending: Task<Output>[] = [];
  #stopped = false;
  #inputOver = false;
  #wakeFeeder: (() => void) | undefined;
  #wakeReader: (() => void) | undefined;

  constructor(options: PipelineOptions<Input>, share: StreamShare) {
    this.#options = options;
    this.#share = share;
  }

  /** True once feed() starts no more work. */
  get inputOver(): boolean {
    return this.#inputOver;
  }

  /** Starts the work of the inputs until the input ends, a start fails, or stop(). A failure is the result of a task. */
  async feed(inputs: AsyncIterable<Input>, start: (input: Input) => Promise<Output>): Promise<void> {
    try {
      for await (const input of inputs) {
        if (this.#stopped) return;
        this.#add(start(input), this.#options.bytesOf(input));
        while (this.#isFull && !this.#stopped)
          await new Promise<void>((resolve) => (this.#wakeFeeder = resolve));
        if (this.#stopped) return;
      }
    } catch (reason) {
      this.#add(Promise.reject(reason), 0);
    } finally {
      this.#inputOver = true;
      this.#wakeReader?.();
    }
  }

  /** Waits for a task. Returns the oldest one, or undefined at the end. */
  async head(): Promise<Task<Output> | undefined> {
    while (this.#pending.length === 0 && !this.#inputOver)
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    return this.#pending[0];
  }

  /** Waits for the result of the oldest task, and removes the task. */
  async take(oldest: Task<Output>): Promise<Output> {
    const output = await oldest.result.catch(async (reason: unknown) => {
      this.#stopped = true;
      const later = await Promise.allSettled(this.#pending.slice(1).map(({ result }) => result));
      throw this.#options.failure === undefined ? reason : this.#options.failure(reason, later);
    });
    this.#pending.shift();
    this.#share.end(oldest.bytes);
    this.#wakeFeeder?.();
    return output;
  }

  /** Starts no more work. */
  stop(): void {
    this.#stopped = true;
    this.#wakeFeeder?.();
  }

  get #isFull(): boolean {
    const count = this.#pending.length;
    return count >= this.#options.pendingMax || (count > 0 && this.#share.isFull);
  }

  #add(result: Promise<Output>, bytes: number): void {
    result.catch(() => undefined);
    this.#pending.push({ result, bytes });
    this.#share.begin(bytes);
    this.#wakeReader?.();
  }
}
