/** `serve --init-file` as a process: it creates and updates logs at each start, and a bad file refuses the start. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startNode, tailrace } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

test("the logs of --init-file are there after the start, and have its settings after the next one", async (t) => {
  const directory = scratch(t);
  const file = join(directory, "logs.yaml");
  writeFileSync(file, "logs:\n  orders/eu:\n    ttl: 24h\n  audit:\n");
  const flags = ["--data-dir", join(directory, "data"), "--init-file", file, "--logs-max", "2"];
  const node = await startNode(t, flags);
  const described = async (url: string, name: string) => {
    const response = await fetch(`${url}/logs/${name}`);
    return response.ok ? ((await response.json()) as Record<string, unknown>) : undefined;
  };
  await until("both logs are there", async () => (await described(node.url, "audit")) !== undefined);
  const first = await described(node.url, "orders/eu");
  assert.deepEqual(first?.["settings"], { ttl_ms: 86_400_000 });
  assert.equal(first?.["owner"], undefined, "no caller created it");
  await node.kill("SIGTERM");

  writeFileSync(file, "logs:\n  orders/eu:\n    ttl: 48h\n  more:\n  audit:\n");
  const again = await startNode(t, flags);
  const settings = async () => (await described(again.url, "orders/eu"))?.["settings"];
  await until(
    "the log has its new setting",
    async () => JSON.stringify(await settings()) === '{"ttl_ms":172800000}',
  );
  assert.equal((await described(again.url, "orders/eu"))?.["log_id"], first?.["log_id"]);
  const ready = async () => (await fetch(`http://${again.ops}/readyz?verbose`)).text();
  await until("readyz says what is missing", async () =>
    (await ready()).includes(
      '[+]init-file ok: 2 of 3 logs of --init-file are applied; "more": the cluster has 2 logs',
    ),
  );
  await fetch(`${again.url}/logs/audit`, { method: "DELETE" });
  await until(
    "it is created once there is room",
    async () => (await described(again.url, "more")) !== undefined,
  );
  await until("readyz says no more", async () => /^\[\+\]init-file ok$/m.test(await ready()));
});

test("a file that is not valid refuses the start, and nothing is created", async (t) => {
  const directory = scratch(t);
  const file = join(directory, "logs.yaml");
  writeFileSync(file, "logs:\n  orders:\n    max-byte: 1\n");
  const data = join(directory, "data");
  const { status, err } = await tailrace([
    "serve",
    "--addr",
    "127.0.0.1:0",
    "--data-dir",
    data,
    "--init-file",
    file,
  ]);
  assert.equal(status, 1);
  assert.match(
    err,
    /^tailrace serve: .*logs\.yaml line 3: log "orders" has no setting "max-byte", did you mean max-bytes\?/,
  );
  assert.equal(existsSync(data), false);
});
