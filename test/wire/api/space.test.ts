/** What removed records hold of the disk, by RPC, over HTTP and on the command line. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openClient } from "../../../src/client/mod.ts";
import { serve } from "../../support/http/serve.ts";
import { accessAs } from "../../support/http/serve-node.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { fill } from "../../support/log/settling-log.ts";
import { tailrace } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

test("Describe, GET and the command line say what removed records hold, with the logs that a caller may know", async (t) => {
  const settings = { segmentStoreBytesMax: 6_000 };
  const counting = { countSpace: true, settlePace: { firstPassMs: 0, restMs: 1, nextPassMs: 20 } };
  await using node = await openOneNode(scratch(t), settings, counting);
  await fill(node, ["keep", "gone", "secret"], 20);
  await node.trim(20, { log: { name: "gone" } });
  await node.trim(15, { log: { name: "secret" } });
  const { settler } = node.storedLog;
  // An idle log is not counted again.
  const isCounted = () => settler?.space?.removed.length === 2 && settler.space.ageMs > 500;
  await until("both trims are counted", isCounted);
  const { ageMs: _, ...space } = settler!.space!;
  let subject = "admin";
  const policy = "p, admin, *, describe\np, one, keep, describe\np, one, gone, describe\n";
  const { log } = node.replica;
  const access = await accessAs(policy, () => subject);
  await using served = await serve({ log, named: log.named, access });
  await using client = openClient({ addr: `127.0.0.1:${served.port}` });
  const { ageMs, ...found } = (await client.log("default").describe()).space!;
  assert.deepEqual(found, space);
  assert.ok(ageMs >= 0);
  assert.deepEqual(
    space.removed.map(({ name }) => name),
    ["gone", "secret"],
  );
  assert.deepEqual(space.keeping[0], { name: "keep", bytes: space.removedBytes });
  const described = (await (await fetch(`${served.url}/logs/default`)).json()) as {
    space: { age_ms: number };
  };
  const { age_ms, ...json } = described.space;
  assert.ok(age_ms >= 0);
  assert.deepEqual(json, {
    ...{ bytes: space.bytes, removed_bytes: space.removedBytes, deleted_bytes: 0 },
    reclaimable_bytes: space.reclaimableBytes,
    ...{ removed: space.removed, keeping: space.keeping },
  });
  const { out, err } = await tailrace(["describe", "--addr", `127.0.0.1:${served.port}`]);
  assert.match(
    out,
    /^removed {2}\d+\.\d KiB of \d+\.\d KiB, settling can give \d+\.\d KiB back: gone \d+\.\d KiB, secret \d+\.\d KiB$/m,
    err,
  );
  assert.match(out, /^kept by {2}keep \d+\.\d KiB(, secret \d+\.\d KiB)?$/m);
  subject = "one";
  const seen = (await client.log("keep").describe()).space!;
  assert.equal(seen.removedBytes, space.removedBytes);
  assert.deepEqual(
    [...seen.removed, ...seen.keeping].filter(({ name }) => name === "secret"),
    [],
  );
  assert.deepEqual(seen.removed[0], space.removed[0]);
});
