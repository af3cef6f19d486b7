/** The clock, timers, random numbers and animation frames of the page. */

/** Wall clock, for what is shown: it can be set at any time. */
export const nowMs = (): number => Date.now();
/** For waits and durations. */
export const monotonicMs = (): number => performance.now();
export const chance = (): number => Math.random();
export const zoneMinutesAt = (atMs: number): number => -new Date(atMs).getTimezoneOffset();

/** Runs once after a delay. The returned function cancels it. */
export function after(delayMs: number, run: () => void): () => void {
  const handle = setTimeout(run, delayMs);
  return () => clearTimeout(handle);
}

/** Runs periodically. The returned function ends it. */
export function every(periodMs: number, run: () => void): () => void {
  const handle = setInterval(run, periodMs);
  return () => clearInterval(handle);
}

/** Joins many calls into one run in the next animation frame. */
export function oncePerFrame(run: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      run();
    });
  };
}

interface Scheduler {
  yield?(): Promise<void>;
}

/** Lets the browser draw and handle input before work continues. */
export function breathe(): Promise<void> {
  const scheduler = (globalThis as { scheduler?: Scheduler }).scheduler;
  return scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve, 0));
}
