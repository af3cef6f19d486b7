/** `tailrace backup`, `backups`, `verify` and `restore` with a store of several backups, as processes. The unit tests have more of S3. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { FaultyProxy, type Trouble } from "../../support/objects/faulty-proxy.ts";
import { openS3Server } from "../../support/objects/s3-server.ts";
import { startNode, tailrace } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";

test("backups of a node in a store: each can be listed, checked and restored", async (t) => {
  const directory = scratch(t);
  const node = await startNode(t, ["--data-dir", join(directory, "data")]);
  const url = pathToFileURL(join(directory, "backups")).href;
  const append = async (value: string): Promise<void> => {
    const response = await fetch(`${node.url}/logs/default`, { method: "POST", body: value });
    assert.equal(response.status, 200);
  };
  const json = async (...args: string[]): Promise<Record<string, unknown>[]> => {
    const { status, out, err } = await tailrace(args);
    assert.equal(status, 0, err);
    return out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  await append("one");
  const [first] = await json("backup", url, "--addr", node.addr);
  assert.equal(first?.["url"], url);
  const none = await tailrace(["backups", `${url}-none`]);
  assert.deepEqual([none.status, none.out], [0, ""]);
  assert.match(none.err, /^tailrace backups: there is no backup in file:.*-none\n$/);
  await append("two");
  const [second] = await json("backup", url, "--addr", node.addr);
  const listed = await json("backups", url);
  assert.deepEqual(
    listed.map(({ backup }) => backup),
    [second?.["backup"], first?.["backup"]],
  );
  const data = join(directory, "restored");
  const name = String(first?.["backup"]);
  const [restored] = await json("restore", url, "--data-dir", data, "--backup", name);
  assert.deepEqual([restored?.["backup"], restored?.["next"]], [name, 1]);
  await sayRetries(node.addr, join(directory, "from-bucket"));
  // Damage is found.
  rmSync(join(directory, "backups/files"), { recursive: true });
  const damaged = await tailrace(["verify", url]);
  assert.deepEqual([damaged.status, /\.frames 0 missing$/m.test(damaged.out)], [5, true]);
  const refused = await tailrace(["backup", join(directory, "plain"), "--keep", "2", "--addr", node.addr]);
  assert.deepEqual([refused.status, /a directory has one backup/.test(refused.err)], [2, true]);
});

/** Each command says which request to a bucket failed, and when it is sent again. */
async function sayRetries(addr: string, data: string): Promise<void> {
  await using server = await openS3Server("stub");
  await using proxy = await FaultyProxy.open(server.endpoint);
  const flags = ["s3://logs/lab", "--s3-endpoint", proxy.endpoint];
  const run = async (name: string, trouble: Trouble, ...more: string[]): Promise<string[]> => {
    let failures = 2;
    proxy.trouble = () => (failures-- > 0 ? trouble : undefined);
    const { status, err } = await tailrace([name, ...flags, ...more], { env: { ...server.environment } });
    assert.equal(status, 0, err);
    return err.trim().split("\n");
  };
  const failed: Trouble = { kind: "status", status: 503, code: "SlowDown" };
  const lines = {
    backup: await run("backup", failed, "--addr", addr),
    backups: await run("backups", { kind: "cut" }),
    verify: await run("verify", failed),
    restore: await run("restore", { kind: "cut" }, "--data-dir", data),
  };
  for (const [name, said] of Object.entries(lines)) {
    assert.equal(said.length, 2, said.join("\n"));
    for (const [n, line] of said.entries()) {
      assert.ok(line.startsWith(`tailrace ${name}: retrying: `), line);
      assert.match(
        line,
        /: (GET|PUT).*: s3:\/\/logs\/lab: 127\.0\.0\.1:\d+ (failed: SlowDown|cannot be reached)/,
      );
      assert.match(line, new RegExp(`\\(attempt ${n + 1} of 9, the next in 0\\.\\d s\\)$`));
    }
  }
}
