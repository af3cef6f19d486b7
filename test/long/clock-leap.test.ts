/**
 * Real processes with moved wall clocks (test/support/process/moved-clock.ts): no record is trimmed, no wait becomes shorter or
 * longer, leadership goes to a node with a correct clock, and a node reports the problem of its clock.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { openClient } from "../../src/client/mod.ts";
import { Log } from "../../src/gen/log/v1/log_pb.js";
import { startCluster } from "../chaos/started-cluster.ts";
import { curl } from "../support/http/curl.ts";
import { processWait } from "../support/process/cluster.ts";
import { MovedClock } from "../support/process/moved-clock.ts";
import { startNode } from "../support/process/process.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const hour = 3_600_000;
const day = 24 * hour;
/** More than two rounds of maintenance, which runs a second after each append. */
const maintenanceMs = 3_000;

const post = (url: string): ReturnType<typeof curl> =>
  curl(`${url}/`, { method: "POST", body: '{"record":{"value":"dg=="}}' });

/** Appends records for as long as maintenance takes to trim. The first record must be there all the time. */
async function staysWhole(url: string): Promise<void> {
  for (const until = performance.now() + maintenanceMs; performance.now() < until; ) {
    assert.equal((await post(url)).status, 200);
    assert.equal((await curl(`${url}/?offset=0`)).status, 200);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("a single node whose clock jumps stops expiry and reports it, and its waits keep their length", async (t) => {
  using scratch = scratchDirectory();
  const clock = new MovedClock(join(scratch.path, "clock"));
  const flags = [
    "--data-dir",
    join(scratch.path, "data"),
    "--retention-age",
    "1h",
    "--ops-addr",
    "127.0.0.1:0",
  ];
  const node = await startNode(t, flags, clock.environment);
  const readyz = async (): Promise<string> => (await curl(`http://${node.ops}/readyz`)).text;
  await post(node.url);
  assert.equal(await readyz(), "ok\n");
  for (const byMs of [2 * hour, -2 * hour]) {
    // Two calls wait when the clock jumps: one ends when its record arrives, one at its own timeout.
    const log = createClient(Log, createGrpcTransport({ baseUrl: node.url }));
    const next = (await log.describe({})).nextOffset;
    const waiting = log.consume({ offset: next, waitMs: 60_000 }, { timeoutMs: 60_000 });
    const began = performance.now();
    const timed = log.consume({ offset: next + 1_000n, waitMs: 60_000 }, { timeoutMs: 2_500 }).catch(() => {
      return performance.now() - began;
    });
    clock.set(byMs);
    await until(
      "readyz reports the clock",
      async () => /\[\+\]clock ok: the wall clock moved by [+-]7/.test(await readyz()),
      processWait,
    );
    await staysWhole(node.url);
    assert.equal((await waiting).record?.offset, next);
    const tookMs = await timed;
    assert.ok(typeof tookMs === "number" && tookMs > 2_000 && tookMs < 30_000, `${String(tookMs)} ms`);
    clock.set(0);
    await until("the clock is trusted again", async () => (await readyz()) === "ok\n", processWait);
  }
  assert.equal(
    node.log().match(/the wall clock moved by \+7\d+\.\d s against the monotonic clock/g)?.length,
    1,
  );
  assert.equal(
    node.log().match(/the wall clock moved by -7\d+\.\d s against the monotonic clock/g)?.length,
    1,
  );
  await staysWhole(node.url);
});

test("a leader whose clock jumps forward by a day hands over, trims no record and assigns no future timestamps", async (t) => {
  const { fleet, operator, directory } = await startCluster(t, 3, {
    flags: ["--retention-age", "1h"],
    movesClocks: true,
  });
  const urlOf = ({ addr }: { readonly addr: string }): string => `http://${addr}`;
  await post(urlOf(fleet.nodes[0]!));
  const leapt = new Set<string>();
  for (let n = 0; n < 3; n++) {
    const leader = (await operator.leader())!;
    leapt.add(leader.name);
    leader.clock.set(day);
    await until(
      "another node leads",
      async () => {
        const now = await operator.leader();
        return now !== undefined && now !== leader;
      },
      processWait,
    );
    for (const node of fleet.nodes) await staysWhole(urlOf(node));
    const log = readFileSync(join(directory, `${leader.name}.log`), "utf8");
    assert.match(
      log,
      /the clock is more than 10\.0 s off most other voters \(n\d -86400\.0 s, n\d -86400\.0 s\)/,
    );
    leader.clock.set(0);
  }
  await using client = openClient({ addrs: fleet.nodes.map(({ addr }) => addr) });
  let lastMs = 0;
  for await (const { timestampMs } of client.consume({ from: "start", until: "end" })) lastMs = timestampMs;
  assert.ok(lastMs < Date.now() + 20_000, new Date(lastMs).toISOString());
  assert.deepEqual(fleet.failures, []);
});
