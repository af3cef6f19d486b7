/**
 * SIGHUP: read certificates and access rules again, as daemons do.
 *
 * Never: stops anything.
 */
import type { Logger } from "../lib/telemetry.ts";

/** Calls every reload at each SIGHUP, until disposed. What one throws is logged and does not keep the next from it. */
export function onHangup(reloads: readonly (() => unknown)[], log: Logger): Disposable {
  const listener = (): void => {
    log.info({}, "SIGHUP: reading files again");
    for (const reload of reloads) {
      (async () => reload())().catch((err: unknown) => log.error({ err }, "reload failed"));
    }
  };
  process.on("SIGHUP", listener);
  return { [Symbol.dispose]: () => process.off("SIGHUP", listener) };
}
