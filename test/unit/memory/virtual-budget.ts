/** A memory budget of 1 MiB on virtual time, for unit tests. */
import { MemoryBudget } from "../../../src/memory/memory-budget.ts";
import { VirtualTime } from "../../support/time/virtual-clock.ts";

export const KiB = 1024;
export const limit = 1024 * KiB;

export function virtualBudget() {
  const time = new VirtualTime();
  const memory = new MemoryBudget({ limit, clock: time.clock(), stalledMs: 500 });
  /** Runs the timers of the next `ms` milliseconds. */
  const pass = (ms: number): void => {
    let isOver = false;
    time.after(ms, () => {
      isOver = true;
    });
    while (!isOver) time.step();
  };
  return { time, memory, pass };
}
