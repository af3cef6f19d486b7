/** The RPCs of log.v1.Log that read behave the same in each protocol, with Connect alone and with the fast path. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import { type ConsumeResponse, ReadMode } from "../../../src/gen/log/v1/log_pb.js";
import type { Freshness } from "../../../src/types.ts";
import { bytes, collect, failing, inEachProtocol, tailsOpen, text, values } from "./rpc-protocols.ts";

inEachProtocol("reads", (open) => {
  test("an offset beyond the end is out_of_range, with lowest and next, and not written", async () => {
    await using served = await open();
    const { error, fault } = await failing(() => served.client.consume({ offset: 5n }));
    assert.equal(error.code, Code.OutOfRange);
    assert.equal(fault.kind, "out-of-range");
    assert.equal(fault.written, "no");
    assert.deepEqual(fault.facts, { offset: 5, lowest: 0, next: 0 });
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
    assert.deepEqual(await read({ start: { case: "last", value: 100n } }), ["0", "1", "2", "3", "4", "5"]);
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
    // A heartbeat can come at any time, on a busy machine also between two messages that are ready.
    const nextOther = async (): Promise<ConsumeResponse> => {
      let response = await next();
      while (response.heartbeat) response = await next();
      return response;
    };
    assert.equal(text((await nextOther()).record?.value), "old");
    const caught = await nextOther();
    assert.deepEqual([caught.caughtUp, caught.endOffset, caught.record], [true, 1n, undefined]);
    assert.equal((await next()).heartbeat, true);
    await served.client.produce({ record: { value: bytes("new") } });
    assert.equal(text((await nextOther()).record?.value), "new");
    stop.abort();
    await tailsOpen(served, 0);
    const all = await collect(served.client.consumeStream({ stopAtEnd: true, markers: true }));
    const ended = all.filter(({ heartbeat }) => !heartbeat);
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
});
