/** The client of a subject that may do one thing with a named log, against a node with a policy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openClient, type TailraceClient } from "../../../src/client/mod.ts";
import { accessAs, serveNode } from "../../support/http/serve-node.ts";
import { tailrace } from "../../support/process/process.ts";

const policy = `p, writer, orders, produce
p, reader, orders, consume
p, remover, orders, delete
p, remover, orders, configure
p, admin, *, create
p, admin, *, describe
`;

async function withNode(
  work: (client: TailraceClient, become: (subject: string) => void) => Promise<void>,
): Promise<void> {
  let subject = "admin";
  await using node = await serveNode({ access: await accessAs(policy, () => subject) });
  await using client = openClient({ addr: `127.0.0.1:${node.served.port}` });
  await client.logs.create("orders");
  await work(client, (next) => {
    subject = next;
  });
}

const denied = { kind: "permission-denied", written: "no" };

test("a subject with only produce appends, and learns the id from the response", async () => {
  await withNode(async (client, become) => {
    become("writer");
    const orders = client.log("orders");
    const producer = orders.producer();
    assert.equal((await producer.send("a")).firstOffset, 0);
    assert.match(String(orders.id), /^\d+-\d+$/);
    assert.equal((await producer.send("b")).firstOffset, 1);
    const streamed = client.log("orders");
    for await (const { firstOffset } of streamed.produceStream(["c"])) assert.equal(firstOffset, 2);
    assert.equal(streamed.id, orders.id);
    await assert.rejects(orders.read(0), denied);
    await assert.rejects(client.log("orders").read(0), denied);
    await assert.rejects(client.log("other").append({ bytes: new Uint8Array([10, 0]), count: 1 }), denied);
  });
});

test("a subject with only consume reads, follows, and sees the end of a closed log", async () => {
  await withNode(async (client, become) => {
    become("writer");
    await client.log("orders").producer().send("a");
    become("reader");
    const orders = client.log("orders");
    using tail = orders.follow(0);
    assert.equal(await tail.ready(), true);
    assert.match(String(orders.id), /^\d+-\d+$/);
    assert.equal(tail.take()?.nextOffset, 1);
    assert.equal(await orders.seek({ end: true }), 1);
    await assert.rejects(client.log("other").read(0), denied, "it does not learn that there is none");
    const ready = tail.ready();
    become("remover");
    await client.logs.close("orders");
    become("reader");
    assert.equal(await ready, false);
  });
});

test("a subject with only delete deletes", async () => {
  await withNode(async (client, become) => {
    become("remover");
    await client.logs.delete("orders");
    become("admin");
    await assert.rejects(client.logs.get("orders"), { kind: "not-found" });
  });
});

test("whoami lists the logs on which a subject may do something, by RPC and on the command line", async () => {
  let subject = "alice";
  const rules =
    "p, alice, orders/*, consume\np, alice, news, consume\np, alice, *, describe\np, carol, news, consume\n";
  await using node = await serveNode({ access: await accessAs(rules, () => subject) });
  const addr = `127.0.0.1:${node.served.port}`;
  await using client = openClient({ addr });
  const listed = async () =>
    (await client.rpc.cluster.whoAmI({})).logs.map(({ action, logs, more }) => [action, logs, more]);
  assert.deepEqual(await listed(), [
    ["consume", ["news", "orders/*"], false],
    ["describe", ["*"], false],
  ]);
  const { out } = await tailrace(["whoami", "--addr", addr]);
  assert.match(out, /^[^\n]+\n {2}consume on news, orders\/\*\n$/);
  subject = "bob";
  assert.deepEqual(await listed(), []);
  assert.equal((await tailrace(["whoami", "--addr", addr])).out, "local: nothing\n");
  subject = "carol";
  assert.equal((await tailrace(["whoami", "--addr", addr])).out, "local: only\n  consume on news\n");
});
