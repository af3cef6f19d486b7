/**
 * The boundary of a socket: what a handler of its events throws ends that socket, with one log line, and nothing else.
 * An exception that leaves such a handler would end the process.
 */
import type { Logger } from "./telemetry.ts";

/** What can be ended. */
export interface Endable {
  destroy(): unknown;
}

/** Runs `work`; what it throws destroys `socket` and is logged as `what`. */
export function guarded(socket: Endable, log: Logger, what: string, work: () => void): void {
  try {
    work();
  } catch (err) {
    log.error({ err }, what);
    socket.destroy();
  }
}
