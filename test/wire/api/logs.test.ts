/** Named logs over every protocol, with Connect alone and with the fast path, on a cluster of one node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import type { ServeOptions } from "../../support/http/serve.ts";
import { accessAs } from "../../support/http/serve-node.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { replaceAfterInfo, type Shown, shownBy } from "../../support/log/shown-logs.ts";
import { scratchDirectory } from "../../support/scratch.ts";
import { bytes, collect, failing, inEachProtocol, type OpenRpc, values } from "./rpc-protocols.ts";

const idPattern = /^[1-9]\d*-[1-9]\d*$/;
const record = (value: string) => ({ value: bytes(value) });

async function openNode(open: OpenRpc, options: ServeOptions = {}, shown: Shown = {}) {
  const directory = scratchDirectory();
  const node = await openOneNode(directory.path);
  const { log } = node.replica;
  const served = await open({ ...options, log, named: shownBy(log.named, shown) });
  return {
    client: served.client,
    logs: served.logs,
    named: log.named,
    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

type Node = Awaited<ReturnType<typeof openNode>>;

const read = async ({ client }: Node, log: string): Promise<string[]> =>
  values(await collect(client.consumeStream({ log, stopAtEnd: true })));

/** The code and the reason of a failure, and whether it wrote. */
async function refusal(work: () => Promise<unknown>): Promise<unknown> {
  const { error, fault } = await failing(work);
  return [Code[error.code], fault.facts.reason, fault.written];
}

async function* messages<T>(...all: T[]): AsyncGenerator<T> {
  yield* all;
}

inEachProtocol("named logs", (open) => {
  test("a log is created, and every method appends to it and reads it", async () => {
    await using node = await openNode(open);
    const { client, logs } = node;
    const { log: made, created } = await logs.createLog({ name: "orders" });
    const logId = made?.logId;
    assert.match(String(logId), idPattern);
    assert.equal(created, true);
    const log = "orders";

    const one = await client.produce({ log, record: record("a") });
    assert.deepEqual([one.offset, one.logId], [0n, logId]);
    const batch = await client.produceBatch({ log, logId, records: [record("b"), record("c")] });
    assert.deepEqual([batch.firstOffset, batch.count, batch.logId], [1n, 2, logId]);
    const streamed = await collect(
      client.produceStream(messages({ log, record: record("d") }, { log, logId, record: record("e") })),
    );
    assert.deepEqual(
      streamed.map((ack) => [ack.offset, ack.logId]),
      [
        [3n, logId],
        [4n, logId],
      ],
    );
    const bulk = await client.produceBulk(
      messages({ log, records: [record("f")] }, { log, records: [record("g")] }),
    );
    assert.deepEqual([bulk.firstOffset, bulk.nextOffset, bulk.records, bulk.logId], [5n, 7n, 2n, logId]);

    const found = await client.consume({ log, offset: 1n });
    assert.deepEqual(
      [String(Buffer.from(found.record?.value ?? [])), found.record?.offset, found.logId],
      ["b", 1n, logId],
    );
    const all = await collect(client.consumeStream({ log, logId, stopAtEnd: true, markers: true }));
    assert.deepEqual(values(all), [..."abcdefg"]);
    assert.deepEqual(new Set(all.map((response) => response.logId)), new Set([logId]));
    const batches = await collect(client.consumeBatches({ log, stopAtEnd: true }));
    assert.equal(batches.flatMap(({ records }) => records).length, 7);
    assert.deepEqual(new Set(batches.map(({ groupId }) => groupId)), new Set([Number(logId?.split("-")[1])]));

    const trimmed = await client.trim({ log, logId, beforeOffset: 2n });
    assert.deepEqual([trimmed.lowestOffset, trimmed.logId], [2n, logId]);
    const described = await client.describe({ log });
    assert.deepEqual([described.lowestOffset, described.nextOffset, described.logId], [2n, 7n, logId]);
    assert.deepEqual(await read(node, "default"), [], "the log default has none of it");
  });

  test("a tail of a log waits for its records, and ends when the log is closed", async () => {
    await using node = await openNode(open);
    const { client, logs } = node;
    for (const name of ["one", "other"]) await logs.createLog({ name });
    const tail = client.consumeStream({ log: "one", fromEnd: true } as object)[Symbol.asyncIterator]();
    const next = tail.next();
    await client.produce({ log: "other", record: record("x") });
    await client.produce({ record: record("y") });
    await client.produce({ log: "one", record: record("z") });
    assert.equal(String(Buffer.from((await next).value.record.value)), "z");
    const waiting = client.consume({ log: "one", offset: 1n, waitMs: 60_000 });
    await client.produce({ log: "one", record: record("w") });
    assert.equal((await waiting).record?.offset, 1n);
    assert.equal((await tail.next()).value.record.offset, 1n);
    const { log: closed } = await logs.closeLog({ name: "one" });
    assert.equal(closed?.closed, true);
    assert.equal((await tail.next()).done, true);
    assert.deepEqual(await refusal(() => client.produce({ log: "one", record: record("v") })), [
      "FailedPrecondition",
      "LOG_CLOSED",
      "no",
    ]);
    assert.deepEqual(await read(node, "one"), ["z", "w"]);
  });

  test("each message of a stream names its own log, and an empty name is default", async () => {
    await using node = await openNode(open);
    const { client, logs } = node;
    const { log: a } = await logs.createLog({ name: "a" });
    const { log: b } = await logs.createLog({ name: "b" });
    const acks = await collect(
      client.produceStream(
        messages(
          { log: "a", record: record("1") },
          { log: "a", record: record("2") },
          { log: "b", record: record("3") },
          { record: record("4") },
          { log: "default", record: record("5") },
          { log: "a", record: record("6"), expectedOffset: 2n },
        ),
      ),
    );
    assert.deepEqual(
      acks.map(({ offset, logId }) => [offset, logId]),
      [
        [0n, a?.logId],
        [1n, a?.logId],
        [0n, b?.logId],
        [0n, undefined],
        [1n, undefined],
        [2n, a?.logId],
      ],
    );
    const bulk = await client.produceBulk(
      messages({ log: "b", records: [record("7")] }, { records: [record("8"), record("9")] }),
    );
    assert.deepEqual(
      [bulk.records, bulk.batches, bulk.firstOffset, bulk.nextOffset, bulk.logId],
      [3n, 2n, 0n, 0n, undefined],
    );
    assert.deepEqual(await read(node, "a"), ["1", "2", "6"]);
    assert.deepEqual(await read(node, "b"), ["3", "7"]);
    assert.deepEqual(await read(node, ""), ["4", "5", "8", "9"]);
  });

  test("a stream that names a log that is not there ends after the acknowledgements before it", async () => {
    await using node = await openNode(open);
    const { client, logs } = node;
    await logs.createLog({ name: "a" });
    const acks: bigint[] = [];
    const { error, fault } = await failing(async () => {
      const stream = client.produceStream(
        messages({ log: "a", record: record("1") }, { log: "gone", record: record("2") }),
      );
      for await (const { offset } of stream) acks.push(offset);
    });
    assert.deepEqual([acks, error.code, fault.facts.reason], [[0n], Code.NotFound, "NO_SUCH_LOG"]);
    assert.equal(fault.facts.records_before, 1);
  });

  test("a name means the same log until the end of a stream", async () => {
    await using node = await openNode(open);
    const { client, logs } = node;
    const log = "a";
    await logs.createLog({ name: log });
    const again = Promise.withResolvers<void>();
    const sent = (async function* () {
      yield { log, record: record("1") };
      await again.promise;
      yield { log, record: record("2") };
    })();
    const { error, fault } = await failing(async () => {
      for await (const { offset } of client.produceStream(sent)) {
        assert.equal(offset, 0n);
        await logs.deleteLog({ name: log });
        await logs.createLog({ name: log });
        again.resolve();
      }
    });
    assert.deepEqual([error.code, fault.facts.reason], [Code.FailedPrecondition, "ANOTHER_LOG"]);
    assert.deepEqual(await read(node, log), []);
  });

  test("a read by name that finds its log deleted and created again is not found", async () => {
    const shown: Shown = {};
    await using node = await openNode(open, {}, shown);
    const { client, logs, named } = node;
    const log = "orders";
    await logs.createLog({ name: log });
    for (const [method, call] of Object.entries({
      consume: () => client.consume({ log }),
      consumeLater: () => client.consume({ log, offset: 1n, waitMs: 5_000 }),
      consumeStream: () => collect(client.consumeStream({ log })),
      consumeBatches: () => collect(client.consumeBatches({ log })),
    })) {
      await client.produce({ log, record: record("old") });
      replaceAfterInfo(named, shown, log);
      assert.deepEqual(await refusal(call), ["NotFound", "NO_SUCH_LOG", "no"], method);
      assert.equal(shown.after, undefined, method);
    }
  });

  test("an unknown log is not found, and the refusal says how to create it", async () => {
    await using node = await openNode(open);
    const { client, logs } = node;
    const log = "gone";
    const calls: Record<string, () => Promise<unknown>> = {
      produce: () => client.produce({ log, record: record("a") }),
      produceBatch: () => client.produceBatch({ log, records: [record("a")] }),
      produceBulk: () => client.produceBulk(messages({ log, records: [record("a")] })),
      consume: () => client.consume({ log }),
      consumeStream: () => collect(client.consumeStream({ log })),
      consumeBatches: () => collect(client.consumeBatches({ log })),
      trim: () => client.trim({ log }),
      describe: () => client.describe({ log }),
      getLog: () => logs.getLog({ name: log }),
      updateLog: () => logs.updateLog({ name: log, settings: { maxBytes: 1n } }),
      closeLog: () => logs.closeLog({ name: log }),
      deleteLog: () => logs.deleteLog({ name: log }),
    };
    for (const [method, call] of Object.entries(calls)) {
      const { error, fault } = await failing(call);
      assert.deepEqual(
        [Code[error.code], fault.facts.reason, fault.written],
        ["NotFound", "NO_SUCH_LOG", "no"],
        method,
      );
      assert.match(fault.message, /tailrace logs create 'gone'/, method);
    }
  });

  test("a stated id must be that of the log, also after the name was given again", async () => {
    await using node = await openNode(open);
    const { client, logs } = node;
    const log = "orders";
    const { log: first } = await logs.createLog({ name: log });
    await client.produce({ log, record: record("old") });
    await logs.deleteLog({ name: log, ...idOf(first) });
    const { log: second } = await logs.createLog({ name: log });
    assert.notEqual(second?.logId, first?.logId);
    const [life, number] = String(second?.logId).split("-");
    const ids = {
      "the old id": [first?.logId, "ANOTHER_LOG"],
      "another life": [`${Number(life) - 1}-${number}`, "ANOTHER_LIFE"],
    } as const;
    for (const [what, [id, reason]] of Object.entries(ids)) {
      const logId = id as string;
      for (const [method, call] of Object.entries({
        produce: () => client.produce({ log, logId, record: record("a") }),
        produceBatch: () => client.produceBatch({ log, logId, records: [record("a")] }),
        produceStream: () => collect(client.produceStream(messages({ log, logId, record: record("a") }))),
        produceBulk: () => client.produceBulk(messages({ log, logId, records: [record("a")] })),
        consume: () => client.consume({ log, logId }),
        consumeStream: () => collect(client.consumeStream({ log, logId })),
        consumeBatches: () => collect(client.consumeBatches({ log, logId })),
        trim: () => client.trim({ log, logId }),
        describe: () => client.describe({ log, logId }),
        getLog: () => logs.getLog({ name: log, logId }),
        updateLog: () => logs.updateLog({ name: log, logId, settings: { maxBytes: 1n } }),
        closeLog: () => logs.closeLog({ name: log, logId }),
        deleteLog: () => logs.deleteLog({ name: log, logId }),
      })) {
        assert.deepEqual(await refusal(call), ["FailedPrecondition", reason, "no"], `${method}, ${what}`);
      }
    }
    assert.equal(
      ((await refusal(() => client.produce({ log, logId: "x", record: record("a") }))) as string[])[0],
      "InvalidArgument",
    );
    assert.equal(
      ((await refusal(() => client.describe({ logId: `${life}-1` }))) as string[])[0],
      "FailedPrecondition",
    );
    assert.equal((await client.describe({ logId: `${life}-0` })).logId, undefined);
    await client.produce({ log, record: record("new"), ...idOf(second) });
    assert.deepEqual(await read(node, log), ["new"]);
  });

  test("names with slashes, spaces and emoji are names, and others are refused", async () => {
    await using node = await openNode(open);
    const { client, logs } = node;
    const names = ["a b", "größe", "orders/eu/1", "🦀/🦐"];
    for (const name of names) {
      await logs.createLog({ name });
      assert.equal((await client.produce({ log: name, record: record(name) })).offset, 0n);
      assert.deepEqual(await read(node, name), [name]);
    }
    assert.deepEqual(
      (await logs.listLogs({})).logs.map(({ name }) => name),
      names,
    );
    for (const name of ["a*", "/a", "a//b", "..", "_a", "cafe\u0301", "a\n", "x".repeat(256)]) {
      for (const call of [
        () => logs.createLog({ name }),
        () => client.produce({ log: name, record: record("a") }),
        () => client.consume({ log: name }),
      ]) {
        assert.deepEqual(await refusal(call), ["InvalidArgument", undefined, "no"], name);
      }
    }
    for (const name of ["", "default"]) {
      for (const call of [() => logs.createLog({ name }), () => logs.deleteLog({ name })])
        assert.equal(((await refusal(call)) as string[])[0], "InvalidArgument", name);
    }
  });

  test("settings are stated at creation and changed by a mask, and appends keep to them", async () => {
    await using node = await openNode(open);
    const { client, logs } = node;
    const name = "small";
    const settings = { maxBytes: 10_000n, recordBytesMax: 20n, contentType: "text/plain" };
    await logs.createLog({ name, settings });
    assert.deepEqual(await settingsOf(node, name), settings);
    assert.equal(
      ((await refusal(() => client.produce({ log: name, record: record("x".repeat(30)) }))) as string[])[0],
      "ResourceExhausted",
    );
    await logs.updateLog({ name, settings: { recordBytesMax: 40n } });
    assert.deepEqual(await settingsOf(node, name), { ...settings, recordBytesMax: 40n });
    await client.produce({ log: name, record: record("x".repeat(30)) });
    const { log: changed } = await logs.updateLog({
      name,
      settings: { maxBytes: 1n },
      updateMask: { paths: ["max_bytes", "content_type"] },
    });
    assert.equal(changed?.settings?.maxBytes, 1n);
    assert.deepEqual(await settingsOf(node, name), { maxBytes: 1n, recordBytesMax: 40n });
    assert.deepEqual(await refusal(() => client.produce({ log: name, record: record("y") })), [
      "FailedPrecondition",
      "LOG_FULL",
      "no",
    ]);
    for (const call of [
      () => logs.updateLog({ name, updateMask: { paths: ["retention"] } }),
      () => logs.updateLog({ name, settings: { maxBytes: 2n }, updateMask: { paths: ["content_type"] } }),
      () => logs.updateLog({ name, settings: { maxBytes: 0n } }),
      () => logs.createLog({ name: "b", settings: { contentType: "a\r\nb" } }),
    ]) {
      assert.equal(((await refusal(call)) as string[])[0], "InvalidArgument");
    }
  });

  test("a log that exists is created again only if the request allows it and states the same settings", async () => {
    await using node = await openNode(open);
    const { logs } = node;
    const name = "a";
    const first = await logs.createLog({
      name,
      settings: { maxBytes: 9n, contentType: "text/plain" },
      ifNotExists: true,
    });
    assert.equal(first.created, true);
    for (const settings of [{}, { maxBytes: 9n }, { maxBytes: 9n, contentType: "text/plain" }]) {
      const again = await logs.createLog({ name, settings, ifNotExists: true });
      assert.deepEqual([again.created, again.log?.logId], [false, first.log?.logId]);
    }
    for (const request of [
      { name },
      { name, settings: { maxBytes: 9n, contentType: "text/plain" } },
      { name, settings: { maxBytes: 8n }, ifNotExists: true },
    ]) {
      assert.deepEqual(await refusal(() => logs.createLog(request)), ["AlreadyExists", undefined, "no"]);
    }
  });

  test("logs are listed by prefix, a page at a time, in the order of their bytes", async () => {
    await using node = await openNode(open);
    const { logs } = node;
    const names = ["a", "b/1", "b/2", "b/\uffee", "b/🦀", "c"];
    for (const name of [...names].reverse()) await logs.createLog({ name });
    const pages: string[][] = [];
    let after = "";
    do {
      const page = await logs.listLogs({ prefix: "b/", after, limit: 3 });
      pages.push(page.logs.map(({ name }) => name));
      after = page.next;
    } while (after !== "");
    assert.deepEqual(pages, [["b/1", "b/2", "b/\uffee"], ["b/🦀"]]);
    assert.deepEqual(
      (await logs.listLogs({})).logs.map(({ name }) => name),
      names,
    );
    assert.equal(((await refusal(() => logs.listLogs({ limit: 257 }))) as string[])[0], "InvalidArgument");
  });

  test("the log default has a description, and its responses have no id", async () => {
    await using node = await openNode(open);
    const { client, logs } = node;
    assert.equal((await client.produce({ log: "default", record: record("a") })).logId, undefined);
    assert.equal((await client.consume({})).logId, undefined);
    assert.equal((await client.trim({})).logId, undefined);
    const { log } = await logs.getLog({ name: "default" });
    assert.deepEqual([log?.name, log?.nextOffset, log?.logId], ["default", 1n, ""]);
  });

  test("a caller does only what the policy says about a log, and learns nothing of others", async () => {
    const policy = `p, ann, orders/*, produce
      p, ann, orders/*, describe
      p, bob, orders/eu, consume
      p, eve, *, produce
      p, max, orders/*, create
      p, max, orders/*, delete
      p, max, orders/*, configure`;
    let subject = "max";
    await using node = await openNode(open, { access: await accessAs(policy, () => subject) });
    const { client, logs } = node;
    const log = "orders/eu";
    const { log: made } = await logs.createLog({ name: log });
    assert.deepEqual([made?.name, made?.version], [log, 0n], "max may not describe it");
    const denied = ["PermissionDenied", undefined, "no"];
    const calls: Record<string, (log: string) => Promise<unknown>> = {
      produce: (log) => client.produce({ log, record: record("a") }),
      produceBatch: (log) => client.produceBatch({ log, records: [record("a")] }),
      produceStream: (log) => collect(client.produceStream(messages({ log, record: record("a") }))),
      produceBulk: (log) => client.produceBulk(messages({ log, records: [record("a")] })),
      consume: (log) => client.consume({ log }),
      consumeStream: (log) => collect(client.consumeStream({ log, stopAtEnd: true })),
      consumeBatches: (log) => collect(client.consumeBatches({ log, stopAtEnd: true })),
      describe: (log) => client.describe({ log }),
      trim: (log) => client.trim({ log }),
      getLog: (log) => logs.getLog({ name: log }),
      updateLog: (log) => logs.updateLog({ name: log, settings: { maxBytes: 1_000_000n } }),
    };
    const may: Record<string, readonly string[]> = {
      ann: ["produce", "produceBatch", "produceStream", "produceBulk", "describe", "getLog"],
      bob: ["consume", "consumeStream", "consumeBatches"],
      eve: ["produce", "produceBatch", "produceStream", "produceBulk"],
      max: ["updateLog"],
      zoe: [],
    };
    for (const who of Object.keys(may)) {
      subject = who;
      for (const [method, call] of Object.entries(calls)) {
        const what = `${who} ${method}`;
        if (may[who]?.includes(method) === true) await call(log);
        else assert.deepEqual(await refusal(() => call(log)), denied, what);
        if (who === "eve" && may["eve"]?.includes(method) === true) continue;
        // Whether another log exists is not told to a caller without the action on it.
        for (const another of ["other", "default"])
          if (method !== "updateLog" || another === "other")
            assert.deepEqual(await refusal(() => call(another)), denied, `${what} ${another}`);
      }
    }
    subject = "ann";
    const mixed = client.produceStream(messages({ log, record: record("b") }, { record: record("c") }));
    assert.equal(((await refusal(() => collect(mixed))) as string[])[0], "PermissionDenied");
    assert.deepEqual(
      await refusal(() => client.produceBulk(messages())),
      denied,
      "a stream without messages is about default",
    );
    assert.deepEqual(
      (await logs.listLogs({})).logs.map(({ name }) => name),
      [log],
    );
    subject = "zoe";
    assert.deepEqual(await refusal(() => logs.listLogs({})), denied);
    subject = "max";
    assert.deepEqual(await refusal(() => logs.createLog({ name: "other" })), denied);
    await logs.deleteLog({ name: log });
  });
});

const idOf = (log: { readonly logId: string } | undefined): { logId?: string } =>
  log === undefined ? {} : { logId: log.logId };

async function settingsOf({ logs }: Node, name: string): Promise<object> {
  const { $typeName: _, ...settings } = (await logs.getLog({ name })).log!.settings!;
  return settings;
}
