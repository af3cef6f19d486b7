/**
 * Measures frames inside the page: the time between two frames, and the work of the page's thread for each, from the
 * first callback to the first task after the paint.
 */
import type { Page } from "playwright-core";

export interface Frames {
  readonly count: number;
  readonly workP50Ms: number;
  readonly workP95Ms: number;
  readonly workMaxMs: number;
  readonly gapP95Ms: number;
  readonly gapMaxMs: number;
}

interface Probe {
  work: number[];
  gaps: number[];
  stop: boolean;
}

/** Source text for the page. A function sent from here would contain code of its compiler. */
const source = `
  const probe = (globalThis.probe = { work: [], gaps: [], stop: false });
  const channel = new MessageChannel();
  let begun = 0;
  let last = 0;
  channel.port1.onmessage = () => probe.work.push(performance.now() - begun);
  const frame = () => {
    if (probe.stop) return;
    requestAnimationFrame(frame);
    begun = performance.now();
    if (last > 0) probe.gaps.push(begun - last);
    last = begun;
    channel.port2.postMessage(0);
  };
  requestAnimationFrame(frame);
`;

/** Starts to measure. */
export async function watchFrames(page: Page): Promise<void> {
  await page.evaluate(source);
}

/** Stops measuring and returns the result. */
export async function framesSeen(page: Page): Promise<Frames> {
  const { work, gaps } = await page.evaluate(() => {
    const { probe } = globalThis as unknown as { probe: Probe };
    probe.stop = true;
    return { work: probe.work, gaps: probe.gaps };
  });
  const at = (values: number[], share: number): number =>
    values.toSorted((left, right) => left - right)[
      Math.min(values.length - 1, Math.floor(values.length * share))
    ] ?? 0;
  return {
    count: work.length,
    workP50Ms: at(work, 0.5),
    workP95Ms: at(work, 0.95),
    workMaxMs: at(work, 1),
    gapP95Ms: at(gaps, 0.95),
    gapMaxMs: at(gaps, 1),
  };
}
