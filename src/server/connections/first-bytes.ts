/** Waits for the first bytes of a connection and leaves them on the socket. */
import type { Socket } from "node:net";
import type { Clock } from "../../lib/time/clock.ts";

export interface FirstBytesOptions {
  readonly clock: Clock;
  readonly bytes: number;
  readonly timeoutMs: number;
  /** The first bytes are there, at least `bytes`; the socket will return them again. */
  readonly onBytes: (head: Buffer) => void;
  readonly onTimeout: () => void;
  /** Runs the event handlers; what they throw must end the socket. */
  readonly guard: (work: () => void) => void;
}

/** Calls onBytes or onTimeout at most once. A socket that ends before is destroyed. */
export function awaitFirstBytes(socket: Socket, options: FirstBytesOptions): void {
  const { clock, bytes, timeoutMs, onBytes, onTimeout, guard } = options;
  let head: Buffer = Buffer.alloc(0);
  const timer = clock.after(timeoutMs, onTimeout);
  const stop = (): void => {
    timer.cancel();
    socket.off("readable", onReadable);
    socket.off("end", onEnd);
    socket.off("close", stop);
  };
  const onEnd = (): void => {
    stop();
    socket.destroy();
  };
  const read = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
    if (head.length < bytes) return;
    stop();
    socket.unshift(head);
    onBytes(head);
  };
  const onReadable = (): void => guard(read);
  socket.on("readable", onReadable);
  socket.once("end", onEnd);
  socket.once("close", stop);
}
