/** The first four commands that a user types about a named log, against a node as a process. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { ended, endProcess, startNode } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

test("curl creates a log, appends to it, reads it and tails it", requireProgram("curl"), async (t) => {
  const directory = join(scratch(t), "data");
  const node = await startNode(t, ["--data-dir", directory]);
  const curl = async (...args: string[]): Promise<string> => {
    const { status, out, err } = await ended(spawn("curl", ["-sS", ...args]));
    assert.equal(status, 0, err);
    return out;
  };
  const url = `${node.url}/logs/orders`;
  assert.match(await curl("-X", "PUT", url), /^\{"name":"orders","log_id":"\d+-1","settings":\{\}\}\n$/);
  assert.equal(await curl("--data-binary", "hello", url), '{"offset":0}\n');
  assert.equal(await curl(`${url}?offset=0`), '{"record":{"value":"aGVsbG8=","offset":0}}\n');

  const tail = spawn("curl", ["-sSN", "-H", "accept: text/event-stream", url]);
  t.after(() => endProcess(tail, "SIGKILL"));
  let events = "";
  tail.stdout.on("data", (chunk: Buffer) => {
    events += chunk.toString();
  });
  await until("the tail has begun", () => events.startsWith("retry: "));
  assert.equal(await curl("--data-binary", "world", url), '{"offset":1}\n');
  await until("the tail shows the record", () => events.includes('"value":"d29ybGQ="'));
  assert.match(events, /^retry: 2000\n\nid: \d+-\d+\.1\ndata: \{"offset":1,[^\n]+\}\n\n$/);

  // The log and its records are there after a crash.
  await node.kill("SIGKILL");
  const again = await startNode(t, ["--data-dir", directory]);
  assert.equal(
    await curl(`${again.url}/logs/orders?from=start&format=text`).then((text) =>
      text.replace(/"timestamp_ms":\d+,/g, ""),
    ),
    '{"offset":0,"text":"hello"}\n{"offset":1,"text":"world"}\n',
  );
});
