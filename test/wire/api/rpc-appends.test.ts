/** The RPCs of log.v1.Log that append behave the same in each protocol, with Connect alone and with the fast path. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import { bytes, collect, failing, inEachProtocol, text } from "./rpc-protocols.ts";

inEachProtocol("appends", (open, protocol) => {
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
});
