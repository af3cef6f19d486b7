/** Named logs over RPC at a node that follows: changes and appends go to the leader, reads see them here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createFastPath } from "../../../src/api/mod.ts";
import { Log, Logs } from "../../../src/gen/log/v1/log_pb.js";
import { serve } from "../../support/http/serve.ts";
import { SocketCluster } from "../../support/peer/socket-cluster.ts";
import { bytes, collect, failing, values } from "./rpc-protocols.ts";

const record = (value: string) => ({ value: bytes(value) });

for (const [path, fastPath] of [
  ["reference", undefined],
  ["fast path", createFastPath],
] as const) {
  test(`a follower creates, writes, reads and deletes a log: ${path}`, async () => {
    await using cluster = await SocketCluster.open(3);
    const follower = cluster.followers(await cluster.leader())[0]!;
    const { log } = follower.up!.replica;
    await using served = await serve({
      log,
      named: log.named,
      ...(fastPath === undefined ? {} : { fastPath }),
    });
    const transport = createGrpcTransport({ baseUrl: served.url });
    const [client, logs] = [createClient(Log, transport), createClient(Logs, transport)];
    const name = "orders/eu";

    const unknown = await failing(() => client.produce({ log: name, record: record("x") }));
    assert.deepEqual([unknown.error.code, unknown.fault.facts.reason], [Code.NotFound, "NO_SUCH_LOG"]);
    const checked = await logs.createLog({ name, validateOnly: true });
    assert.deepEqual([checked.log, checked.created], [undefined, true]);
    assert.equal(
      (await failing(() => logs.getLog({ name }))).error.code,
      Code.NotFound,
      "it was only checked",
    );
    const { log: made } = await logs.createLog({ name });
    const id = { log: name, logId: made!.logId };
    const one = await client.produce({ ...id, record: record("a") });
    assert.deepEqual([one.offset, one.logId], [0n, id.logId]);
    const stream = (async function* () {
      for (const value of ["b", "c"]) yield { log: name, record: record(value) };
      yield { record: record("of default") };
    })();
    const acks = await collect(client.produceStream(stream));
    assert.deepEqual(
      acks.map((ack) => [ack.offset, ack.logId]),
      [
        [1n, id.logId],
        [2n, id.logId],
        [0n, undefined],
      ],
    );
    assert.deepEqual(values(await collect(client.consumeStream({ ...id, stopAtEnd: true }))), [
      "a",
      "b",
      "c",
    ]);
    assert.deepEqual((await client.trim({ ...id, beforeOffset: 1n })).logId, id.logId);
    const change = { name, settings: { maxBytes: 1_000_000n }, validateOnly: true };
    const { log: before } = await logs.updateLog(change);
    assert.deepEqual([before?.logId, before?.settings?.maxBytes], [id.logId, undefined]);
    const past = { name, settings: { expiresAtMs: 1n }, validateOnly: true };
    assert.equal((await failing(() => logs.updateLog(past))).fault.facts.reason, "EXPIRED");
    const { log: updated } = await logs.updateLog({ name, settings: { maxBytes: 1_000_000n } });
    assert.deepEqual([updated?.lowestOffset, updated?.settings?.maxBytes], [1n, 1_000_000n]);

    await logs.deleteLog({ name });
    assert.equal((await failing(() => client.consume({ log: name, offset: 1n }))).error.code, Code.NotFound);
    const { log: second } = await logs.createLog({ name });
    for (const call of [
      () => client.produce({ ...id, record: record("d") }),
      () => client.consume({ ...id, offset: 1n }),
      () => client.trim({ ...id, beforeOffset: 1n }),
      () => logs.deleteLog({ name, logId: id.logId }),
    ]) {
      const { error, fault } = await failing(call);
      assert.deepEqual([error.code, fault.facts.reason], [Code.FailedPrecondition, "ANOTHER_LOG"]);
    }
    assert.equal((await client.produce({ log: name, record: record("e") })).logId, second?.logId);
  });
}
