/**
 * Many pieces of work under way at once, started in order and answered in order: what ProduceStream and ProduceBulk
 * are made of. Bounded by pieces and by bytes (StreamBudget); when full, no more input is taken.
 *
 * Never: reorders, drops, starts anything after a failure.
 */

import type { StreamBudget } from "./stream-budget.ts";

export interface PipelineOptions<Input> {
  readonly pendingMax: number;
  readonly budget: StreamBudget;
  readonly bytesOf: (input: Input) => number;
  /** What is thrown for a failure: `behind` is what became of the work that was started after it. */
  readonly failure?: (reason: unknown, behind: readonly PromiseSettledResult<unknown>[]) => unknown;
}

interface Piece<Output> {
  readonly result: Promise<Output>;
  readonly bytes: number;
}

/**
 * The results of `start` for each input, in order. Ends with the first failure: of an input, of a start (nothing behind
 * it is started then) or of a result. What was started behind it is waited for, since the failure may have to tell of it.
 */
export async function* pipelined<Input, Output>(
  inputs: AsyncIterable<Input>,
  start: (input: Input) => Promise<Output>,
  options: PipelineOptions<Input>,
): AsyncGenerator<Output, void, undefined> {
  const pending: Piece<Output>[] = [];
  using share = options.budget.open();
  let fed = false;
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
      fed = true;
      wakeReader?.();
    }
  };
  const feeding = feed();
  try {
    for (;;) {
      const piece = pending[0];
      if (piece === undefined) {
        if (fed) return;
        await new Promise<void>((resolve) => (wakeReader = resolve));
        continue;
      }
      const output = await piece.result.catch(async (reason: unknown) => {
        stopped = true;
        const behind = await Promise.allSettled(pending.slice(1).map(({ result }) => result));
        throw options.failure === undefined ? reason : options.failure(reason, behind);
      });
      pending.shift();
      share.end(piece.bytes);
      wakeFeeder?.();
      yield output;
    }
  } finally {
    stopped = true;
    wakeFeeder?.();
    if (fed) await feeding;
  }
}
