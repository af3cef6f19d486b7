/** Waits in a test for a condition, with a limit. Tests use this instead of fixed sleeps and endless loops. */
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";

export interface UntilOptions {
  /** Milliseconds until the wait fails. It guards against hanging only. Default 60,000. */
  readonly limitMs?: number;
  /** Milliseconds between two looks, once the first ones found nothing. Default 5. */
  readonly everyMs?: number;
  /** Adds what helps to understand a failure, such as the log of a process. */
  readonly explain?: () => string;
}

/** These first looks are one turn of the event loop apart: what simulated disks and clocks do is done by then. */
const quickLooks = 50;

/**
 * Resolves to the first value of `look` that is truthy. A look that throws counts as false.
 * @throws Error with `what`, and the last thing that `look` threw as its cause, after `limitMs`
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  { limitMs = 60_000, everyMs = 5, explain }: UntilOptions = {},
): Promise<NonNullable<T>> {
  const started = performance.now();
  for (let looks = 1; ; looks++) {
    let cause: unknown;
    try {
      const found = await look();
      if (found) return found as NonNullable<T>;
    } catch (thrown) {
      cause = thrown;
    }
    if (performance.now() - started > limitMs) {
      throw new Error(`waited ${limitMs} ms until ${what}${explain ? `: ${explain()}` : ""}`, { cause });
    }
    if (looks < quickLooks) await turn();
    else await delay(everyMs);
  }
}
