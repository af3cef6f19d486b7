/** P1 to P3: appends one request at a time, on a stream, and in bulk. */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageCounter } from "../../../src/cli/bench/message-counter.ts";
import { grpcHeaders, H2Client, type Target } from "./h2-client.ts";
import { paths, produceMany, produceOne } from "./messages.ts";
import { requestRate } from "./requests.ts";

/** Returns the requests per second with `inFlight` requests in flight on one connection. */
export async function unaryRate(target: Target, inFlight: number, total: number): Promise<number> {
  const headers = grpcHeaders(paths.produce);
  return (await requestRate(target, headers, () => produceOne, inFlight, total)).perSecond;
}

/** Returns the records per second on one ProduceStream with at most `window` unacknowledged. */
export async function streamRate(target: Target, window: number, total: number): Promise<number> {
  const client = await H2Client.open(target);
  const burst = Math.min(128, window);
  const bytes = Buffer.concat(Array.from({ length: burst }, () => produceOne));
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    let acked = 0;
    const acks = messageCounter();
    const feed = (): void => {
      while (sent < total && sent - acked + burst <= window && client.drained(id)) {
        sent += burst;
        client.write(id, bytes, sent >= total);
      }
    };
    const id = client.request(grpcHeaders(paths.produceStream), undefined, {
      onData: (chunk) => {
        acked += acks(chunk);
        feed();
      },
      onEnd: (reset) =>
        reset || acked < total ? reject(new Error(`${acked} of ${total} acked`)) : resolve(),
    });
    feed();
  });
  const seconds = (performance.now() - started) / 1000;
  client.close();
  return total / seconds;
}

/** Returns the records per second of one ProduceBulk with batches of `batch` records. */
export async function bulkRate(target: Target, batch: number, batches: number): Promise<number> {
  const client = await H2Client.open(target);
  const bytes = produceMany(batch);
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    const id = client.request(grpcHeaders(paths.produceBulk), undefined, {
      onEnd: (reset) => (reset ? reject(new Error("the stream was reset")) : resolve()),
    });
    let sent = 0;
    const feed = (): void => {
      while (sent < batches && client.drained(id)) {
        sent++;
        client.write(id, bytes, sent === batches);
      }
      if (sent < batches) setImmediate(feed);
    };
    feed();
  });
  const seconds = (performance.now() - started) / 1000;
  client.close();
  return (batch * batches) / seconds;
}

/** The limit of P3: the records per second of writing and syncing the same bytes in the same groups. */
export function rawWriteRate(batch: number, batches: number): number {
  const folder = mkdtempSync(join(tmpdir(), "tailrace-raw-"));
  const file = openSync(join(folder, "raw"), "w");
  const bytes = produceMany(batch);
  const started = performance.now();
  for (let at = 0; at < batches; at++) {
    writeSync(file, bytes);
    fdatasyncSync(file);
  }
  const seconds = (performance.now() - started) / 1000;
  closeSync(file);
  rmSync(folder, { recursive: true });
  return (batch * batches) / seconds;
}
