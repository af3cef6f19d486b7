/**
 * Reads files again when told to (SIGHUP): one round at a time, and however often it is told meanwhile, one more.
 *
 * Never: stops anything; what one file's reload throws is logged and does not keep the next from it.
 */
import type { Logger } from "../lib/telemetry.ts";

/** Answers how to ask for a round of all `reloads`. */
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
        log.info({}, "reading certificates and access rules again");
        await round();
      }
      running = false;
    })();
  };
}
