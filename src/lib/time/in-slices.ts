/** Runs long work, which is a generator of steps, in slices: other work runs in between. */
import type { Clock } from "./clock.ts";

/** How long the steps of one turn of the event loop take, besides the last one. */
const sliceMs = 3;

/**
 * Runs the steps, and resolves to their result. Without a clock all of them run at once. `goesOn` is asked before each later slice:
 * the steps are ended, and it resolves to undefined, once that returns false.
 */
export async function inSlices<T>(
  clock: Pick<Clock, "monotonicMs" | "soon"> | undefined,
  steps: Generator<unknown, T, undefined>,
): Promise<T>;
export async function inSlices<T>(
  clock: Pick<Clock, "monotonicMs" | "soon"> | undefined,
  steps: Generator<unknown, T, undefined>,
  goesOn: () => boolean,
): Promise<T | undefined>;
export async function inSlices<T>(
  clock: Pick<Clock, "monotonicMs" | "soon"> | undefined,
  steps: Generator<unknown, T, undefined>,
  goesOn = (): boolean => true,
): Promise<T | undefined> {
  while (goesOn()) {
    const untilMs = clock === undefined ? Number.POSITIVE_INFINITY : clock.monotonicMs() + sliceMs;
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (clock === undefined || clock.monotonicMs() < untilMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    clock.soon(resolve);
    await promise;
  }
  steps.return(undefined as T);
  return undefined;
}

/** Runs all steps at once, and returns their result. */
export function atOnce<T>(steps: Generator<unknown, T, undefined>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
