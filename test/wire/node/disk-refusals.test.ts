/**
 * A process without free file descriptors: appends that need a new segment are refused as not written, reads continue or are
 * refused, /readyz says why, and the node recovers when descriptors are free again.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { processWait } from "../../support/process/cluster.ts";
import { startNode } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One connection that stays open, because there will be no descriptor for another. */
function caller(address: string): (method: string, path: string, body?: string) => Promise<Answer> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const sent = request(`http://${address}${path}`, { method, agent }, (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => (text += chunk));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
      });
      sent.on("error", reject);
      sent.end(body);
    });
}

const value = (n: number): string => `${n} ${"x".repeat(500)}`;
const append = (n: number): string =>
  JSON.stringify({ record: { value: Buffer.from(value(n)).toString("base64") } });

test("without a descriptor for a new segment an append is refused as not written, and accepted when one is free", {
  skip: process.platform === "linux" ? false : "prlimit(1) and /proc are Linux's",
}, async (t) => {
  const directory = join(scratch(t), "data");
  const node = await startNode(t, ["--data-dir", directory, "--segment-store-bytes-max", "8KiB"]);
  const [main, ops] = [caller(node.addr), caller(node.ops)];
  const written: number[] = [];
  const produce = async (n: number): Promise<Answer> => {
    const answer = await main("POST", "/", append(n));
    if (answer.status === 200) written.push(n);
    return answer;
  };
  for (let n = 0; n < 40; n++) assert.equal((await produce(n)).status, 200);
  assert.equal((await ops("GET", "/readyz")).status, 200);

  const limit = (count: number | string): void => {
    const { status, stderr } = spawnSync("prlimit", ["--pid", String(node.pid), `--nofile=${count}:`]);
    assert.equal(status, 0, String(stderr));
  };
  const open = readdirSync(`/proc/${node.pid}/fd`).map(Number);
  limit(3);
  assert.ok(open.length > 3);
  const refused: Answer[] = [];
  for (let n = 40; n < 80; n++) {
    const answer = await produce(n);
    if (answer.status !== 200) refused.push(answer);
  }
  assert.ok(refused.length > 0);
  for (const { status, text } of refused) {
    assert.equal(status, 503, text);
    const { code, written: said, message } = JSON.parse(text) as Record<string, string>;
    assert.deepEqual([code, said], ["unavailable", "no"], text);
    assert.match(message!, /no file descriptor left \(EMFILE\)/);
  }
  await until(
    "/readyz reports the descriptors",
    async () => {
      const { status, text } = await ops("GET", "/readyz");
      return status === 503 && /no file descriptor left/.test(text);
    },
    processWait,
  );
  // The newest record comes from memory, the oldest from a file that may have to be opened. The outcome is always known.
  for (const offset of [0, written.length - 1]) {
    const { status, text } = await main("GET", `/?offset=${offset}`);
    if (status !== 200) assert.equal((JSON.parse(text) as { written: string }).written, "no", text);
  }

  limit(1024);
  await until(
    "the node is ready again",
    async () => (await ops("GET", "/readyz")).status === 200,
    processWait,
  );
  for (let n = 80; n < 120; n++) assert.equal((await produce(n)).status, 200);
  for (const [offset, n] of written.entries()) {
    const { status, text } = await main("GET", `/?offset=${offset}`);
    assert.equal(status, 200, text);
    const { record } = JSON.parse(text) as { record: { value: string } };
    assert.equal(Buffer.from(record.value, "base64").toString(), value(n));
  }
  assert.equal((await node.kill("SIGTERM")).status, 0);
});
