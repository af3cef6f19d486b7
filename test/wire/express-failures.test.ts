/**
 * Calls that fail half-way, on both lanes: the code, what the error says of the write and of what came before it, the
 * acknowledgements before it, and how the stream is closed must be the same. (The sentence is each lane's own.)
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { Fault } from "../../src/fault.ts";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.js";
import {
  type Answer,
  envelope,
  from,
  type Lane,
  many,
  methods,
  one,
  openLane,
  send,
} from "../support/lanes.ts";

const limit = 100_000;
let express: Lane;
let reference: Lane;

before(async () => {
  express = await openLane(true, { requestBytesMax: limit });
  reference = await openLane(false, { requestBytesMax: limit });
});

after(async () => {
  for (const { session, served } of [express, reference]) {
    session.destroy();
    await served[Symbol.asyncDispose]();
  }
});

/** What a gRPC client can act on. */
function outcome({ headers, trailers, body, reset }: Answer) {
  const details = trailers["grpc-status-details-bin"];
  const info: Record<string, string> | undefined =
    details === undefined
      ? undefined
      : fromBinary(StatusSchema, Buffer.from(String(details), "base64"))
          .details.filter(({ typeUrl }) => typeUrl.endsWith("ErrorInfo"))
          .map(({ value }) => fromBinary(ErrorInfoSchema, value))
          .map(({ reason, metadata }) => ({ reason, ...metadata }))[0];
  let messages = 0;
  for (let at = 0; at < body.length; at += 5 + body.readUInt32BE(at + 1)) messages++;
  return { status: headers[":status"], code: trailers["grpc-status"], info, messages, reset };
}

interface Asked {
  readonly method: keyof typeof methods;
  readonly body: readonly Buffer[];
  readonly headers?: Record<string, string>;
  readonly open?: boolean;
}

/** Sends it both ways; the outcomes must be equal, and are answered once. */
async function compare({ method, body, headers = {}, open = false }: Asked) {
  const outcomes = [];
  for (const lane of [express, reference]) {
    const all = { "content-type": "application/grpc", te: "trailers", ...headers };
    outcomes.push(outcome(await send(lane, methods[method].path, all, Buffer.concat(body), open)));
  }
  assert.deepEqual(outcomes[0], outcomes[1]);
  return outcomes[0] as ReturnType<typeof outcome>;
}

const value = Buffer.from("a value");
const batch = envelope(many({ records: [{ value }, { value }] }));
const single = envelope(one({ record: { value } }));
const tooLarge = Buffer.concat([Buffer.from([0]), Buffer.from([0, 1, 0x86, 0xa1]), Buffer.alloc(50)]);
const notProtobuf = envelope(Buffer.from("ff", "hex"));
const cut = batch.subarray(0, batch.length - 1);

for (const open of [false, true]) {
  const how = open ? "left open" : "closed";
  test(`ProduceBulk, ${how}: a failure says how much came before it`, { timeout: 300_000 }, async () => {
    const before = { written: "no", records_before: "4", batches_before: "2" };
    const cases: readonly (readonly [Buffer, string, Record<string, string>])[] = [
      [tooLarge, "8", { reason: "TOO_LARGE", limit: String(limit) }],
      [notProtobuf, "3", { reason: "BAD_REQUEST" }],
      [envelope(many({ records: [] })), "3", { reason: "BAD_REQUEST", field: "records" }],
      [envelope(gzipSync(batch.subarray(5)), 1), "13", { reason: "UNEXPECTED_COMPRESSION" }],
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

  test(`ProduceStream, ${how}: what stands before a failure is acknowledged`, {
    timeout: 300_000,
  }, async () => {
    for (const [bad, code] of [
      [tooLarge, "8"],
      [notProtobuf, "3"],
      [envelope(one({})), "3"],
    ] as const) {
      const got = await compare({ method: "produceStream", body: [single, single, bad], open });
      assert.deepEqual([got.code, got.messages, got.info?.["written"], got.reset], [code, 2, "no", 0]);
    }
  });

  test(`unary and server-stream calls, ${how}: refused with the same code and closed alike`, {
    timeout: 300_000,
  }, async () => {
    for (const method of ["produce", "produceBatch", "consume", "consumeStream", "consumeBatches"] as const) {
      const got = await compare({ method, body: [tooLarge], open });
      assert.deepEqual(
        [got.status, got.code, got.info, got.reset],
        [200, "8", { reason: "TOO_LARGE", limit: String(limit), written: "no" }, 0],
      );
    }
  });
}

test("when unfinished requests hold all the memory that they may, streams are told so, and how far they came", {
  timeout: 300_000,
}, async () => {
  const options = { memoryBytesMax: 200_000 };
  const lanes = [await openLane(true, options), await openLane(false, options)];
  const begun = envelope(Buffer.alloc(160_000)).subarray(0, 150_000);
  for (const [method, whole] of [
    ["produceBulk", batch],
    ["produceStream", single],
  ] as const) {
    const outcomes = [];
    for (const lane of lanes) {
      const all = { "content-type": "application/grpc", te: "trailers" };
      outcomes.push(
        outcome(await send(lane, methods[method].path, all, Buffer.concat([whole, begun]), true)),
      );
    }
    assert.deepEqual(outcomes[0], outcomes[1]);
    assert.equal(outcomes[0]?.code, "8");
    assert.equal(outcomes[0]?.info?.["reason"], "OVERLOADED");
    assert.equal(outcomes[0]?.info?.["written"], "no");
    if (method === "produceBulk") assert.equal(outcomes[0]?.info?.["records_before"], "2");
  }
  for (const { session, served } of lanes) {
    session.destroy();
    await served[Symbol.asyncDispose]();
  }
});

test("a body that ends inside a message says so, after what came before it", async () => {
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

test("a log that fails in the middle of a ProduceBulk: what came before is told", async () => {
  for (const fault of [new Fault("disk-full"), new Fault("unknown", { written: "unknown" })]) {
    const outcomes = [];
    for (const lane of [express, reference]) {
      const append = lane.served.log.append.bind(lane.served.log);
      let calls = 0;
      lane.served.log.append = (...given) => (++calls === 3 ? Promise.reject(fault) : append(...given));
      const all = { "content-type": "application/grpc", te: "trailers" };
      const body = Buffer.concat([batch, batch, batch]);
      outcomes.push(outcome(await send(lane, methods.produceBulk.path, all, body)));
      lane.served.log.append = append;
    }
    assert.deepEqual(outcomes[0], outcomes[1]);
    assert.equal(outcomes[0]?.info?.["records_before"], "4");
    assert.equal(outcomes[0]?.info?.["written"], fault.written);
  }
});

test("a deadline ends a call whose client never finishes its request, whatever the method", {
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

test("a deadline of nothing is past at once", { timeout: 300_000 }, async () => {
  for (const timeout of ["0m", "0n", "1n"]) {
    const body = [envelope(from({ start: { case: "fromEnd", value: true } }))];
    const got = await compare({ method: "consumeStream", body, headers: { "grpc-timeout": timeout } });
    assert.deepEqual([got.code, got.info?.["written"]], ["4", "no"], timeout);
  }
});
