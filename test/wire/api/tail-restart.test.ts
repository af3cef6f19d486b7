/** Fifty tails across restarts of the server, by SIGKILL and by a normal stop: no gap and no duplicate. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { curl } from "../../support/http/curl.ts";
import { openTail } from "../../support/http/tail-reader.ts";
import { freePort } from "../../support/process/free-port.ts";
import { startNode } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

test("fifty tails receive every record once, in order, across three restarts", async (t) => {
  const flags = [
    "--addr",
    `127.0.0.1:${await freePort()}`,
    "--data-dir",
    join(scratch(t), "d"),
    "--log-level",
    "error",
  ];
  const records = 400;
  let node = await startNode(t, flags);
  const { url } = node;

  const follow = async (sse: boolean): Promise<number[]> => {
    const seen: number[] = [];
    while (seen.length < records) {
      const resume: Record<string, string> =
        seen.length === 0 ? {} : { "last-event-id": String(seen.at(-1)) };
      const accept = sse ? "text/event-stream" : "application/x-ndjson";
      const tail = await until("the server accepts a tail", () =>
        openTail(`${url}/tail?from=start`, { accept, ...resume }),
      );
      for (let event = await tail.next(); event !== undefined; event = await tail.next()) {
        if (event.event !== undefined || event.data === "" || event.data.startsWith('{"error"')) continue;
        seen.push((JSON.parse(event.data) as { offset: number }).offset);
        if (seen.length === records) tail.close();
      }
    }
    return seen;
  };
  const tails = Array.from({ length: 50 }, (_, at) => follow(at % 2 === 0));

  const restart = async (signal: NodeJS.Signals): Promise<void> => {
    await node.kill(signal);
    node = await startNode(t, flags);
  };
  const restarts: Readonly<Record<number, NodeJS.Signals>> = {
    100: "SIGKILL",
    200: "SIGTERM",
    300: "SIGKILL",
  };
  for (let written = 0; written < records; written++) {
    const signal = restarts[written];
    if (signal !== undefined) await restart(signal);
    const answer = await curl(url, { method: "POST", body: '{"record":{"value":"YQ=="}}' });
    assert.equal(answer.text, `{"offset":${written}}\n`);
  }
  const expected = Array.from({ length: records }, (_, at) => at);
  for (const seen of await Promise.all(tails)) assert.deepEqual(seen, expected);
});
