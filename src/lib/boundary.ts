/**
 * The boundary of a socket. An exception in a handler of its events ends that socket, with one log line. An exception
 * that leaves such a handler would end the process.
 */
import type { Logger } from "./telemetry.ts";

/** A socket or stream. */
export interface Endable {
  destroy(): unknown;
}

/** Runs `work`. If it throws, logs the error as `what` and destroys `socket`. */
export function guarded(socket: Endable, log: Logger, what: string, work: () => void): void {
  try {
    work();
  } catch (err) {
    log.error({ err }, what);
    socket.destroy();
  }
}
