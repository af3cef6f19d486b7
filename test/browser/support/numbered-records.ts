/**
 * Appends many records by ProduceBulk, each with its number in it:
 *
 *   key    user/<number mod 10,000>
 *   value  100 bytes of JSON with the number in the members "id" and "path"; every 100,000th has "level":"error"
 *
 * A request is encoded once, and the digits are written over for each batch. So the writer is not the limit.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { ProduceBatchRequestSchema } from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { grpcHeaders, H2Client } from "../../bench/load/h2-client.ts";
import { paths } from "../../bench/load/messages.ts";

const batchRecords = 1_000;
const valueBytes = 100;
/** A record with "level":"error" comes every so many records. */
export const errorEvery = 100_000;

/** Stands for the number, and for the level. */
const marks = { id: "00000000", key: "####", level: "@@@@@" };

/** Appends the records 0 to `count` − 1, `count` a multiple of 1,000. */
export async function appendNumbered(target: { readonly port: number }, count: number): Promise<void> {
  const client = await H2Client.open(target);
  const template = encodedBatch();
  const places = placesIn(template);
  await new Promise<void>((resolve, reject) => {
    const id = client.request(grpcHeaders(paths.produceBulk), undefined, {
      onEnd: (reset) => (reset ? reject(new Error("the stream was reset")) : resolve()),
    });
    let sent = 0;
    const feed = (): void => {
      while (sent < count && client.drained(id)) {
        const batch = numbered(template, places, sent);
        sent += batchRecords;
        client.write(id, batch, sent >= count);
      }
      if (sent < count) setImmediate(feed);
    };
    feed();
  });
  client.close();
}

function encodedBatch(): Buffer {
  const text = `{"level":"${marks.level}","id":"${marks.id}","path":"/api/orders/${marks.id}","note":"`;
  const value = Buffer.from(`${text.padEnd(valueBytes - 2, "x")}"}`);
  const record = { key: Buffer.from(`user/${marks.key}`), value };
  const records = Array.from({ length: batchRecords }, () => record);
  const message = toBinary(ProduceBatchRequestSchema, create(ProduceBatchRequestSchema, { records }));
  return Buffer.from(encodeEnvelope(message));
}

/** The positions of a mark in the batch, in the order of the records. */
function placesIn(batch: Buffer): Readonly<Record<keyof typeof marks, readonly number[]>> {
  const all = (mark: string): number[] => {
    const found: number[] = [];
    for (let at = batch.indexOf(mark); at >= 0; at = batch.indexOf(mark, at + mark.length)) found.push(at);
    return found;
  };
  return { id: all(marks.id), key: all(marks.key), level: all(marks.level) };
}

function numbered(template: Buffer, places: ReturnType<typeof placesIn>, first: number): Buffer {
  const batch = Buffer.from(template);
  for (let index = 0; index < batchRecords; index++) {
    const number = first + index;
    const digits = String(number).padStart(marks.id.length, "0");
    batch.write(digits, places.id[index * 2] as number, "latin1");
    batch.write(digits, places.id[index * 2 + 1] as number, "latin1");
    batch.write(digits.slice(-marks.key.length), places.key[index] as number, "latin1");
    const level = number % errorEvery === errorEvery - 1 ? "error" : "info ";
    batch.write(level, places.level[index] as number, "latin1");
  }
  return batch;
}
