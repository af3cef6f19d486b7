import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { startNode, tailrace } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";

test("bench counts acknowledged records, and they are in the log", async (t) => {
  const node = await startNode(t, ["--data-dir", join(scratch(t), "d"), "--log-level", "error"]);
  const quick = [
    "--addr",
    node.addr,
    "--duration",
    "0.4",
    "--warm-up",
    "0.1",
    "--batch",
    "10",
    "--size",
    "50",
  ];
  const { status, out, err } = await tailrace([
    "bench",
    "unary",
    "batch",
    "stream",
    "consume",
    "--json",
    ...quick,
  ]);
  assert.equal(status, 0, err);
  const lines = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, number> & { workload: string; sync: unknown });
  assert.deepEqual(
    lines.map(({ workload }) => workload),
    ["unary", "batch", "stream", "consume"],
  );
  let appended = 0;
  for (const line of lines) {
    assert.equal(line.sync, "always");
    assert.ok(line["records"]! > 0);
    assert.equal(line["records_per_second"], Math.floor(line["records"]! / line["seconds"]!));
    if (line.workload !== "consume") appended += line["records"]!;
  }
  const described = await tailrace(["describe", "--json", "--addr", node.addr]);
  const next = Number((JSON.parse(described.out) as { next_offset: number }).next_offset);
  assert.ok(next >= appended, `${appended} were counted, ${next} are there`);

  await tailrace(["logs", "create", "orders", "--addr", node.addr]);
  const named = ["--log", "orders", ...quick, "--duration", "0.2"];
  const all = await tailrace(["bench", "unary", "batch", "stream", "consume", "--json", ...named]);
  assert.equal(all.status, 0, all.err);
  for (const line of all.out.trim().split("\n"))
    assert.equal((JSON.parse(line) as { log: string }).log, "orders");
  const orders = JSON.parse(
    (await tailrace(["describe", "--log", "orders", "--json", "--addr", node.addr])).out,
  ) as { next_offset: number; settings: object; closed: boolean };
  assert.ok(orders.next_offset > 0);
  assert.deepEqual([orders.settings, orders.closed], [{}, false]);
  const after = await tailrace(["describe", "--json", "--addr", node.addr]);
  assert.equal((JSON.parse(after.out) as { next_offset: number }).next_offset, next, "default got nothing");

  const shown = await tailrace(["bench", "consume", ...quick]);
  assert.match(shown.out, /^workload +in flight +records\/s.*\nconsume +- +\d+ /);
  assert.match(shown.err, /stay in the log/);
});

test("bench rejects invalid flags and an empty log", async (t) => {
  const node = await startNode(t, ["--data-dir", join(scratch(t), "d"), "--log-level", "error"]);
  const empty = await tailrace(["bench", "consume", "--addr", node.addr]);
  assert.equal(empty.status, 1);
  assert.match(empty.err, /the log is empty/);
  const wrong = await tailrace(["bench", "--size", "many", "--addr", node.addr]);
  assert.match(wrong.err, /--size must be a number/);
  assert.equal((await tailrace(["bench", "fast"])).status, 2);
  await node.kill("SIGTERM");
  assert.equal((await tailrace(["bench", "--addr", node.addr])).status, 3);
});
