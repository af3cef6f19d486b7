/**
 * Reloads certificates and access files on request (SIGHUP), one round at a time. Requests during a round start one more
 * round after it.
 */
import type { Logger } from "../lib/telemetry.ts";

/** Returns a function that requests a round of all `reloads`. An error of one is logged and does not stop the others. */
export function reloader(reloads: readonly (() => unknown)[], log: Logger): () => void {
  let running = false;
  let again = false;
  const round = async (): Promise<void> => {
    for (const reload of reloads) {
      try {
        await reload();
      } catch (err) {
        log.error({ err }, "reload failed");
      }
    }
  };
  return () => {
    again = true;
    if (running) return;
    running = true;
    void (async () => {
      while (again) {
        again = false;
        log.info({}, "reloading certificates and access rules");
        await round();
      }
      running = false;
    })();
  };
}
