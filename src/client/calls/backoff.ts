/**
 * How long to wait before the next attempt: doubling, with full jitter below, so that many clients do not come back
 * at once. Pure but for the chance handed in.
 *
 * Never: waits.
 */
import type { Prng } from "../../lib/prng.ts";

export interface BackoffSettings {
  /** The first wait is at most this, milliseconds. */
  readonly firstMs: number;
  readonly maxMs: number;
}

export const defaultBackoff: BackoffSettings = { firstMs: 50, maxMs: 2_000 };

/** Milliseconds before attempt `failures + 1`, at least what the far end asked for. */
export function backoffMs(settings: BackoffSettings, failures: number, chance: Prng, askedMs = 0): number {
  const { firstMs, maxMs } = settings;
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 20));
  return Math.max(askedMs, ceiling * (0.5 + chance.float() / 2));
}
