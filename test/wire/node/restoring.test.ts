/** A node that fills its directory from a backup before it joins, as a process. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { freePort } from "../../support/process/free-port.ts";
import { endProcess, startCommand } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

test("a node is not ready while it restores a backup", async (t) => {
  // A bucket that is asked for its backups and does not answer.
  let isAsked = false;
  const bucket = createServer(() => {
    isAsked = true;
  });
  bucket.listen(0, "127.0.0.1");
  await once(bucket, "listening");
  t.after(() => {
    bucket.closeAllConnections();
    bucket.close();
  });
  const ops = `127.0.0.1:${await freePort()}`;
  const flags = ["--data-dir", join(scratch(t), "data"), "--addr", "127.0.0.1:0", "--ops-addr", ops];
  const joins = ["--start-join-addrs", "127.0.0.1:1", "--restore-from", "s3://logs/lab"];
  const node = startCommand(["serve", ...flags, ...joins], {
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${(bucket.address() as AddressInfo).port}`,
    ...{ AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "secret" },
  });
  t.after(() => endProcess(node, "SIGKILL"));
  await until("the restore has begun", () => isAsked);
  const response = await fetch(`http://${ops}/readyz`);
  assert.equal(response.status, 503);
  assert.equal(await response.text(), "[-]serving failed: the node is starting\n");
  assert.equal((await fetch(`http://${ops}/livez`)).status, 200);
});
