/**
 * Sends hostile bytes, generated from a seed: to the record walk, to the methods of the fast path, to HTTP/2 and to the
 * shared port. The server must continue, and the log must hold exactly the acknowledged records.
 */
import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createFastPath } from "../../../src/api/mod.ts";
import { Fault } from "../../../src/fault.ts";
import {
  ConsumeRequestSchema,
  ProduceBatchRequestSchema,
  RecordBatchSchema,
} from "../../../src/gen/log/v1/log_pb.js";
import { type Prng, prng } from "../../../src/lib/prng.ts";
import { RecordCursor, walkRecords } from "../../../src/log/mod.ts";
import { grpcHeaders, H2Client } from "../../bench/load/h2-client.ts";
import { type Served, serve } from "../../support/http/serve.ts";

/** Counts of a run, for its report. */
export interface FuzzReport {
  readonly seed: string;
  rounds: number;
  walked: number;
  accepted: number;
  requests: number;
  sockets: number;
}

/** Runs for about so many seconds, to the end of a round. Throws an AssertionError that names the seed and the round. */
export async function fuzz(seconds: number, seed: string): Promise<FuzzReport> {
  const report: FuzzReport = { seed, rounds: 0, walked: 0, accepted: 0, requests: 0, sockets: 0 };
  const until = performance.now() + seconds * 1000;
  await using served = await serve({ fastPath: createFastPath, detectionMs: 200 });
  while (performance.now() < until) {
    const random = prng(`${seed}/${report.rounds}`);
    try {
      fuzzWalk(random.stream("walk"), report);
      await fuzzMethods(served, random.stream("methods"), report);
      await fuzzSockets(served, random.stream("sockets"), report);
      await stillServes(served);
    } catch (reason) {
      throw new Error(`fuzz seed "${seed}" round ${report.rounds}`, { cause: reason });
    }
    report.rounds++;
  }
  return report;
}

const paths = [
  "Produce",
  "ProduceBatch",
  "ProduceStream",
  "ProduceBulk",
  "Consume",
  "ConsumeStream",
  "ConsumeBatches",
];

/** Returns a valid batch request of a few records, with every field of a record. */
function validBatch(random: Prng): Buffer {
  const bytes = (most: number): Uint8Array =>
    Uint8Array.from({ length: random.between(0, most) }, () => random.between(0, 255));
  const records = Array.from({ length: random.between(1, 4) }, () => ({
    value: bytes(40),
    key: bytes(8),
    offset: BigInt(random.uint32()),
    headers: random.chance(0.5) ? [{ key: "trace-ü", value: bytes(8) }] : [],
  }));
  const producer = random.chance(0.3) ? { id: 1n, epoch: 0, sequence: 0n } : undefined;
  return Buffer.from(
    toBinary(
      ProduceBatchRequestSchema,
      create(ProduceBatchRequestSchema, { records, ...(producer && { producer }) }),
    ),
  );
}

/** Changes, removes, repeats or inserts a few bytes. */
export function mutate(random: Prng, bytes: Buffer): Buffer {
  let out = Buffer.from(bytes);
  for (let change = random.between(0, 4); change > 0 && out.length > 0; change--) {
    const at = random.between(0, out.length - 1);
    switch (random.between(0, 4)) {
      case 0:
        out[at] = random.between(0, 255);
        break;
      case 1:
        out[at] = (out[at] as number) ^ (1 << random.between(0, 7));
        break;
      case 2:
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + random.between(1, 8))]);
        break;
      case 3:
        out = Buffer.concat([
          out.subarray(0, at),
          Buffer.alloc(random.between(1, 9), 0xff),
          out.subarray(at),
        ]);
        break;
      default:
        out = Buffer.concat([out, out.subarray(at)]);
    }
  }
  return out;
}

/** A run that the record walk accepts must be readable by protobuf-es, and accepted by the walk again. */
function fuzzWalk(random: Prng, report: FuzzReport): void {
  for (let round = 0; round < 200; round++) {
    const bytes = mutate(random, validBatch(random));
    report.walked++;
    let run: ReturnType<typeof walkRecords>;
    try {
      run = walkRecords(bytes);
    } catch (reason) {
      assert.ok(reason instanceof Fault, `the walk threw ${String(reason)}`);
      continue;
    }
    report.accepted++;
    const { records } = fromBinary(RecordBatchSchema, run.bytes);
    assert.equal(records.length, run.count);
    for (const { offset, term, type, timestampMs } of records) {
      assert.deepEqual([offset, term, type, timestampMs], [0n, 0n, 0, 0n]);
    }
    assert.deepEqual(Buffer.from(walkRecords(run.bytes).bytes), Buffer.from(run.bytes));
  }
}

/** Sends nearly correct bodies to every method. Each request must end. */
async function fuzzMethods(served: Served, random: Prng, report: FuzzReport): Promise<void> {
  const client = await H2Client.open({ port: served.port });
  const requests = Array.from({ length: 40 }, () => {
    const message = random.chance(0.7)
      ? validBatch(random)
      : Buffer.from(
          toBinary(
            ConsumeRequestSchema,
            create(ConsumeRequestSchema, { offset: 0n, maxRecords: 3n, stopAtEnd: true }),
          ),
        );
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(random.chance(0.9) ? message.length : random.uint32() >>> random.between(0, 24), 1);
    if (random.chance(0.1)) prefix[0] = random.between(0, 255);
    const whole = Buffer.concat([prefix, message]);
    const body = random.chance(0.5) ? mutate(random, whole) : whole;
    report.requests++;
    return new Promise<void>((resolve) => {
      client.request(grpcHeaders(`/log.v1.Log/${random.pick(paths)}`), body, { onEnd: () => resolve() });
    });
  });
  // Endless tails are cut with the connection.
  await Promise.race([Promise.all(requests), new Promise((resolve) => setTimeout(resolve, 500))]);
  client.close();
}

const openings = [
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
  "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n{}",
  "\x16\x03\x01\x02\x00",
  "\xa7\x01",
  "\x06\x83",
];

/** Opens connections with a correct or broken start, followed by random bytes. */
async function fuzzSockets(served: Served, random: Prng, report: FuzzReport): Promise<void> {
  await Promise.all(
    Array.from({ length: 10 }, () => {
      const start = Buffer.from(random.pick(openings), "latin1");
      const noise = Buffer.from(
        Uint8Array.from({ length: random.between(0, 200) }, () => random.between(0, 255)),
      );
      const settings = random.chance(0.5) ? Buffer.from("000000040000000000", "hex") : Buffer.alloc(0);
      const bytes = Buffer.concat([random.chance(0.7) ? start : mutate(random, start), settings, noise]);
      const cut = random.between(0, bytes.length);
      report.sockets++;
      return new Promise<void>((resolve) => {
        const socket = connectTcp(served.port, "127.0.0.1");
        socket.on("error", () => undefined);
        socket.on("close", () => resolve());
        socket.on("data", () => undefined);
        socket.write(bytes.subarray(0, cut));
        setTimeout(() => socket.end(bytes.subarray(cut)), 2);
        setTimeout(() => socket.destroy(), 30);
      });
    }),
  );
}

/** Checks that the server responds, no reader is left, and every record in the log can be read. */
async function stillServes(served: Served): Promise<void> {
  const response = await fetch(`${served.url}/`, { method: "POST", body: '{"record":{"value":"eA=="}}' });
  const { offset } = (await response.json()) as { offset: number };
  const { lowest, next } = await served.log.bounds();
  assert.ok(offset < next);
  using tail = served.log.follow(lowest);
  let expected = lowest;
  for (let slice = tail.take(); slice !== undefined; slice = tail.take()) {
    const cursor = new RecordCursor(slice.frames);
    while (cursor.next()) assert.equal(cursor.offset, expected++);
    fromBinary(RecordBatchSchema, slice.frames.subarray(5, 5 + Buffer.from(slice.frames).readUInt32BE(1)));
  }
  assert.equal(expected, next, "the log is dense and whole");
}
