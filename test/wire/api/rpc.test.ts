/** Every RPC of log.v1.Log behaves the same in each protocol, with Connect alone and with the fast path. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { createFastPath } from "../../../src/api/mod.ts";
import { faultOf } from "../../../src/client/mod.ts";
import type { Fault } from "../../../src/fault.ts";
import { type ConsumeResponse, Log, ReadMode, type WatchEvent } from "../../../src/gen/log/v1/log_pb.js";
import type { Freshness } from "../../../src/types.ts";
import { curl } from "../../support/http/curl.ts";
import { type Served, type ServeOptions, serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";

const transports = {
  grpc: (baseUrl: string) => createGrpcTransport({ baseUrl }),
  "grpc-web": (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
  connect: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
  "connect json": (baseUrl: string) =>
    createConnectTransport({ baseUrl, httpVersion: "2", acceptCompression: [] }),
} as const satisfies Record<string, (baseUrl: string) => Transport>;
const paths: Readonly<Record<string, ServeOptions>> = {
  reference: {},
  "fast path": { fastPath: createFastPath },
};

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();
const tailsOpen = (served: Served, count: number): Promise<unknown> =>
  until(`${count} tails are open`, () => served.log.openTails === count);
const collect = async <T>(stream: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
};
const values = (responses: readonly ConsumeResponse[]): string[] =>
  responses.flatMap(({ record }) => (record === undefined ? [] : [text(record.value)]));
const failing = async (work: () => Promise<unknown>): Promise<{ error: ConnectError; fault: Fault }> => {
  try {
    await work();
  } catch (reason) {
    const error = ConnectError.from(reason);
    return { error, fault: faultOf(error) };
  }
  throw new Error("nothing was thrown");
};

for (const [protocol, transportTo] of Object.entries(transports)) {
  for (const [path, pathOptions] of Object.entries(paths)) {
    const open = async (options: ServeOptions = {}): Promise<Served & { client: Client<typeof Log> }> => {
      const served = await serve({ ...pathOptions, ...options });
      return Object.assign(served, { client: createClient(Log, transportTo(served.url)) });
    };

    suite(`${protocol}, ${path}`, { concurrency: 4 }, () => {
      test("a record comes back with its content, and with the offset, term and timestamp of the server", async () => {
        await using served = await open();
        const record = {
          value: bytes("v"),
          key: bytes("k"),
          headers: [
            { key: "ü", value: bytes("1") },
            { key: "ü", value: bytes("") },
          ],
          offset: 99n,
          term: 7n,
          timestampMs: 5n,
        };
        const produced = await served.client.produce({ record });
        assert.equal(produced.offset, 0n);
        assert.equal(produced.timestampMs, BigInt(served.log.nowMs));
        assert.equal(produced.duplicate, false);
        const { record: got, caughtUp, heartbeat, endOffset } = await served.client.consume({ offset: 0n });
        assert.deepEqual([text(got?.value), text(got?.key)], ["v", "k"]);
        assert.deepEqual(
          got?.headers.map(({ key, value }) => [key, text(value)]),
          [
            ["ü", "1"],
            ["ü", ""],
          ],
        );
        assert.deepEqual([got?.offset, got?.term, got?.timestampMs], [0n, 1n, BigInt(served.log.nowMs)]);
        assert.deepEqual([caughtUp, heartbeat, endOffset], [false, false, 0n]);
      });

      test("an offset beyond the end is out_of_range, with lowest and next, and not written", async () => {
        await using served = await open();
        const { error, fault } = await failing(() => served.client.consume({ offset: 5n }));
        assert.equal(error.code, Code.OutOfRange);
        assert.equal(fault.kind, "out-of-range");
        assert.equal(fault.written, "no");
        assert.deepEqual(fault.facts, { offset: 5, lowest: 0, next: 0 });
      });

      test("a missing record, an empty batch and a number above 2^53 − 1 are invalid_argument, and nothing is written", async () => {
        await using served = await open();
        const { client } = served;
        for (const work of [
          () => client.produce({}),
          () => client.produceBatch({ records: [] }),
          () => client.produce({ record: {}, expectedOffset: 2n ** 53n }),
          () => client.produce({ record: {}, producer: { sequence: 2n ** 64n - 1n } }),
          () => client.consume({ offset: 2n ** 63n }),
          () => client.trim({ beforeOffset: 2n ** 60n }),
        ]) {
          const { error, fault } = await failing(work);
          assert.equal(error.code, Code.InvalidArgument);
          assert.equal(fault.written, "no");
        }
        assert.equal(served.log.next, 0);
      });

      test("a wrong expected offset is aborted, and a retry with the same sequence is a duplicate", async () => {
        await using served = await open();
        const { client } = served;
        assert.equal((await client.produce({ record: {}, expectedOffset: 0n })).offset, 0n);
        const { error, fault } = await failing(() => client.produce({ record: {}, expectedOffset: 0n }));
        assert.equal(error.code, Code.Aborted);
        assert.equal(fault.kind, "offset-mismatch");
        const producer = { id: 2n ** 64n - 1n, epoch: 3, sequence: 0n };
        assert.equal((await client.produce({ record: {}, producer })).duplicate, false);
        const again = await client.produce({ record: {}, producer });
        assert.deepEqual([again.offset, again.duplicate], [1n, true]);
        assert.deepEqual(served.log.appendCalls.at(-1)?.options.producer, {
          subject: "local",
          id: 2n ** 64n - 1n,
          epoch: 3,
          sequence: 0,
        });
      });

      test("a batch is one append with contiguous offsets", async () => {
        await using served = await open();
        await served.client.produce({ record: {} });
        const records = Array.from({ length: 300 }, (_, at) => ({ value: bytes(`r${at}`) }));
        const { firstOffset, count } = await served.client.produceBatch({ records });
        assert.deepEqual([firstOffset, count], [1n, 300]);
        assert.equal(served.log.appendCalls.length, 2);
        assert.equal(text((await served.client.consume({ offset: 300n })).record?.value), "r299");
      });

      test("records and messages above the limits are resource_exhausted", async () => {
        await using served = await open({ recordBytesMax: 1000, requestBytesMax: 5000 });
        const large = await failing(() => served.client.produce({ record: { value: new Uint8Array(1001) } }));
        assert.equal(large.error.code, Code.ResourceExhausted);
        assert.equal(large.fault.kind, "too-large");
        const huge = await failing(() => served.client.produce({ record: { value: new Uint8Array(6000) } }));
        assert.equal(huge.error.code, Code.ResourceExhausted);
        assert.equal(served.log.next, 0);
      });

      test("ProduceStream acknowledges in order and ends at the first failure", async () => {
        if (protocol === "grpc-web") return; // gRPC-Web has no client streams
        await using served = await open();
        const requests = async function* () {
          for (let at = 0; at < 500; at++) yield { record: { value: bytes(`${at}`) } };
        };
        const acks = await collect(served.client.produceStream(requests()));
        assert.deepEqual(
          acks.map(({ offset }) => Number(offset)),
          Array.from({ length: 500 }, (_, at) => at),
        );
        const broken = async function* () {
          yield { record: { value: bytes("good") } };
          yield { record: { value: bytes("x") }, expectedOffset: 7n };
          yield { record: { value: bytes("after") } };
        };
        const got: bigint[] = [];
        const { fault } = await failing(async () => {
          for await (const { offset } of served.client.produceStream(broken())) got.push(offset);
        });
        assert.deepEqual(got, [500n]);
        assert.equal(fault.kind, "offset-mismatch");
      });

      test("an ack comes when its record is committed, not when the stream ends", async () => {
        if (protocol === "grpc-web") return;
        await using served = await open();
        let sendSecond: () => void = () => undefined;
        const second = new Promise<void>((resolve) => (sendSecond = resolve));
        const requests = async function* () {
          yield { record: {} };
          await second;
          yield { record: {} };
        };
        const acks = served.client.produceStream(requests())[Symbol.asyncIterator]();
        assert.equal((await acks.next()).value?.offset, 0n);
        sendSecond();
        assert.equal((await acks.next()).value?.offset, 1n);
        assert.equal((await acks.next()).done, true);
      });

      test("ProduceBulk returns a summary, and a failure says how much was appended before it", async () => {
        await using served = await open();
        const batches = (faulty: boolean) =>
          (async function* () {
            for (let at = 0; at < 10; at++) {
              yield { records: [{}, {}, {}], ...(faulty && at === 4 ? { expectedOffset: 0n } : {}) };
            }
          })();
        const sum = await served.client.produceBulk(batches(false));
        assert.deepEqual([sum.firstOffset, sum.records, sum.batches, sum.nextOffset], [0n, 30n, 10n, 30n]);
        const { fault } = await failing(() => served.client.produceBulk(batches(true)));
        assert.equal(fault.kind, "offset-mismatch");
        assert.equal(fault.facts["records_before"], 12);
        const none = await served.client.produceBulk((async function* () {})());
        assert.deepEqual([none.records, none.batches], [0n, 0n]);
      });

      test("a read starts at an offset, a time, the last N records or the end", async () => {
        await using served = await open();
        for (let at = 0; at < 6; at++) {
          served.log.nowMs = 1000 + 10 * at;
          await served.client.produce({ record: { value: bytes(`${at}`) } });
        }
        const read = async (request: Parameters<typeof served.client.consumeStream>[0]) =>
          values(await collect(served.client.consumeStream({ ...request, stopAtEnd: true })));
        assert.deepEqual(await read({}), ["0", "1", "2", "3", "4", "5"]);
        assert.deepEqual(await read({ offset: 4n }), ["4", "5"]);
        assert.deepEqual(await read({ start: { case: "fromTimeMs", value: 1025n } }), ["3", "4", "5"]);
        assert.deepEqual(await read({ start: { case: "last", value: 2n } }), ["4", "5"]);
        assert.deepEqual(await read({ start: { case: "last", value: 100n } }), [
          "0",
          "1",
          "2",
          "3",
          "4",
          "5",
        ]);
        assert.deepEqual(await read({ start: { case: "fromEnd", value: true } }), []);
        assert.deepEqual(await read({ offset: 6n }), []);
        const { error } = await failing(() => read({ offset: 7n }));
        assert.equal(error.code, Code.OutOfRange);
      });

      test("a read stops after a number of records or bytes, or before an offset", async () => {
        await using served = await open();
        const records = Array.from({ length: 10 }, () => ({ value: new Uint8Array(100) }));
        await served.client.produceBatch({ records });
        const count = async (request: Parameters<typeof served.client.consumeStream>[0]) =>
          (await collect(served.client.consumeStream(request))).length;
        assert.equal(await count({ maxRecords: 3n }), 3);
        assert.equal(await count({ maxBytes: 400n }), 4);
        assert.equal(await count({ maxBytes: 399n }), 3);
        assert.equal(await count({ maxBytes: 1n }), 1);
        assert.equal(await count({ endOffset: 7n, offset: 2n }), 5);
        assert.equal(await count({ endOffset: 2n, offset: 5n }), 0);
        assert.equal(await count({ stopAtEnd: true, endOffset: 100n }), 10);
        assert.equal(await count({ stopAtEnd: true, endOffset: 0n }), 0);
      });

      test("a tail receives records appended later, and markers only if asked for", async () => {
        await using served = await open({ heartbeatMs: 30 });
        await served.client.produce({ record: { value: bytes("old") } });
        const stop = new AbortController();
        const tail = served.client
          .consumeStream({ markers: true }, { signal: stop.signal })
          [Symbol.asyncIterator]();
        const next = async (): Promise<ConsumeResponse> => (await tail.next()).value as ConsumeResponse;
        assert.equal(text((await next()).record?.value), "old");
        const caught = await next();
        assert.deepEqual([caught.caughtUp, caught.endOffset, caught.record], [true, 1n, undefined]);
        assert.equal((await next()).heartbeat, true);
        await served.client.produce({ record: { value: bytes("new") } });
        let response = await next();
        while (response.heartbeat) response = await next();
        assert.equal(text(response.record?.value), "new");
        stop.abort();
        await tailsOpen(served, 0);
        const ended = await collect(served.client.consumeStream({ stopAtEnd: true, markers: true }));
        assert.equal(ended.at(-1)?.caughtUp, true);
        assert.equal(ended.length, 3);
      });

      test("a client that disconnects frees its tail at once", async () => {
        await using served = await open();
        for (let round = 0; round < 20; round++) {
          const stop = new AbortController();
          const tail = served.client.consumeStream({}, { signal: stop.signal })[Symbol.asyncIterator]();
          const waiting = tail.next().catch(() => undefined);
          await tailsOpen(served, 1);
          stop.abort();
          await waiting;
          await tailsOpen(served, 0);
        }
        assert.equal(served.service.calls.openCalls, 0);
        assert.equal(served.service.traffic.tails, 0);
      });

      test("a deadline ends a read; an append in flight at its deadline is unknown", async () => {
        await using served = await open();
        const read = await failing(() => collect(served.client.consumeStream({}, { timeoutMs: 100 })));
        assert.equal(read.error.code, Code.DeadlineExceeded);
        await tailsOpen(served, 0);
        let commit: () => void = () => undefined;
        served.log.gate = new Promise((resolve) => (commit = resolve));
        const late = await failing(() => served.client.produce({ record: {} }, { timeoutMs: 100 }));
        assert.equal(late.error.code, Code.DeadlineExceeded);
        assert.equal(late.fault.written, "unknown");
        commit();
      });

      test("Consume waits at the end of the log for at most wait_ms", async () => {
        await using served = await open();
        const waiting = served.client.consume({ offset: 1n, waitMs: 5000 });
        await served.client.produce({ record: { value: bytes("0") } });
        await served.client.produce({ record: { value: bytes("1") } });
        assert.equal(text((await waiting).record?.value), "1");
        const { error } = await failing(() => served.client.consume({ offset: 9n, waitMs: 20 }));
        assert.equal(error.code, Code.OutOfRange);
        await tailsOpen(served, 0);
      });

      test("the read mode, the staleness and the seen offset are passed to the log", async () => {
        await using served = await open();
        await served.client.produce({ record: {} });
        const asked: unknown[] = [];
        const read = served.log.read.bind(served.log);
        served.log.read = (offset: number, freshness?: Freshness) => {
          const { mode, seenOffset, maxStalenessMs } = freshness ?? {};
          asked.push({ mode, seenOffset, maxStalenessMs });
          return read(offset);
        };
        await served.client.consume({ readMode: ReadMode.LINEARIZABLE });
        await served.client.consume({ readMode: ReadMode.BOUNDED, maxStalenessMs: 7 });
        await served.client.consume({ seenOffset: 12n });
        await served.client.consume({ readMode: ReadMode.ANY });
        assert.deepEqual(asked, [
          { mode: "linearizable", seenOffset: undefined, maxStalenessMs: undefined },
          { mode: "bounded", seenOffset: undefined, maxStalenessMs: 7 },
          { mode: "session", seenOffset: 12, maxStalenessMs: undefined },
          { mode: "any", seenOffset: undefined, maxStalenessMs: undefined },
        ]);
        const { error } = await failing(() => served.client.consume({ readMode: 99 as ReadMode }));
        assert.equal(error.code, Code.InvalidArgument);
      });

      test("ConsumeBatches sends stored batches from the one that holds the offset", async () => {
        await using served = await open();
        for (let batch = 0; batch < 4; batch++) {
          await served.client.produceBatch({ records: [{ value: bytes("a") }, { value: bytes("b") }] });
        }
        const batches = await collect(served.client.consumeBatches({ offset: 3n, stopAtEnd: true }));
        assert.deepEqual(
          batches.map(({ baseOffset, recordCount, records }) => [baseOffset, recordCount, records.length]),
          [
            [2n, 2, 2],
            [4n, 2, 2],
            [6n, 2, 2],
          ],
        );
        assert.notEqual(batches[0]?.crc32, 0);
        assert.equal((await collect(served.client.consumeBatches({ maxRecords: 3n }))).length, 2);
        assert.equal((await collect(served.client.consumeBatches({ endOffset: 4n }))).length, 2);
      });

      test("Trim raises the lowest offset, and reads below it are out_of_range", async () => {
        await using served = await open();
        await served.client.produceBatch({ records: [{}, {}, {}, {}] });
        assert.equal((await served.client.trim({ beforeOffset: 2n })).lowestOffset, 2n);
        assert.equal((await served.client.trim({ beforeOffset: 1n })).lowestOffset, 2n);
        const { fault } = await failing(() => served.client.consume({ offset: 1n }));
        assert.equal(fault.facts["lowest"], 2);
        const stream = await failing(() => collect(served.client.consumeStream({ offset: 1n })));
        assert.equal(stream.error.code, Code.OutOfRange);
      });

      test("Describe, GetServers and Watch report the log and the cluster", async () => {
        await using served = await open();
        await served.client.produceBatch({ records: [{}, {}] });
        const description = await served.client.describe({});
        assert.deepEqual([description.lowestOffset, description.nextOffset], [0n, 2n]);
        assert.deepEqual(
          [description.nodeId, description.clusterId, description.sync],
          ["test", "c", "always"],
        );
        const { servers } = await served.client.getServers({});
        assert.deepEqual(
          servers.map(({ id, isLeader, role, lastOffset }) => [id, isLeader, role, lastOffset]),
          [["test", true, "leader", 1n]],
        );
        const stop = new AbortController();
        const seen = new Set<WatchEvent["event"]["case"]>();
        let recordsIn = 0n;
        const { error } = await failing(async () => {
          for await (const { event } of served.client.watch({ intervalMs: 100 }, { signal: stop.signal })) {
            if (event.case === "segments") await served.client.produceBatch({ records: [{}, {}, {}] });
            seen.add(event.case);
            if (event.case !== "throughput") continue;
            recordsIn += event.value.recordsIn;
            if (event.value.nextOffset === 5n) stop.abort();
          }
        });
        assert.equal(error.code, Code.Canceled);
        assert.deepEqual([...seen], ["cluster", "segments", "throughput"]);
        assert.equal(recordsIn, 3n);
        const fast = await failing(() => collect(served.client.watch({ intervalMs: 1 })));
        assert.equal(fast.error.code, Code.InvalidArgument);
      });

      test("a server that stops ends its streams with unavailable", async () => {
        await using served = await open();
        const tail = failing(() => collect(served.client.consumeStream({})));
        await tailsOpen(served, 1);
        served.service.drain();
        const { error, fault } = await tail;
        assert.equal(error.code, Code.Unavailable);
        assert.equal(fault.written, "no");
      });
    });
  }
}

test("a Connect GET request reads a record", async () => {
  await using served = await serve();
  await curl(served.url, { method: "POST", body: '{"record":{"value":"YQ=="}}' });
  const query = `encoding=json&message=${encodeURIComponent('{"offset":"0"}')}`;
  const answer = await curl(`${served.url}/log.v1.Log/Consume?${query}`);
  assert.equal(answer.status, 200);
  assert.equal((answer.json["record"] as Record<string, unknown>)["value"], "YQ==");
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.equal((await curl(`${served.url}/log.v1.Log/Produce?${query}`)).status, 405);
});

test("JSON over HTTP/1.1 includes zeros, and errors carry details", async () => {
  await using served = await serve();
  const call = (method: string, body: string, headers: Record<string, string> = {}) =>
    curl(`${served.url}/log.v1.Log/${method}`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
  const produced = await call("Produce", '{"record":{"value":"YQ=="},"unknown":1}');
  assert.deepEqual(produced.json, { offset: "0", timestampMs: String(served.log.nowMs), duplicate: false });
  const missing = await call("Consume", '{"offset":"4"}');
  assert.equal(missing.status, 400);
  assert.equal(missing.json["code"], "out_of_range");
  const [info] = missing.json["details"] as { type: string; debug: { reason: string; metadata: object } }[];
  assert.equal(info?.type, "google.rpc.ErrorInfo");
  assert.deepEqual(info.debug.metadata, { written: "no", offset: "4", lowest: "0", next: "1" });
  assert.equal((await call("Produce", '{"record":')).status, 400);
  assert.equal((await call("Produce", '{"record":{"value":"!!"}}')).status, 400);
});

test("an RPC path that does not exist is refused in the protocol of the client", async () => {
  await using served = await serve();
  const nowhere = await curl(`${served.url}/log.v1.Log/Nope`, { method: "POST" });
  assert.equal(nowhere.status, 404);
  assert.match(String(nowhere.json["message"]), /no method \/log\.v1\.Log\/Nope/);
  const verb = await curl(`${served.url}/log.v1.Log/Produce`, { method: "PUT" });
  assert.deepEqual([verb.status, verb.headers["allow"]], [405, "POST"]);
  const type = await curl(`${served.url}/log.v1.Log/Produce`, { method: "POST", body: "{}" });
  assert.equal(type.status, 415);
  assert.match(String(type.json["message"]), /application\/json/);
  const bidi = await curl(`${served.url}/log.v1.Log/ProduceStream`, {
    method: "POST",
    headers: { "content-type": "application/connect+json" },
  });
  assert.equal(bidi.status, 505);
});

test("a timeout that is longer than a timer can run is ignored", async () => {
  await using served = await serve();
  const headers = { "content-type": "application/json", "connect-timeout-ms": "9999999999" };
  const answer = await curl(`${served.url}/log.v1.Log/Describe`, { method: "POST", body: "{}", headers });
  assert.equal(answer.status, 200);
});
