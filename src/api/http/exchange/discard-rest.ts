/**
 * Reads and discards the rest of an HTTP/1.1 request whose response has been written. A client needs time to take the
 * response and to stop sending.
 */
import type { IncomingMessage } from "node:http";
import type { Clock } from "../../../lib/time/clock.ts";

const lingerMs = 2000;
const lingerBytesMax = 16 * 1024 * 1024;

/** Calls back with true at the end of the request, and with false when it takes too long or is too large. */
export function discardRest(request: IncomingMessage, clock: Clock, onEnd: (whole: boolean) => void): void {
  let bytes = 0;
  const done = (whole: boolean): void => {
    timer.cancel();
    request.off("data", count);
    request.off("end", whenWhole);
    request.off("close", whenClosed);
    onEnd(whole);
  };
  const whenWhole = (): void => done(true);
  const whenClosed = (): void => done(request.complete);
  const count = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > lingerBytesMax) done(false);
  };
  const timer = clock.after(lingerMs, () => done(false));
  request.on("data", count);
  request.once("end", whenWhole);
  request.once("close", whenClosed);
  request.resume();
}
