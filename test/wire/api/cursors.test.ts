/** Cursors over every protocol, with Connect alone and with the fast path, on a cluster of one node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Code } from "@connectrpc/connect";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { scratchDirectory } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";
import { bytes, collect, failing, inEachProtocol, type RpcClients } from "./rpc-protocols.ts";

/** Describe lists the cursor, and the tails of the log while they run. */
async function describesReaders({ client, logs }: Pick<RpcClients, "client" | "logs">): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  const tails = [
    collect(client.consumeStream({ log: "a", offset: 2n }, { signal })),
    collect(client.consumeBatches({ log: "a", offset: 3n }, { signal })),
    collect(logs.tailLogs({ prefix: "" }, { signal })),
    collect(client.consumeStream({}, { signal })),
  ].map((tail) => tail.catch(() => undefined));
  const tailsOf = (log: string) =>
    client.describe({ log }).then(({ tails: found }) => found.map(({ method, lag }) => [method, lag]));
  const ofA = [
    ["log.v1.Log/ConsumeBatches", 0n],
    ["log.v1.Log/ConsumeStream", 0n],
    ["log.v1.Logs/TailLogs", undefined],
  ];
  await until("the tails run", async () => isDeepStrictEqual((await tailsOf("a")).sort(), ofA));
  assert.deepEqual(await tailsOf(""), [["log.v1.Log/ConsumeStream", 0n]]);
  const found = await client.describe({ log: "a" });
  assert.deepEqual(
    [found.cursors.map(({ name, lag }) => [name, lag]), found.cursorCount, found.tailCount],
    [[["c", 1n]], 1n, 3n],
  );
  assert.equal(found.tails[0]?.subject, "local");
  ended.abort();
  await Promise.all(tails);
  await until("no tail runs", async () => (await tailsOf("a")).length === 0);
}

inEachProtocol("cursors", (open) => {
  test("a cursor is committed, read, compared, listed and deleted", async () => {
    using directory = scratchDirectory();
    await using node = await openOneNode(directory.path);
    const { log } = node.replica;
    await using served = await open({ log, named: log.named });
    const { client, logs, cursors } = served;
    await logs.createLog({ name: "a" });
    for (const value of ["x", "y", "z"]) await client.produce({ log: "a", record: { value: bytes(value) } });

    const first = await cursors.commit({
      log: "a",
      name: "c",
      offset: 1n,
      metadata: "m",
      expectedVersion: 0n,
    });
    assert.deepEqual([first.created, first.cursor?.offset, first.cursor?.metadata], [true, 1n, "m"]);
    assert.match(String(first.logId), /^\d+-1$/);
    const { version } = first.cursor!;
    const { logId } = first;
    const second = await cursors.commit({ log: "a", logId, name: "c", offset: 2n, expectedVersion: version });
    assert.deepEqual([second.created, second.cursor?.offset, second.cursor?.metadata], [false, 2n, ""]);
    const { error, fault } = await failing(() =>
      cursors.commit({ log: "a", name: "c", offset: 3n, expectedVersion: version }),
    );
    assert.equal(error.code, Code.FailedPrecondition);
    const { reason, found, offset } = fault.facts as Record<string, unknown>;
    assert.deepEqual(
      [reason, String(found), String(offset), fault.written],
      ["CURSOR_VERSION_MISMATCH", String(second.cursor?.version), "2", "no"],
    );
    const got = await cursors.get({ log: "a", name: "c" });
    assert.deepEqual([got.cursor?.offset, got.cursor?.lag, got.nextOffset, got.logId], [2n, 1n, 3n, logId]);
    assert.equal(got.cursor?.version, second.cursor?.version);
    assert.equal((await failing(() => cursors.get({ name: "c" }))).fault.facts.reason, "NO_SUCH_CURSOR");
    assert.equal(
      (await failing(() => cursors.commit({ log: "a", name: "c", offset: 4n }))).error.code,
      Code.OutOfRange,
    );
    for (const name of ["", "a*", "x".repeat(201)])
      assert.equal(
        (await failing(() => cursors.commit({ log: "a", name }))).error.code,
        Code.InvalidArgument,
      );
    await cursors.commit({ name: "c" });
    const page = await cursors.list({ log: "a" });
    assert.deepEqual([page.cursors.map(({ name, lag }) => [name, lag]), page.next], [[["c", 1n]], ""]);
    await describesReaders({ client, logs });
    await cursors.delete({ log: "a", name: "c", expectedVersion: got.cursor!.version });
    assert.deepEqual((await cursors.list({ log: "a" })).cursors, []);
    assert.equal((await cursors.list({})).cursors.length, 1);
  });
});
