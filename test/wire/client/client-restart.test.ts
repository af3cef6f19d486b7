/** The client during restarts of its only server. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { type ClientProtocol, openClient, recordsOf, type Tail } from "../../../src/client/mod.ts";
import { freePort } from "../../support/process/free-port.ts";
import { startCommand, startNode } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

const protocols: readonly ClientProtocol[] = ["grpc", "grpc-web", "connect"];
const records = 1_500;

for (const name of ["default", "orders"]) {
  test(`fifty tails of ${name} see every record once, in order, and a producer appends each once, over three restarts`, async (t) => {
    const flags = [
      "--addr",
      `127.0.0.1:${await freePort()}`,
      "--data-dir",
      join(scratch(t), "d"),
      "--log-level",
      "error",
    ];
    let node = await startNode(t, flags);
    const clients = protocols.map((protocol) => openClient({ addrs: [node.addr], protocol }));
    t.after(() => {
      for (const client of clients) client[Symbol.dispose]();
    });

    const id = name === "default" ? undefined : (await clients[0]!.logs.create(name)).id;
    const logs = clients.map((client) => client.log(name, { id }));

    const follow = async (tail: Tail): Promise<string[]> => {
      const seen: string[] = [];
      while (seen.length < records) {
        const { position } = tail;
        const slice = tail.take();
        if (slice === undefined) {
          assert.equal(await tail.ready(), true);
          continue;
        }
        for (const { offset, value } of recordsOf(slice, position)) {
          assert.equal(offset, seen.length, "a gap or a duplicate");
          seen.push(Buffer.from(value).toString());
        }
      }
      tail[Symbol.dispose]();
      return seen;
    };
    const tails = Array.from({ length: 50 }, (_, at) => follow(logs[at % 3]!.follow(0)));

    const producer = logs[0]!.producer({ batchRecordsMax: 20 });
    const restarts: Readonly<Record<number, NodeJS.Signals>> = {
      300: "SIGKILL",
      700: "SIGTERM",
      1100: "SIGKILL",
    };
    const sent: Promise<{ firstOffset: number }>[] = [];
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
    let restarting: Promise<void> | undefined;
    for (let n = 0; n < records; n++) {
      const signal = restarts[n];
      if (signal !== undefined) {
        await restarting;
        restarting = (async () => {
          await node.kill(signal);
          node = await startNode(t, flags);
        })();
      }
      await producer.room(100);
      sent.push(producer.send({ value: `${n}` }));
      if (n % 10 === 0) await pause();
    }
    await restarting;
    const acked = await Promise.all(sent);
    const expected = acked.map((_, n) => n);
    assert.deepEqual(
      acked.map(({ firstOffset }) => firstOffset),
      expected,
    );
    for (const seen of await Promise.all(tails)) assert.deepEqual(seen, expected.map(String));
    assert.equal(await logs[1]!.seek({ end: true }), records);
  });
}

test("a client waits for a server that starts later, and fails if none starts", async (t) => {
  const port = await freePort();
  await using client = openClient({ addr: `127.0.0.1:${port}` });
  const late = client.commitLog.append(
    { bytes: Uint8Array.of(0x0a, 0x00), count: 1 },
    { deadlineMs: performance.now() + 300 },
  );
  await assert.rejects(late, { kind: "deadline" });
  const appending = client.producer().send({ value: "early" });
  await startNode(t, [
    "--addr",
    `127.0.0.1:${port}`,
    "--data-dir",
    join(scratch(t), "d"),
    "--log-level",
    "error",
  ]);
  assert.equal((await appending).firstOffset, 0, "the append that was given up was never sent");
});

test("the command tail continues with the next record after a restart of its node", async (t) => {
  const flags = [
    "--addr",
    `127.0.0.1:${await freePort()}`,
    "--data-dir",
    join(scratch(t), "d"),
    "--log-level",
    "error",
  ];
  let node = await startNode(t, flags);
  const append = async (value: string): Promise<void> => {
    await using client = openClient({ addr: node.addr });
    await client.producer().send({ value });
  };
  await append("one");
  const tail = startCommand([
    "consume",
    "--follow",
    "--count",
    "3",
    "--format",
    "%o %v\\n",
    "--addr",
    node.addr,
  ]);
  let out = "";
  tail.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  const end = once(tail, "close");
  t.after(() => tail.kill("SIGKILL"));
  await until("the first record is printed", () => out !== "");
  for (const [signal, value] of [
    ["SIGKILL", "two"],
    ["SIGTERM", "three"],
  ] as const) {
    await node.kill(signal);
    node = await startNode(t, flags);
    await append(value);
  }
  assert.deepEqual(await end, [0, null]);
  assert.equal(out, "0 one\n1 two\n2 three\n");
});
