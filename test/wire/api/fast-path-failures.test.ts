/**
 * Calls that fail midway, with and without the fast path. The code, the facts of the error, the acknowledgements before
 * it, and how the stream is closed must be the same. The text of the message may differ.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { Fault } from "../../../src/fault.ts";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../../src/gen/google/rpc/status_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import {
  consumeRequest,
  envelopesOf,
  methods,
  openPathServer,
  type PathServer,
  produceBatchRequest,
  produceRequest,
  send,
  type WireResponse,
} from "../../support/http/fast-path-servers.ts";

const limit = 100_000;
let fast: PathServer;
let reference: PathServer;

before(async () => {
  fast = await openPathServer(true, { requestBytesMax: limit });
  reference = await openPathServer(false, { requestBytesMax: limit });
});

after(async () => {
  for (const { session, served } of [fast, reference]) {
    session.destroy();
    await served[Symbol.asyncDispose]();
  }
});

/** The parts of a response that a gRPC client can act on. */
function outcome({ headers, trailers, body, reset }: WireResponse) {
  const details = trailers["grpc-status-details-bin"];
  const info: Record<string, string> | undefined =
    details === undefined
      ? undefined
      : fromBinary(StatusSchema, Buffer.from(String(details), "base64"))
          .details.filter(({ typeUrl }) => typeUrl.endsWith("ErrorInfo"))
          .map(({ value }) => fromBinary(ErrorInfoSchema, value))
          .map(({ reason, metadata }) => ({ reason, ...metadata }))[0];
  const messages = envelopesOf(body).length;
  return { status: headers[":status"], code: trailers["grpc-status"], info, messages, reset };
}

interface TestRequest {
  readonly method: keyof typeof methods;
  readonly body: readonly Uint8Array[];
  readonly headers?: Record<string, string>;
  readonly open?: boolean;
}

/** Sends the request to both servers. Returns the outcome, which must be the same. */
async function compare({ method, body, headers = {}, open = false }: TestRequest) {
  const outcomes = [];
  for (const server of [fast, reference]) {
    const all = { "content-type": "application/grpc", te: "trailers", ...headers };
    outcomes.push(outcome(await send(server, methods[method].path, all, Buffer.concat(body), open)));
  }
  assert.deepEqual(outcomes[0], outcomes[1]);
  return outcomes[0] as ReturnType<typeof outcome>;
}

const value = Buffer.from("a value");
const batch = encodeEnvelope(produceBatchRequest({ records: [{ value }, { value }] }));
const single = encodeEnvelope(produceRequest({ record: { value } }));
const tooLarge = Buffer.concat([Buffer.from([0]), Buffer.from([0, 1, 0x86, 0xa1]), Buffer.alloc(50)]);
const notProtobuf = encodeEnvelope(Buffer.from("ff", "hex"));
const cut = batch.subarray(0, batch.length - 1);

for (const open of [false, true]) {
  const how = open ? "request left open" : "request complete";
  test(`ProduceBulk, ${how}: the error says how much was appended before it`, {
    timeout: 300_000,
  }, async () => {
    const before = { written: "no", records_before: "4", batches_before: "2" };
    const cases: readonly (readonly [Uint8Array, string, Record<string, string>])[] = [
      [tooLarge, "8", { reason: "TOO_LARGE", limit: String(limit) }],
      [notProtobuf, "3", { reason: "BAD_REQUEST" }],
      [
        encodeEnvelope(produceBatchRequest({ records: [] })),
        "3",
        { reason: "BAD_REQUEST", field: "records" },
      ],
      [encodeEnvelope(gzipSync(batch.subarray(5)), 1), "13", { reason: "UNEXPECTED_COMPRESSION" }],
    ];
    for (const [bad, code, facts] of cases) {
      const got = await compare({ method: "produceBulk", body: [batch, batch, bad], open });
      assert.deepEqual(got, {
        status: 200,
        code,
        info: { ...before, ...facts },
        messages: 0,
        reset: 0,
      });
    }
    const first = await compare({ method: "produceBulk", body: [tooLarge], open });
    assert.deepEqual(first.info, {
      reason: "TOO_LARGE",
      limit: String(limit),
      written: "no",
      records_before: "0",
      batches_before: "0",
    });
  });

  test(`ProduceStream, ${how}: the messages before a failure are acknowledged`, {
    timeout: 300_000,
  }, async () => {
    for (const [bad, code] of [
      [tooLarge, "8"],
      [notProtobuf, "3"],
      [encodeEnvelope(produceRequest({})), "3"],
    ] as const) {
      const got = await compare({ method: "produceStream", body: [single, single, bad], open });
      assert.deepEqual([got.code, got.messages, got.info?.["written"], got.reset], [code, 2, "no", 0]);
    }
  });

  test(`unary and server-stream calls, ${how}: rejected with the same code and closed in the same way`, {
    timeout: 300_000,
  }, async () => {
    for (const method of [
      ...(["produce", "produceBatch", "consume", "consumeStream", "consumeBatches"] as const),
      "tailLogs" as const,
    ]) {
      const got = await compare({ method, body: [tooLarge], open });
      assert.deepEqual(
        [got.status, got.code, got.info, got.reset],
        [200, "8", { reason: "TOO_LARGE", limit: String(limit), written: "no" }, 0],
      );
    }
  });
}

test("a stream fails as overloaded, with its progress, when incomplete requests take all the memory they may", {
  timeout: 300_000,
}, async () => {
  const options = { memoryBytesMax: 200_000 };
  const servers = [await openPathServer(true, options), await openPathServer(false, options)];
  const begun = encodeEnvelope(Buffer.alloc(160_000)).subarray(0, 150_000);
  for (const [method, whole] of [
    ["produceBulk", batch],
    ["produceStream", single],
  ] as const) {
    const outcomes = [];
    for (const server of servers) {
      const all = { "content-type": "application/grpc", te: "trailers" };
      outcomes.push(
        outcome(await send(server, methods[method].path, all, Buffer.concat([whole, begun]), true)),
      );
    }
    assert.deepEqual(outcomes[0], outcomes[1]);
    assert.equal(outcomes[0]?.code, "8");
    assert.equal(outcomes[0]?.info?.["reason"], "OVERLOADED");
    assert.equal(outcomes[0]?.info?.["written"], "no");
    if (method === "produceBulk") assert.equal(outcomes[0]?.info?.["records_before"], "2");
  }
  for (const { session, served } of servers) {
    session.destroy();
    await served[Symbol.asyncDispose]();
  }
});

test("a body that ends inside a message fails after the messages before it are acknowledged", async () => {
  const bulk = await compare({ method: "produceBulk", body: [batch, cut] });
  assert.deepEqual(bulk.info, {
    reason: "BAD_REQUEST",
    written: "no",
    records_before: "2",
    batches_before: "1",
  });
  const stream = await compare({ method: "produceStream", body: [single, single.subarray(0, 9)] });
  assert.deepEqual([stream.code, stream.messages], ["3", 1]);
});

test("when the log fails in the middle of a ProduceBulk, the error says how much was appended before", async () => {
  for (const fault of [new Fault("disk-full"), new Fault("unknown", { written: "unknown" })]) {
    const outcomes = [];
    for (const server of [fast, reference]) {
      const append = server.served.log.append.bind(server.served.log);
      let calls = 0;
      server.served.log.append = (...given) => (++calls === 3 ? Promise.reject(fault) : append(...given));
      const all = { "content-type": "application/grpc", te: "trailers" };
      const body = Buffer.concat([batch, batch, batch]);
      outcomes.push(outcome(await send(server, methods.produceBulk.path, all, body)));
      server.served.log.append = append;
    }
    assert.deepEqual(outcomes[0], outcomes[1]);
    assert.equal(outcomes[0]?.info?.["records_before"], "4");
    assert.equal(outcomes[0]?.info?.["written"], fault.written);
  }
});

test("a deadline ends a call of any method whose client never completes its request", {
  timeout: 300_000,
}, async () => {
  const headers = { "grpc-timeout": "150m" };
  for (const method of Object.keys(methods) as (keyof typeof methods)[]) {
    const body =
      method === "produceBulk" ? [batch] : method === "produceStream" ? [single] : [single.subarray(0, 7)];
    const got = await compare({ method, body, headers, open: true });
    assert.deepEqual(
      [got.code, got.info?.["reason"], got.info?.["written"]],
      ["4", "DEADLINE", "no"],
      method,
    );
    if (method === "produceBulk") assert.equal(got.info?.["records_before"], "2");
    if (method === "produceStream") assert.equal(got.messages, 1);
  }
});

test("a deadline of zero has passed at once", { timeout: 300_000 }, async () => {
  for (const timeout of ["0m", "0n", "1n"]) {
    const body = [encodeEnvelope(consumeRequest({ start: { case: "fromEnd", value: true } }))];
    const got = await compare({ method: "consumeStream", body, headers: { "grpc-timeout": timeout } });
    assert.deepEqual([got.code, got.info?.["written"]], ["4", "no"], timeout);
  }
});

test("a message with an unknown flag is refused and appends nothing", async () => {
  const before = fast.served.log.next;
  for (const flags of [2, 3, 0x40, 0x80]) {
    const message = encodeEnvelope(produceRequest({ record: { value } }), flags);
    for (const method of ["produce", "produceStream"] as const) {
      const { code } = await compare({ method, body: [message] });
      assert.equal(code, flags === 3 ? "13" : "3", `${method} with flags ${flags}`);
    }
  }
  assert.deepEqual([fast.served.log.next, reference.served.log.next], [before, before]);
});
