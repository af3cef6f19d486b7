/** Lets the event loop run at fixed intervals of a long computation. */
import { type Clock, systemClock } from "./clock.ts";

/** Returns a function to await after each step. Each `steps`-th call waits for one turn of the event loop. */
export function pauseEvery(steps: number, clock: Clock = systemClock): () => Promise<void> | undefined {
  let left = steps;
  return () => {
    if (--left > 0) return undefined;
    left = steps;
    return new Promise((resolve) => clock.soon(resolve));
  };
}
