/**
 * The clock, timers, chance and frames of the page, behind one door.
 *
 * Never: decides anything.
 */

/** Wall clock, for what is shown: it can be set at any time. */
export const nowMs = (): number => Date.now();
/** For waits and durations. */
export const monotonicMs = (): number => performance.now();
export const chance = (): number => Math.random();
export const zoneMinutesAt = (atMs: number): number => -new Date(atMs).getTimezoneOffset();

/** Runs once after a delay; the answer cancels it. */
export function after(delayMs: number, run: () => void): () => void {
  const handle = setTimeout(run, delayMs);
  return () => clearTimeout(handle);
}

/** Runs again and again; the answer ends it. */
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

/** Lets the browser draw and hear the person before going on. */
export function breathe(): Promise<void> {
  const scheduler = (globalThis as { scheduler?: Scheduler }).scheduler;
  return scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve, 0));
}
