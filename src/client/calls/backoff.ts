/** How long to wait before the next attempt: exponential backoff with jitter. */
import type { Prng } from "../../lib/prng.ts";

export interface BackoffSettings {
  /** Upper limit of the first wait, in milliseconds. It doubles with each further failure. Default 50. */
  readonly firstMs: number;
  /** Upper limit of every wait, in milliseconds. Default 2,000. */
  readonly maxMs: number;
}

export const defaultBackoff: BackoffSettings = { firstMs: 50, maxMs: 2_000 };

/**
 * Returns the milliseconds to wait after `failures` failed attempts: between half of the current upper limit and all of
 * it, and at least `requestedMs`, the delay that the node asked for (default 0).
 */
export function backoffMs(
  settings: BackoffSettings,
  failures: number,
  chance: Prng,
  requestedMs = 0,
): number {
  const { firstMs, maxMs } = settings;
  const limitMs = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 20));
  return Math.max(requestedMs, limitMs * (0.5 + chance.float() / 2));
}
