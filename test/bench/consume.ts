/** P4: reading a log from disk to a sink, as records and as batches; and its limit, pread and a socket. */
import { grpcHeaders, H2Client, type Target } from "./h2-client.ts";
import { consumeFrom } from "./messages.ts";

/** Bytes of answer per second, and how long it took, for reading the whole log. */
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
