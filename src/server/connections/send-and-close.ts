/**
 * Says something to a caller that is not served, and hangs up when it has had time to hear it: closing a socket with
 * bytes unread resets it, and a reset overtakes what was said.
 *
 * Never: keeps what is read.
 */
import type { Duplex } from "node:stream";
import type { Clock } from "../../lib/time/clock.ts";

/** For a caller to take its answer and to stop sending. */
const lingerMs = 2000;
const lingerBytesMax = 16 * 1024 * 1024;

/** Sends `words`, passes over what still comes, and closes: when the caller does, or after a while. */
export function sendAndClose(socket: Duplex, words: string | Buffer, clock: Clock): void {
  let bytes = 0;
  const timer = clock.after(lingerMs, () => socket.destroy());
  socket.once("close", () => timer.cancel());
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > lingerBytesMax) socket.destroy();
  });
  socket.once("end", () => socket.destroy());
  socket.end(words);
  socket.resume();
}
