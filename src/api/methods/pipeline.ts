/**
 * Runs many appends at once, started and yielded in the order of their inputs. Connect's ProduceStream and ProduceBulk use
 * it. When too many are in flight, by count or by bytes (StreamBudget), no more input is read. Nothing starts after a
 * failure.
 */
import type { StreamBudget } from "./stream-budget.ts";

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
  const pending: Task<Output>[] = [];
  using share = options.budget.open();
  let inputOver = false;
  let stopped = false;
  let wakeFeeder: (() => void) | undefined;
  let wakeReader: (() => void) | undefined;
  const isFull = (): boolean => pending.length >= options.pendingMax || (pending.length > 0 && share.isFull);
  const add = (result: Promise<Output>, size: number): void => {
    result.catch(() => undefined);
    pending.push({ result, bytes: size });
    share.begin(size);
    wakeReader?.();
  };
  const begin = (input: Input): boolean => {
    try {
      add(start(input), options.bytesOf(input));
      return true;
    } catch (reason) {
      add(Promise.reject(reason), 0);
      return false;
    }
  };
  const feed = async (): Promise<void> => {
    try {
      for await (const input of inputs) {
        if (stopped) return;
        if (!begin(input)) return;
        while (isFull() && !stopped) await new Promise<void>((resolve) => (wakeFeeder = resolve));
        if (stopped) return;
      }
    } catch (reason) {
      add(Promise.reject(reason), 0);
    } finally {
      inputOver = true;
      wakeReader?.();
    }
  };
  const feeding = feed();
  try {
    for (;;) {
      const task = pending[0];
      if (task === undefined) {
        if (inputOver) return;
        await new Promise<void>((resolve) => (wakeReader = resolve));
        continue;
      }
      const output = await task.result.catch(async (reason: unknown) => {
        stopped = true;
        const later = await Promise.allSettled(pending.slice(1).map(({ result }) => result));
        throw options.failure === undefined ? reason : options.failure(reason, later);
      });
      pending.shift();
      share.end(task.bytes);
      wakeFeeder?.();
      yield output;
    }
  } finally {
    stopped = true;
    wakeFeeder?.();
    if (inputOver) await feeding;
  }
}
