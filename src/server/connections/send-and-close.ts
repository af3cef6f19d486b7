/**
 * Sends a last message and closes the socket after the client has had time to read it. Closing a socket with unread input
 * sends a TCP reset, which can overtake the message.
 */
import type { Duplex } from "node:stream";
import type { Clock } from "../../lib/time/clock.ts";

/** How long the client may take to read the message and to stop sending. */
const lingerMs = 2000;
/** How much input is discarded meanwhile. */
const discardedBytesMax = 16 * 1024 * 1024;

/** Sends `message`, discards input, and closes when the client does or a limit is reached. */
export function sendAndClose(socket: Duplex, message: string | Buffer, clock: Clock): void {
  let bytes = 0;
  const timer = clock.after(lingerMs, () => socket.destroy());
  socket.once("close", () => timer.cancel());
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > discardedBytesMax) socket.destroy();
  });
  socket.once("end", () => socket.destroy());
  socket.end(message);
  socket.resume();
}
