/** P4: reads a log from disk, as records and as batches. Its limit is pread, CRC and a socket. */

import { connect } from "node:net";
import { grpcHeaders, H2Client, type Target } from "./h2-client.ts";
import { consumeFrom } from "./messages.ts";

/** Returns the seconds that the limit takes to read and send the file by pread, CRC and a socket (raw-read.ts). */
export async function rawReadSeconds(port: number): Promise<number> {
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("data", () => undefined);
    socket.on("error", reject);
    socket.on("close", () => resolve());
  });
  return (performance.now() - started) / 1000;
}

/** Reads the whole log. Returns the received bytes and the duration. */
export async function consumeAll(
  target: Target,
  path: string,
): Promise<{ readonly bytes: number; readonly seconds: number }> {
  const client = await H2Client.open(target);
  const started = performance.now();
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    client.request(grpcHeaders(path), consumeFrom({ offset: 0n, stopAtEnd: true }), {
      onData: (chunk) => {
        bytes += chunk.length;
      },
      onEnd: (reset) => (reset ? reject(new Error("the stream was reset")) : resolve()),
    });
  });
  const seconds = (performance.now() - started) / 1000;
  client.close();
  return { bytes, seconds };
}
