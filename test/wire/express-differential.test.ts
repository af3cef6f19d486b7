/**
 * The express lane against Connect's own handlers: the same bytes go to two servers that differ in nothing else, and
 * what a client can tell of the answers must be the same. What is refused in the middle of a stream: express-failures.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../src/fault.ts";
import { type ConsumeRequestSchema, ProduceResponseSchema } from "../../src/gen/log/v1/log_pb.js";
import { decodeRecord, encodeRun, RecordCursor } from "../../src/log/mod.ts";
import {
  envelope,
  type FramingName,
  framings,
  from,
  type Lane,
  type Method,
  many,
  methods,
  one,
  openLane,
  send,
  told,
  unary,
} from "../support/lanes.ts";
import type { Served } from "../support/serve.ts";

let express: Lane;
let reference: Lane;

before(async () => {
  express = await openLane(true);
  reference = await openLane(false);
});

after(() => close());

async function close(): Promise<void> {
  for (const { session, served } of [express, reference]) {
    assert.equal(served.log.openTails, 0, "no tail is left behind");
    session.destroy();
    await served[Symbol.asyncDispose]();
  }
}

/** Sends the messages both ways in every framing of the method; answers how many requests the lane took. */
async function compare(
  method: Method,
  messages: readonly Uint8Array[],
  headers: Record<string, string> = {},
  names: readonly FramingName[] = method.framings,
): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const name of names) {
    const bare = name === "connect-unary";
    const body = Buffer.concat(bare ? messages : messages.map((message) => envelope(message)));
    const all = { "content-type": framings[name], ...headers };
    const [fast, slow] = await Promise.all([
      send(express, method.path, all, body),
      send(reference, method.path, all, body),
    ]);
    const answer = told(fast, method.output);
    assert.deepEqual(answer, told(slow, method.output), `${method.path} ${name}`);
    answers.push(answer);
  }
  assert.equal((await express.served.log.bounds()).next, (await reference.served.log.bounds()).next);
  assert.equal(express.served.service.calls.openCalls, reference.served.service.calls.openCalls);
  return answers;
}

const value = Buffer.from("a value");

test("Produce: plain, empty, with key and headers, with a producer, with an expectation", async () => {
  const taken = express.taken;
  await compare(methods.produce, [one({ record: { value } })]);
  assert.equal(express.taken - taken, 3, "the express lane takes them");
  await compare(methods.produce, [one({ record: {} })]);
  await compare(methods.produce, [
    one({ record: { value, key: value, headers: [{ key: "traceparent", value }], offset: 99n, term: 5n } }),
  ]);
  for (const sequence of [0n, 1n, 1n]) {
    await compare(
      methods.produce,
      [one({ record: { value }, producer: { id: 1n, epoch: 0, sequence } })],
      {},
      ["grpc"],
    );
  }
  const { next } = await express.served.log.bounds();
  await compare(methods.produce, [one({ record: { value }, expectedOffset: BigInt(next) })], {}, ["grpc"]);
});

test("a record carries its trace when asked to, by either lane, and its own traceparent is left alone", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const own = { key: "traceparent", value: Buffer.from("its own") };
  const both = [{ value, key: value, headers: [{ key: "h", value }] }, { headers: [own] }, {}];
  const asked = { traceparent, "tailrace-trace-record": "yes" };
  const requests = [
    [methods.produce, both.map((record) => one({ record }))],
    [methods.produceBatch, [many({ records: both })]],
    [methods.produceStream, both.map((record) => one({ record }))],
    [methods.produceBulk, [many({ records: both }), many({ records: both })]],
  ] as const;
  for (const headers of [
    asked,
    { traceparent },
    { ...asked, "tailrace-trace-record": "no" },
    { "tailrace-trace-record": "yes" },
  ]) {
    for (const [method, messages] of requests) {
      for (const name of method.framings) {
        const sent = method === methods.produce ? messages.map((message) => [message]) : [messages];
        const { next } = await express.served.log.bounds();
        for (const some of sent) await compare(method, some, headers, [name]);
        const [fast, slow] = await Promise.all(
          [express, reference].map(({ served }) => headersFrom(served, next)),
        );
        assert.deepEqual(fast, slow, `${method.path} ${name}`);
        const added = headers === asked ? [["traceparent", traceparent]] : [];
        const three = [[["h", String(value)], ...added], [["traceparent", "its own"]], added];
        assert.deepEqual(fast, method === methods.produceBulk ? [...three, ...three] : three);
      }
    }
  }
});

/** The headers of every record from an offset on, as the log holds them. */
async function headersFrom({ log }: Served, from: number): Promise<unknown[]> {
  const found: unknown[] = [];
  const { next } = await log.bounds();
  for (let at = from; at < next; at++) {
    const { frames } = await log.read(at);
    const cursor = new RecordCursor(frames, at);
    cursor.next();
    const { headers } = decodeRecord(frames, cursor.start, cursor.end);
    found.push(headers.map((header) => [header.key, Buffer.from(header.value).toString()]));
  }
  return found;
}

test("Produce: what is refused is refused alike", async () => {
  await compare(methods.produce, [one({})]);
  await compare(methods.produce, [one({ record: { value }, expectedOffset: 7n })]);
  await compare(methods.produce, [one({ record: { value }, expectedOffset: 1n << 60n })]);
  await compare(methods.produce, [one({ record: { value: Buffer.alloc(1024 * 1024 + 1) } })]);
});

test("Produce: no message, or two, have Connect's code and append nothing", async () => {
  const { next } = await express.served.log.bounds();
  const message = envelope(one({ record: { value } }));
  for (const type of [framings.grpc, framings["grpc-web"]]) {
    for (const body of [Buffer.alloc(0), Buffer.concat([message, message])]) {
      const codes: unknown[] = [];
      for (const lane of [express, reference]) {
        const answer = await send(lane, methods.produce.path, { "content-type": type }, body);
        codes.push((told(answer, ProduceResponseSchema) as { end: { code: unknown } }).end.code);
      }
      assert.deepEqual(codes, ["12", "12"]);
    }
  }
  assert.equal((await express.served.log.bounds()).next, next);
});

test("Produce: the log's own faults arrive alike, whatever they say of the write", async () => {
  for (const fault of [
    new Fault("disk-full"),
    new Fault("unknown", { written: "unknown" }),
    new Fault("not-leader", { facts: { leader: "a.example" } }),
    new Fault("out-of-sequence", { facts: { expected: 5 } }),
  ]) {
    for (const name of unary) {
      express.served.log.failNext = fault;
      reference.served.log.failNext = fault;
      await compare(methods.produce, [one({ record: { value } })], {}, [name]);
    }
  }
});

test("a message that is not protobuf appends nothing", async () => {
  const { next } = await express.served.log.bounds();
  for (const garbage of ["ff", "0a05", "0a020aff", "0b", "1a00"]) {
    for (const name of unary) {
      const body = Buffer.from(garbage, "hex");
      const wrapped = name === "connect-unary" ? body : envelope(body);
      // Connect itself says "internal" for some of these over gRPC; the lane names the caller's mistake as such.
      const answer = await send(express, methods.produce.path, { "content-type": framings[name] }, wrapped);
      const text = JSON.stringify(told(answer, ProduceResponseSchema));
      assert.match(text, /"code":"(3|invalid_argument)"/, `${garbage} ${name}`);
    }
  }
  assert.equal((await express.served.log.bounds()).next, next);
});

test("ProduceBatch: many, one, none, too many bytes", async () => {
  await compare(methods.produceBatch, [many({ records: Array.from({ length: 50 }, () => ({ value })) })]);
  await compare(methods.produceBatch, [many({ records: [{ value }] })]);
  await compare(methods.produceBatch, [many({ records: [] })]);
  await compare(methods.produceBatch, [many({ records: [{ value }], expectedOffset: 3n })]);
});

test("ProduceStream: acknowledgements in order, failures after them", async () => {
  const plain = Array.from({ length: 300 }, () => one({ record: { value } }));
  await compare(methods.produceStream, plain);
  await compare(methods.produceStream, []);
});

test("ProduceStream: what is behind a message that fails is not answered, and not appended by the lane", async () => {
  const plain = one({ record: { value } });
  const { next } = await express.served.log.bounds();
  const body = Buffer.concat([plain, plain, one({}), plain].map((message) => envelope(message)));
  const answers: unknown[] = [];
  for (const lane of [express, reference]) {
    const answer = await send(lane, methods.produceStream.path, { "content-type": framings.grpc }, body);
    answers.push(told(answer, ProduceResponseSchema));
  }
  assert.deepEqual(answers[0], answers[1]);
  assert.equal((await express.served.log.bounds()).next, next + 2);
  // Connect's handler may have begun what came behind; bring both logs to the same end again.
  const behind = (await reference.served.log.bounds()).next - next - 2;
  for (let at = 0; at < behind; at++) await express.served.log.append(encodeRun([{ value }]));
});

test("ProduceBulk: one summary", async () => {
  const batch = many({ records: Array.from({ length: 20 }, () => ({ value })) });
  await compare(methods.produceBulk, [batch, batch, batch]);
  await compare(methods.produceBulk, []);
  await compare(methods.produceBulk, [batch, many({ records: [] })], {}, ["grpc"]);
});

test("Consume: the first, a later one, past the end, from time, the last, waiting in vain", async () => {
  await compare(methods.consume, [from({})]);
  await compare(methods.consume, [from({ offset: 5n })]);
  await compare(methods.consume, [from({ offset: 1_000_000n })]);
  await compare(methods.consume, [from({ offset: 1n << 63n })]);
  await compare(methods.consume, [from({ start: { case: "last", value: 1n } })]);
  await compare(methods.consume, [from({ start: { case: "fromTimeMs", value: 1n } })]);
  await compare(methods.consume, [from({ offset: 1_000_000n, waitMs: 20 })]);
  await compare(methods.consume, [from({ readMode: 99 as never })]);
});

test("ConsumeStream: every start and every stop", async () => {
  const stops: MessageInitShape<typeof ConsumeRequestSchema>[] = [
    { stopAtEnd: true },
    { stopAtEnd: true, markers: true },
    { maxRecords: 7n },
    { maxBytes: 50n, markers: true },
    { maxBytes: 1n },
    { endOffset: 9n },
    { endOffset: 0n },
    { endOffset: 9n, maxRecords: 3n, stopAtEnd: true },
  ];
  const starts: MessageInitShape<typeof ConsumeRequestSchema>[] = [
    {},
    { offset: 3n },
    { start: { case: "last", value: 8n } },
    { start: { case: "fromTimeMs", value: 5n } },
  ];
  for (const start of starts)
    for (const stop of stops) await compare(methods.consumeStream, [from({ ...start, ...stop })]);
  await compare(methods.consumeStream, [
    from({ start: { case: "fromEnd", value: true }, stopAtEnd: true, markers: true }),
  ]);
  await compare(methods.consumeStream, [from({ offset: 1_000_000n })]);
});

test("ConsumeBatches: frames as they lie, from the one that holds the start", async () => {
  await close();
  express = await openLane(true);
  reference = await openLane(false);
  for (const { served } of [express, reference]) {
    for (const count of [1, 4, 20, 1, 7]) {
      await served.log.append(encodeRun(Array.from({ length: count }, () => ({ value }))));
    }
  }
  for (const request of [
    { stopAtEnd: true },
    { offset: 20n, stopAtEnd: true },
    { offset: 20n, maxRecords: 1n },
    { endOffset: 30n },
    { maxBytes: 10n },
  ]) {
    await compare(methods.consumeBatches, [from(request)]);
  }
});

test("deadlines end calls alike", async () => {
  const waits = from({ offset: 1_000_000n, waitMs: 60_000 });
  await compare(methods.consume, [waits], { "grpc-timeout": "30m" }, ["grpc", "grpc-web"]);
  await compare(methods.consume, [waits], { "connect-timeout-ms": "30" }, ["connect-unary"]);
  const tails = from({ start: { case: "fromEnd", value: true } });
  await compare(methods.consumeStream, [tails], { "grpc-timeout": "30m" }, ["grpc", "grpc-web"]);
});
