/**
 * Compares the fast path with Connect's handlers. The same bytes go to two servers that differ only in the fast path, and
 * what a client can observe of the responses must be the same. Streams that fail midway: fast-path-failures.test.ts.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../../src/fault.ts";
import { type ConsumeRequestSchema, ProduceResponseSchema } from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { decodeRecord, encodeRun, RecordCursor } from "../../../src/log/mod.ts";
import {
  bodyOf,
  consumeRequest,
  type FramingName,
  framings,
  methods,
  observed,
  openPathServer,
  type PathServer,
  produceBatchRequest,
  produceRequest,
  send,
  type TestedMethod,
  unary,
} from "../../support/http/fast-path-servers.ts";
import type { Served } from "../../support/http/serve.ts";

let fast: PathServer;
let reference: PathServer;

before(async () => {
  fast = await openPathServer(true);
  reference = await openPathServer(false);
});

after(() => close());

async function close(): Promise<void> {
  for (const { session, served } of [fast, reference]) {
    assert.equal(served.log.openTails, 0, "every tail is closed");
    session.destroy();
    await served[Symbol.asyncDispose]();
  }
}

/** Sends the messages to both servers in every framing of the method and compares the responses and the logs. */
async function compare(
  method: TestedMethod,
  messages: readonly Uint8Array[],
  headers: Record<string, string> = {},
  names: readonly FramingName[] = method.framings,
): Promise<void> {
  for (const name of names) {
    const body = bodyOf(method, name, messages);
    const all = { "content-type": framings[name], ...headers };
    const responses = await Promise.all([
      send(fast, method.path, all, body),
      send(reference, method.path, all, body),
    ]);
    const [fromFast, fromReference] = responses.map((response) => observed(response, method.output));
    assert.deepEqual(fromFast, fromReference, `${method.path} ${name}`);
  }
  assert.equal((await fast.served.log.bounds()).next, (await reference.served.log.bounds()).next);
  assert.equal(fast.served.service.calls.openCalls, reference.served.service.calls.openCalls);
}

const value = Buffer.from("a value");

test("Produce accepts a record that is plain, empty, or has key, headers, producer or expected offset", async () => {
  const before = fast.fastRequests;
  await compare(methods.produce, [produceRequest({ record: { value } })]);
  assert.equal(fast.fastRequests - before, 4, "the fast path serves all four framings");
  await compare(methods.produce, [produceRequest({ record: {} })]);
  await compare(methods.produce, [
    produceRequest({
      record: { value, key: value, headers: [{ key: "traceparent", value }], offset: 99n, term: 5n },
    }),
  ]);
  for (const sequence of [0n, 1n, 1n]) {
    await compare(
      methods.produce,
      [produceRequest({ record: { value }, producer: { id: 1n, epoch: 0, sequence } })],
      {},
      ["grpc"],
    );
  }
  const { next } = await fast.served.log.bounds();
  await compare(methods.produce, [produceRequest({ record: { value }, expectedOffset: BigInt(next) })], {}, [
    "grpc",
  ]);
});

test("a record carries the trace of the call when asked to, and a traceparent of its own is not replaced", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const own = { key: "traceparent", value: Buffer.from("its own") };
  const both = [{ value, key: value, headers: [{ key: "h", value }] }, { headers: [own] }, {}];
  const asked = { traceparent, "tailrace-trace-record": "yes" };
  const requests = [
    [methods.produce, both.map((record) => produceRequest({ record }))],
    [methods.produceBatch, [produceBatchRequest({ records: both })]],
    [methods.produceStream, both.map((record) => produceRequest({ record }))],
    [methods.produceBulk, [produceBatchRequest({ records: both }), produceBatchRequest({ records: both })]],
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
        const { next } = await fast.served.log.bounds();
        for (const some of sent) await compare(method, some, headers, [name]);
        const [stored, storedByReference] = await Promise.all(
          [fast, reference].map(({ served }) => headersFrom(served, next)),
        );
        assert.deepEqual(stored, storedByReference, `${method.path} ${name}`);
        const added = headers === asked ? [["traceparent", traceparent]] : [];
        const three = [[["h", String(value)], ...added], [["traceparent", "its own"]], added];
        assert.deepEqual(stored, method === methods.produceBulk ? [...three, ...three] : three);
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

test("Produce rejects invalid requests with the same errors", async () => {
  await compare(methods.produce, [produceRequest({})]);
  await compare(methods.produce, [produceRequest({ record: { value }, expectedOffset: 7n })]);
  await compare(methods.produce, [produceRequest({ record: { value }, expectedOffset: 1n << 60n })]);
  await compare(methods.produce, [produceRequest({ record: { value: Buffer.alloc(1024 * 1024 + 1) } })]);
});

test("Produce with no message or with two fails as unimplemented and appends nothing", async () => {
  const { next } = await fast.served.log.bounds();
  const message = encodeEnvelope(produceRequest({ record: { value } }));
  for (const type of [framings.grpc, framings["grpc-web"]]) {
    for (const body of [Buffer.alloc(0), Buffer.concat([message, message])]) {
      const codes: unknown[] = [];
      for (const server of [fast, reference]) {
        const answer = await send(server, methods.produce.path, { "content-type": type }, body);
        codes.push((observed(answer, ProduceResponseSchema) as { end: { code: unknown } }).end.code);
      }
      assert.deepEqual(codes, ["12", "12"]);
    }
  }
  assert.equal((await fast.served.log.bounds()).next, next);
});

test("Produce passes on faults of the log, including what they say about the write", async () => {
  for (const fault of [
    new Fault("disk-full"),
    new Fault("unknown", { written: "unknown" }),
    new Fault("not-leader", { facts: { leader: "a.example" } }),
    new Fault("out-of-sequence", { facts: { expected: 5 } }),
  ]) {
    for (const name of unary) {
      fast.served.log.failNext = fault;
      reference.served.log.failNext = fault;
      await compare(methods.produce, [produceRequest({ record: { value } })], {}, [name]);
    }
  }
});

test("a message that is not protobuf appends nothing", async () => {
  const { next } = await fast.served.log.bounds();
  for (const garbage of ["ff", "0a05", "0a020aff", "0b", "1a00"]) {
    for (const name of unary) {
      const body = Buffer.from(garbage, "hex");
      const wrapped = name.startsWith("connect") ? body : encodeEnvelope(body);
      // Connect reports some of these as "internal" over gRPC. The fast path reports them as the client's error.
      const answer = await send(fast, methods.produce.path, { "content-type": framings[name] }, wrapped);
      const text = JSON.stringify(observed(answer, ProduceResponseSchema));
      assert.match(text, /code\W+(3|invalid_argument)\b/, `${garbage} ${name}`);
    }
  }
  assert.equal((await fast.served.log.bounds()).next, next);
});

test("ProduceBatch accepts one or many records and rejects none or a wrong expected offset", async () => {
  await compare(methods.produceBatch, [
    produceBatchRequest({ records: Array.from({ length: 50 }, () => ({ value })) }),
  ]);
  await compare(methods.produceBatch, [produceBatchRequest({ records: [{ value }] })]);
  await compare(methods.produceBatch, [produceBatchRequest({ records: [] })]);
  await compare(methods.produceBatch, [produceBatchRequest({ records: [{ value }], expectedOffset: 3n })]);
});

test("ProduceStream acknowledges in order", async () => {
  const plain = Array.from({ length: 300 }, () => produceRequest({ record: { value } }));
  await compare(methods.produceStream, plain);
  await compare(methods.produceStream, []);
});

test("ProduceStream acknowledges nothing behind a message that fails, and the fast path appends nothing behind it", async () => {
  const plain = produceRequest({ record: { value } });
  const { next } = await fast.served.log.bounds();
  const body = Buffer.concat(
    [plain, plain, produceRequest({}), plain].map((message) => encodeEnvelope(message)),
  );
  const answers: unknown[] = [];
  for (const server of [fast, reference]) {
    const answer = await send(server, methods.produceStream.path, { "content-type": framings.grpc }, body);
    answers.push(observed(answer, ProduceResponseSchema));
  }
  assert.deepEqual(answers[0], answers[1]);
  assert.equal((await fast.served.log.bounds()).next, next + 2);
  // Connect's handler may have started appends behind the failure. Append here too, so that both logs have the same end.
  const missing = (await reference.served.log.bounds()).next - next - 2;
  for (let at = 0; at < missing; at++) await fast.served.log.append(encodeRun([{ value }]));
});

test("ProduceBulk responds with one summary", async () => {
  const batch = produceBatchRequest({ records: Array.from({ length: 20 }, () => ({ value })) });
  await compare(methods.produceBulk, [batch, batch, batch]);
  await compare(methods.produceBulk, []);
  await compare(methods.produceBulk, [batch, produceBatchRequest({ records: [] })], {}, ["grpc"]);
});

test("Consume reads from every kind of start, and fails beyond the end, with or without a wait", async () => {
  await compare(methods.consume, [consumeRequest({})]);
  await compare(methods.consume, [consumeRequest({ offset: 5n })]);
  await compare(methods.consume, [consumeRequest({ offset: 1_000_000n })]);
  await compare(methods.consume, [consumeRequest({ offset: 1n << 63n })]);
  await compare(methods.consume, [consumeRequest({ start: { case: "last", value: 1n } })]);
  await compare(methods.consume, [consumeRequest({ start: { case: "fromTimeMs", value: 1n } })]);
  await compare(methods.consume, [consumeRequest({ offset: 1_000_000n, waitMs: 20 })]);
  await compare(methods.consume, [consumeRequest({ readMode: 99 as never })]);
});

test("ConsumeStream combines every start with every stop", async () => {
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
    for (const stop of stops) await compare(methods.consumeStream, [consumeRequest({ ...start, ...stop })]);
  await compare(methods.consumeStream, [
    consumeRequest({ start: { case: "fromEnd", value: true }, stopAtEnd: true, markers: true }),
  ]);
  await compare(methods.consumeStream, [consumeRequest({ offset: 1_000_000n })]);
});

test("ConsumeBatches sends stored frames from the one that holds the start", async () => {
  await close();
  fast = await openPathServer(true);
  reference = await openPathServer(false);
  for (const { served } of [fast, reference]) {
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
    await compare(methods.consumeBatches, [consumeRequest(request)]);
  }
});

test("a deadline ends calls with the same error", async () => {
  const waits = consumeRequest({ offset: 1_000_000n, waitMs: 60_000 });
  await compare(methods.consume, [waits], { "grpc-timeout": "30m" }, ["grpc", "grpc-web"]);
  await compare(methods.consume, [waits], { "connect-timeout-ms": "30" }, ["connect-unary", "connect-json"]);
  const tails = consumeRequest({ start: { case: "fromEnd", value: true } });
  await compare(methods.consumeStream, [tails], { "grpc-timeout": "30m" }, ["grpc", "grpc-web"]);
});
