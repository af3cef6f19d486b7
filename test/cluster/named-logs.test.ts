/** Named logs through the client library, on a cluster of processes of which the leader is killed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openClient as openBrowserClient } from "../../src/client/browser.ts";
import type { TailraceClient } from "../../src/client/client.ts";
import { processWait, TestCluster } from "../support/process/cluster.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

test("a named log outlives its leader, and its objects never reach another log of the same name", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const leader = await cluster.leader();
  await using client = cluster.connect();
  const { id } = await client.logs.create("orders");
  const orders = client.log("orders");
  const producer = orders.producer({ deliveryMs: 60_000 });

  const seen: string[] = [];
  const reading = (async () => {
    for await (const { offset, value } of client.log("orders").consume({ from: 0 })) {
      assert.equal(offset, seen.length, "a gap or a duplicate");
      seen.push(Buffer.from(value).toString());
    }
  })();
  const expected = Array.from({ length: 300 }, (_, n) => `${n}`);

  await t.test("a producer and a tail continue with another leader", async () => {
    const sent: Promise<{ readonly firstOffset: number }>[] = [];
    for (const value of expected) {
      if (value === "100") await cluster.stop(leader, "SIGKILL");
      sent.push(producer.send(value));
      if (Number(value) % 20 === 0) await sent.at(-1);
    }
    const offsets = (await Promise.all(sent)).map(({ firstOffset }) => firstOffset);
    assert.deepEqual(offsets, expected.map(Number));
    await until("the tail has everything", () => seen.length === expected.length, processWait);
    assert.deepEqual(seen, expected);
    assert.notEqual((await cluster.leader()).name, leader.name);
  });

  await t.test("closing the log ends the tail", async () => {
    assert.equal((await client.logs.close("orders")).closed, true);
    await reading;
    assert.deepEqual(seen, expected);
  });

  await t.test("after a delete and a create, old objects are refused at every node", async () => {
    await client.logs.delete("orders");
    const made = await client.logs.create("orders");
    assert.notEqual(made.id, id);
    for (const node of cluster.running) {
      await using one = cluster.connect(node);
      const refused = { kind: "failed-precondition", written: "no" };
      await assert.rejects(one.log("orders", { id }).producer().send("x"), refused);
      await assert.rejects(one.log("orders", { id }).read(0), refused);
      const { firstOffset } = await one.log("orders").producer().send("new");
      const { value } = await one.log("orders").consume({ from: firstOffset, until: "end" }).next();
      assert.equal(Buffer.from(value?.value ?? []).toString(), "new");
    }
    await assert.rejects(producer.send("x"), { kind: "failed-precondition", written: "no" });
    assert.deepEqual(await client.log("orders").bounds(), { lowest: 0, next: cluster.running.length });
  });
});

test("a client reads its own writes at every node, in Node.js and in browsers", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  await using admin = cluster.connect();
  await admin.logs.create("orders");
  const leader = await cluster.leader();
  const [paused] = cluster.running.filter(({ name }) => name !== leader.name);
  const limits = { callMs: 60_000, attemptMs: 1_000 };
  const origins = cluster.running.map(({ url }) => new URL(url).origin);
  const clients: Record<string, TailraceClient> = {
    node: cluster.connect(),
    connect: openBrowserClient({ origins, limits }),
    "grpc-web": openBrowserClient({ origins, limits, protocol: "grpc-web" }),
  };
  for (const [name, client] of Object.entries(clients)) {
    const log = client.log("orders");
    for (let n = 0; n < 24; n++) {
      // Every node is asked in turn. One of them comes back from a pause, and lags then.
      if (n === 12) cluster.pauseNode(paused!);
      const { firstOffset } = await log.producer().send(`${name} ${n}`);
      if (n === 12) cluster.resumeNode(paused!);
      assert.ok((await log.bounds()).next > firstOffset, `${name} ${n}`);
      const { value } = await log.consume({ from: firstOffset, until: "end" }).next();
      assert.equal(Buffer.from(value?.value ?? []).toString(), `${name} ${n}`);
    }
    await client[Symbol.asyncDispose]();
  }
});
