import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFileSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { batchKind, chainStart, encodeFrame, endAfter, frameBytes } from "../../../src/log/mod.ts";
import { curl } from "../../support/http/curl.ts";
import { type NodeProcess, startNode, tailrace } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

const records = 300;
const value = (n: number): string => `${n} ${"x".repeat(200)}`;
const small = ["--segment-store-bytes-max", "8KiB", "--log-level", "info"];

/** Makes a log of many small segments with a clean shutdown. */
async function filled(t: Parameters<typeof startNode>[0], directory: string): Promise<void> {
  const node = await startNode(t, ["--data-dir", directory, ...small]);
  const lines = Array.from({ length: records }, (_, n) => value(n)).join("\n");
  const { status } = await tailrace(["produce", "--batch", "5", "--addr", node.addr], { input: lines });
  assert.equal(status, 0);
  assert.equal((await node.kill("SIGTERM")).status, 0);
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 0x10;
  writeFileSync(path, bytes);
}

/** The files of the directory, except those of the lock. */
function contents(directory: string): string {
  const hash = createHash("sha256");
  for (const name of (readdirSync(directory, { recursive: true }) as string[]).sort()) {
    if (!/\.(store|index|cut|db|db-wal)$|\/vote$/.test(name)) continue;
    hash.update(`${name} `).update(readFileSync(join(directory, name)));
  }
  return hash.digest("hex");
}

const read = (node: NodeProcess, offset: number) => curl(node.url, { body: JSON.stringify({ offset }) });

test("with a flipped bit in a store file the node refuses to start and changes nothing; a damaged index is rebuilt", async (t) => {
  const directory = join(scratch(t), "data");
  await filled(t, directory);
  const serve = ["serve", "--data-dir", directory, "--addr", "127.0.0.1:0", ...small];
  const log = join(directory, "log");
  const names = readdirSync(log).sort();
  const stores = names.filter((name) => name.endsWith(".store"));
  assert.ok(stores.length > 5);
  for (const store of [stores[0], stores[3], stores.at(-1)] as string[]) {
    const path = join(log, store);
    const at = readFileSync(path).length - 7;
    flip(path, at);
    const before = contents(directory);
    const { status, out, err } = await tailrace(serve);
    const line = err.split("\n").filter((text) => text.startsWith("tailrace serve: "));
    assert.deepEqual([status, out, line.length], [5, "", 1], err);
    const facts =
      /damaged at byte (\d+) .*tailrace repair (\S+).*\(file (\S+), position \d+, why \S+, repair/.exec(
        line[0]!,
      );
    assert.ok(facts !== null, err);
    const [, position = "", repaired, file] = facts ?? [];
    assert.deepEqual([repaired, file], [directory, path]);
    assert.ok(Number(position) <= at);
    assert.equal(contents(directory), before);
    const verified = await tailrace(["verify", directory]);
    assert.equal(verified.status, 5);
    assert.match(verified.out, new RegExp(`^${store} ${position} \\S+$`, "m"));
    flip(path, at);
  }
  const index = join(log, stores[2]!.replace("store", "index"));
  const sound = readFileSync(index);
  flip(index, 70);
  assert.equal((await tailrace(["verify", directory])).status, 5);
  const node = await startNode(t, serve.slice(1));
  assert.equal((await read(node, records - 1)).status, 200);
  await node.kill("SIGTERM");
  assert.deepEqual(readFileSync(index), sound);
  assert.match((await tailrace(["verify", directory])).out, new RegExp(`^ok records=${records} `));
});

test("the scrub finds damage under a running node: it is reported, its records are refused, and the next start is refused", async (t) => {
  const directory = join(scratch(t), "data");
  await filled(t, directory);
  const serve = ["--data-dir", directory, ...small, "--scrub-bytes-per-second", "4MiB"];
  const node = await startNode(t, serve);
  const { segments } = (
    await curl(`${node.url}/log.v1.Log/Describe`, {
      method: "POST",
      body: "{}",
      headers: { "content-type": "application/json" },
    })
  ).json as { segments: { baseOffset?: string; nextOffset: string }[] };
  const store = readdirSync(join(directory, "log")).filter((name) => name.endsWith(".store"))[2]!;
  const lost = Number(segments[2]!.nextOffset) - 1;
  const path = join(directory, "log", store);
  flip(path, readFileSync(path).length - 7);
  const readyz = () => curl(`http://${node.ops}/readyz?verbose`);
  await until("the damage is found", async () => (await readyz()).status !== 200);
  assert.match((await readyz()).text, new RegExp(`\\[-\\]stored failed: ${store} is damaged at byte \\d+`));
  const refused = await read(node, lost);
  assert.equal(refused.status, 500);
  assert.deepEqual(
    { ...refused.json, position: 0, message: "" },
    {
      code: "data_loss",
      message: "",
      written: "no",
      file: store,
      position: 0,
      why: "checksum",
      repair: `tailrace repair ${directory}`,
    },
  );
  assert.equal((await read(node, 0)).status, 200);
  assert.equal((await read(node, records - 1)).status, 200);
  assert.match((await curl(`http://${node.ops}/metrics`)).text, /^tailrace_log_damaged\S* 1$/m);
  assert.match((await curl(`http://${node.ops}/metrics`)).text, /^tailrace_ready\S* 0$/m);
  const status = await tailrace(["status", "--addr", node.addr]);
  assert.equal(status.status, 1);
  assert.match(status.err, new RegExp(`^not ready: ${store} is damaged at byte`));
  assert.match(node.log(), new RegExp(`"file":"${path}".*stored bytes are damaged`));
  assert.equal((await node.kill("SIGTERM")).status, 0);
  const next = await tailrace(["serve", "--addr", "127.0.0.1:0", ...serve]);
  assert.equal(next.status, 5);
  assert.match(next.err, /damaged at byte \d+ .*tailrace repair /);
  assert.match((await tailrace(["repair", directory, "--yes"])).out, /\nrepaired next=\d+ lost=\d+\n$/);
  const repaired = await startNode(t, serve);
  assert.equal((await read(repaired, 0)).status, 200);
  assert.equal((await curl(`http://${repaired.ops}/readyz`)).status, 200);
});

test("without its catalog a node exits with 5 and creates nothing; verify finds a record that passes its frame's end", async (t) => {
  const directory = join(scratch(t), "data");
  await filled(t, directory);
  const meta = join(directory, "meta");
  renameSync(meta, join(dirname(directory), "meta"));
  const names = (): string[] => (readdirSync(directory, { recursive: true }) as string[]).sort();
  const before = names();
  const serve = [
    "serve",
    "--data-dir",
    directory,
    "--addr",
    "127.0.0.1:0",
    "--ops-addr",
    "127.0.0.1:0",
    ...small,
  ];
  const lost = await tailrace(serve);
  assert.equal(lost.status, 5, lost.err);
  assert.match(lost.err, /catalog .* is gone; nothing was changed/);
  assert.deepEqual(names(), before);
  renameSync(join(dirname(directory), "meta"), meta);

  const store = readdirSync(join(directory, "log"))
    .filter((name) => name.endsWith(".store"))
    .at(-1)!;
  const path = join(directory, "log", store);
  const { position, frame } = forgedFrame(readFileSync(path));
  appendFileSync(path, frame);
  const verified = await tailrace(["verify", directory]);
  assert.deepEqual([verified.status, verified.out], [5, `${store} ${position} records\n`]);
  const refused = await tailrace(serve);
  assert.equal(refused.status, 5, refused.err);
  assert.match(refused.err, new RegExp(`damaged at byte ${position} \\(records\\); nothing was changed`));
});

/** A frame for the end of a store, with a correct checksum and a record whose length passes the frame's end. */
function forgedFrame(bytes: Uint8Array): { readonly position: number; readonly frame: Uint8Array } {
  let end = chainStart;
  for (let at = 0; at < bytes.length; at += frameBytes(bytes, at)) end = endAfter(end, bytes, at);
  const { index, term, nextOffset: baseOffset, timestampMs } = end;
  const header = { index: index + 1, term, baseOffset, timestampMs, recordCount: 1, kind: batchKind.data };
  return {
    position: bytes.length,
    frame: encodeFrame(header, Uint8Array.of(0x0a, 0x7f, 0x0a, 1, 65), end.crc),
  };
}

test("verify --compare needs two different directories", async (t) => {
  const directory = join(scratch(t), "data");
  for (const named of [[directory], [directory, `${directory}/`]]) {
    const { status, err } = await tailrace(["verify", "--compare", ...named]);
    assert.deepEqual([status, err], [2, "tailrace verify: --compare needs two or more directories\n"]);
  }
});
