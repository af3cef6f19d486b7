/** The token of a session for a named log: at a node that lags, in another life, and for a log that was created again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createFastPath } from "../../../src/api/mod.ts";
import { Log, ReadMode } from "../../../src/gen/log/v1/log_pb.js";
import { serve } from "../../support/http/serve.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { SocketCluster } from "../../support/peer/socket-cluster.ts";
import { scratchDirectory } from "../../support/scratch.ts";
import { bytes, inEachProtocol } from "./rpc-protocols.ts";

const record = (value: string) => ({ value: bytes(value) });
const log = "a";

/** "ok", or the code of the failure. */
const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "ok",
    (reason: unknown) => Code[ConnectError.from(reason).code],
  );

inEachProtocol("session tokens", (open) => {
  test("each response about a named log has a token, and a wrong one is refused at once", async () => {
    using directory = scratchDirectory();
    await using node = await openOneNode(directory.path);
    const { log: replicated } = node.replica;
    await using served = await open({ log: replicated, named: replicated.named });
    const { client, logs } = served;
    await logs.createLog({ name: log });
    const tokens: (string | undefined)[] = [
      (await client.produce({ log, record: record("1") })).token,
      (await client.produceBatch({ log, records: [record("2"), record("3")] })).token,
      (await client.consume({ log, offset: 0n })).token,
    ];
    for await (const { token } of client.produceStream(
      (async function* () {
        yield { log, record: record("4") };
      })(),
    ))
      tokens.push(token);
    for await (const { token, caughtUp } of client.consumeStream({ log, markers: true, stopAtEnd: true }))
      if (caughtUp) tokens.push(token);
    const { life } = replicated.named;
    for (const token of tokens) {
      assert.match(String(token), new RegExp(`^s${life}\\.\\d+$`));
      assert.equal(await outcome(client.consume({ log, offset: 0n, seenToken: String(token) })), "ok");
    }
    assert.equal((await client.produce({ record: record("x") })).token, undefined, "default has offsets");
    const startedMs = performance.now();
    for (const [request, code] of [
      [{ log, seenToken: `s${(life ^ 1) >>> 0}.1` }, "FailedPrecondition"],
      [{ log, seenToken: `s${life}.${Number.MAX_SAFE_INTEGER}` }, "OutOfRange"],
      [{ log, seenToken: "7" }, "InvalidArgument"],
      [{ seenToken: String(tokens[0]) }, "InvalidArgument"],
      [{ log, offset: 99n, seenToken: String(tokens[0]) }, "OutOfRange"],
    ] as const)
      assert.equal(await outcome(client.consume(request)), code, JSON.stringify(request, String));
    assert.ok(performance.now() - startedMs < 4_000, "no token is waited for");
  });
});

test("a node that lags shows what the token is about, also for a log that was created again", async () => {
  await using cluster = await SocketCluster.open(3, {});
  const leader = await cluster.leader();
  const nodes = [leader, ...cluster.followers(leader)].map(({ up }) => up!.replica.log);
  const served = await Promise.all(
    nodes.map((node) => serve({ log: node, named: node.named, fastPath: createFastPath })),
  );
  const [first, ...others] = served.map(({ url }) =>
    createClient(Log, createGrpcTransport({ baseUrl: url })),
  );
  for (let round = 0; round < 20; round++) {
    await nodes[0]!.named.change({ kind: "create", name: log, settings: {} });
    const { offset, token = "" } = await first!.produce({ log, record: record(`${round}`) });
    for (const other of others) {
      const request = { log, offset, seenToken: token, readMode: ReadMode.SESSION };
      const { record: found } = await other.consume(request);
      assert.equal(Buffer.from(found!.value).toString(), `${round}`);
    }
    await nodes[0]!.named.change({ kind: "delete", log: { name: log } });
    // The token of the old log is no place that a new one must reach.
    await nodes[0]!.named.change({ kind: "create", name: log, settings: {} });
    for (const other of others)
      assert.equal(await outcome(other.consume({ log, offset, seenToken: token })), "OutOfRange");
    await nodes[0]!.named.change({ kind: "delete", log: { name: log } });
  }
  for (const one of served) await one[Symbol.asyncDispose]();
});
