/**
 * Compares the fast path with Connect's handlers for requests that name a log. Both servers serve the same node, so a
 * request that changes nothing must have the same response from both.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConsumeRequestSchema } from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { encodeRun } from "../../../src/log/mod.ts";
import {
  bodyOf,
  consumeRequest,
  createLogRequest,
  framings,
  methods,
  observed,
  openPathServer,
  type PathServer,
  produceBatchRequest,
  produceRequest,
  send,
  type TestedMethod,
} from "../../support/http/fast-path-servers.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { scratch } from "../../support/scratch.ts";

const closing = new AsyncDisposableStack();
let fast: PathServer;
let reference: PathServer;
let logId: string;
const value = Buffer.from("a value");

before(async () => {
  const node = closing.use(await openOneNode(scratch({ after: (work) => closing.defer(work) })));
  const { log } = node.replica;
  for (const isFast of [true, false]) {
    const server = await openPathServer(isFast, { log, named: log.named });
    closing.use(server.served);
    closing.defer(() => server.session.destroy());
    if (isFast) fast = server;
    else reference = server;
  }
  const { log: made } = await log.named.change({ kind: "create", name: "a/🦀", settings: {} });
  logId = `${made?.life}-${made?.id}`;
  for (const count of [1, 3, 2]) {
    await log.named.open({ name: "a/🦀" }).append(encodeRun(Array(count).fill({ value })));
    await log.append(encodeRun(Array(count).fill({ value })));
  }
});

after(() => closing.disposeAsync());

/** Sends the messages to both servers in every framing, and compares the responses. Returns the last one. */
async function compare(method: TestedMethod, messages: readonly Uint8Array[]): Promise<unknown> {
  let last: unknown;
  for (const name of method.framings) {
    const requests = fast.fastRequests;
    const body = bodyOf(method, name, messages);
    const headers = { "content-type": framings[name] };
    const fromFast = observed(await send(fast, method.path, headers, body), method.output);
    const fromReference = observed(await send(reference, method.path, headers, body), method.output);
    assert.equal(fast.fastRequests, requests + 1, "the fast path serves it");
    assert.deepEqual(fromFast, fromReference, `${method.path} ${name}`);
    last = fromFast;
  }
  return last;
}

/** The response as text. The text of JSON in it is not escaped again. */
const text = (response: unknown): string => JSON.stringify(response).replaceAll("\\", "");

test("reads of a named log, with and without its id", async () => {
  const log = "a/🦀";
  const requests: MessageInitShape<typeof ConsumeRequestSchema>[] = [
    { log },
    { log, logId, offset: 2n },
    { log, stopAtEnd: true, markers: true },
    { log, offset: 3n, maxRecords: 2n, stopAtEnd: true },
    { log, stopAtEnd: true, start: { case: "last", value: 2n } },
    { log, offset: 99n },
    { log: "default", offset: 1n, stopAtEnd: true },
  ];
  for (const request of requests) {
    for (const method of [methods.consume, methods.consumeStream, methods.consumeBatches]) {
      if (method !== methods.consume && request.stopAtEnd !== true) continue;
      const response = text(await compare(method, [consumeRequest(request)]));
      const hasId = method !== methods.consumeBatches && request.log === log && request.offset !== 99n;
      assert.equal(response.includes(`"logId":"${logId}"`), hasId, text(request.log));
    }
  }
});

test("appends to named logs that were made before", async () => {
  const log = "a/🦀";
  const producer = (id: bigint, sequence = 0n) => ({ id, epoch: 0, sequence });
  const record = { value };
  const appends: readonly (readonly [TestedMethod, readonly Uint8Array[]])[] = [
    [methods.produce, [produceRequest({ log, record, producer: producer(1n) })]],
    [methods.produceBatch, [produceBatchRequest({ log, logId, records: [record], producer: producer(2n) })]],
    [
      methods.produceStream,
      [
        produceRequest({ log, record, producer: producer(3n) }),
        produceRequest({ record, producer: producer(3n) }),
        produceRequest({ log, logId, record, producer: producer(3n, 1n) }),
      ],
    ],
    [methods.produceBulk, [produceBatchRequest({ log, records: [record], producer: producer(4n) })]],
    [
      methods.produceBulk,
      [
        produceBatchRequest({ log, records: [record], producer: producer(5n) }),
        produceBatchRequest({ records: [record], producer: producer(5n) }),
      ],
    ],
  ];
  for (const [method, messages] of appends) {
    const body = Buffer.concat(messages.map((message) => encodeEnvelope(message)));
    await send(fast, method.path, { "content-type": framings.grpc }, body);
    assert.match(text(await compare(method, messages)), /"(logId|batches)"/);
  }
});

test("creates of logs that are there, with and without if_not_exists", async () => {
  const settings = { ttlMs: 60_000n, contentType: "text/plain" };
  const first = createLogRequest({ name: "set", settings });
  await send(fast, methods.createLog.path, { "content-type": framings["connect-unary"] }, first);
  const same = [
    { name: "a/🦀" },
    { name: "a/🦀", settings: {} },
    { name: "set", settings },
    { name: "set", settings: { ttlMs: 60_000n } },
  ];
  const others = [
    { name: "a/🦀", settings },
    { name: "set", settings: { ttlMs: 1n } },
    { name: "set", settings: { contentType: "\n" } },
    { name: "default" },
    { name: "" },
    { name: "_a" },
    { name: "a//b" },
    { name: "x".repeat(300) },
  ];
  for (const request of [...same, ...others]) {
    const refused = text(await compare(methods.createLog, [createLogRequest(request)]));
    assert.doesNotMatch(refused, /"logId"/, request.name);
    const found = text(
      await compare(methods.createLog, [createLogRequest({ ...request, ifNotExists: true })]),
    );
    assert.equal(found.includes('"logId"'), same.includes(request), found);
  }
});

test("a create answers with the new log, also to a client that sends the name twice", async () => {
  const shapes: unknown[] = [];
  for (const [at, server] of [fast, reference].entries()) {
    for (const name of methods.createLog.framings) {
      const log = `made-${at}-${name}`;
      const message = Buffer.concat([createLogRequest({ name: "other" }), createLogRequest({ name: log })]);
      const body = bodyOf(methods.createLog, name, [message]);
      const response = await send(server, methods.createLog.path, { "content-type": framings[name] }, body);
      const seen = text(observed(response, methods.createLog.output));
      assert.match(seen, /"created":true/);
      assert.ok(seen.includes(`"name":"${log}"`), seen);
      shapes[at] = [shapes[at], seen.replaceAll(/made-\d/g, "made").replaceAll(/"\d[\d-]*"/g, "N")];
    }
  }
  assert.deepEqual(shapes[0], shapes[1]);
});

test("requests that name no log, another log or an invalid one", async () => {
  const [life, number] = logId.split("-");
  const named: readonly { log?: string; logId?: string }[] = [
    { log: "gone" },
    { log: "a/🦀", logId: `${life}-${Number(number) + 1}` },
    { log: "a/🦀", logId: `${Number(life) - 1}-${number}` },
    { log: "a/🦀", logId: "" },
    { log: "a/🦀", logId: "x" },
    { logId: `${life}-7` },
    { log: "_a" },
    { log: "cafe\u0301" },
    { log: "a\n" },
    { log: "x".repeat(300) },
  ];
  for (const log of named) {
    await compare(methods.produce, [produceRequest({ ...log, record: { value } })]);
    await compare(methods.produceBatch, [produceBatchRequest({ ...log, records: [{ value }] })]);
    await compare(methods.produceStream, [produceRequest({ ...log, record: { value } })]);
    await compare(methods.produceBulk, [produceBatchRequest({ ...log, records: [{ value }] })]);
    for (const method of [methods.consume, methods.consumeStream, methods.consumeBatches])
      await compare(method, [consumeRequest({ ...log, stopAtEnd: true })]);
  }
});

test("fields of the log that are twice there, or no text", async () => {
  const append = Buffer.from(produceRequest({ record: {} }));
  for (const field of ["220161220162", "2a01612a0162", "2201612200220162"])
    await compare(methods.produce, [Buffer.concat([append, Buffer.from(field, "hex")])]);
  // The texts of these errors are those of each path.
  for (const field of ["2205", "2201ff", "2001", "2a01ff"]) {
    const body = encodeEnvelope(Buffer.concat([append, Buffer.from(field, "hex")]));
    const codes = await Promise.all(
      [fast, reference].map(async (server) => {
        const { trailers } = await send(
          server,
          methods.produce.path,
          { "content-type": framings.grpc },
          body,
        );
        return trailers["grpc-status"];
      }),
    );
    assert.deepEqual(codes, ["3", "3"], field);
  }
});
