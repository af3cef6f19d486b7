import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { SmallDisk } from "../support/disk/small-disk.ts";
import { curl } from "../support/http/curl.ts";
import { processWait, TestCluster } from "../support/process/cluster.ts";
import { tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const mebibyte = 1024 * 1024;
const body = JSON.stringify({ record: { value: Buffer.alloc(20_000).toString("base64") } });

test("a leader with a full disk is not ready and hands over to a node with space; a small volume takes writes", async (t) => {
  const directory = scratch(t);
  using disk = SmallDisk.mount(join(directory, "small"), 100 * mebibyte);
  if (disk === undefined) {
    console.error("SKIPPED: mounting a small file system is not allowed here, so nothing was tested");
    t.skip("needs root, to mount a small file system");
    return;
  }
  const cluster = await TestCluster.make(t, directory);
  const [one, two] = cluster.nodes;
  assert.ok(one !== undefined && two !== undefined);
  Object.assign(one, { directory: join(disk.path, "data") });
  for (const node of cluster.nodes) cluster.start(node);
  await cluster.whole();
  if ((await cluster.leader()) !== one) {
    const { status, err } = await tailrace(["transfer", one.name, ...cluster.clientFlags(two)]);
    assert.equal(status, 0, err);
  }
  // The reserve is a sixteenth of the volume.
  assert.match(one.log, /"reserveBytes":6553600,.*disk space is reserved for a full disk/);
  assert.equal((await curl(one.url, { body, method: "POST" })).status, 200);

  disk.fill();
  await until(
    "another node leads",
    async () => {
      await curl(one.url, { body, method: "POST" }).catch(() => undefined);
      return (await cluster.leader()) !== one;
    },
    processWait,
  );
  assert.match(
    (await cluster.unready(one)) ?? "",
    /the disk is full, .* of 100 MiB are free and 6\.2 MiB are to be kept/,
  );
  assert.equal((await cluster.status(one)).ready, false);
  const { status, text } = await curl(two.url, { body, method: "POST" });
  assert.equal(status, 200, text);

  disk.empty();
  await cluster.ready(one);
  await cluster.end();
});
