/** The quotas of named logs on a node as a process: over HTTP, on the command line and over gRPC, and after a crash. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Fault, openClient } from "../../../src/client/mod.ts";
import { run } from "../../support/log/logs.ts";
import { startNode, tailrace } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";

test("a subject that has used up its quotas is refused, also after a crash of the node", async (t) => {
  const flags = ["--data-dir", join(scratch(t), "data"), "--logs-max", "4", "--subject-logs-max", "2"];
  const limited = [...flags, "--subject-log-bytes-max", "2KiB", "--subject-creates-per-minute", "5"];
  const node = await startNode(t, limited);
  const put = async (name: string, url = node.url) => {
    const response = await fetch(`${url}/logs/${name}`, { method: "PUT" });
    return [response.status, (await response.json()) as Record<string, unknown>] as const;
  };
  assert.equal((await put("a"))[0], 201);
  assert.equal((await put("b"))[0], 201);
  assert.equal((await put("b"))[0], 200, "it is there already");
  const [status, body] = await put("c");
  assert.equal(status, 429);
  assert.deepEqual(body, {
    code: "resource_exhausted",
    message:
      '"local" has created 2 logs that are there, and may have at most 2 (--subject-logs-max). Delete a log first',
    written: "no",
    reason: "TOO_MANY_LOGS_OF_SUBJECT",
    subject: "local",
    limit: 2,
    found: 2,
  });
  const posted = await fetch(`${node.url}/logs/c?create`, { method: "POST", body: "x" });
  assert.equal(posted.status, 429);

  const full = await fetch(`${node.url}/logs/a`, { method: "POST", body: "x".repeat(1_500) });
  assert.equal(full.status, 200);
  await using client = openClient({ addr: node.addr, limits: { callMs: 20_000 } });
  const began = performance.now();
  await assert.rejects(client.log("b").append(run("x".repeat(600))), (fault) => {
    assert.ok(fault instanceof Fault);
    assert.deepEqual([fault.kind, fault.written, fault.facts.limit], ["quota-exceeded", "no", 2_048]);
    return /^log "b" takes no more records now: the logs that "local" created hold 1\d\d\d bytes/.test(
      fault.message,
    );
  });
  assert.ok(performance.now() - began < 15_000, "the client does not repeat it");
  const said = await tailrace(["logs", "create", "c", "--addr", node.addr]);
  assert.equal(said.status, 1);
  assert.match(
    said.err,
    /^tailrace logs create: "local" has created 2 logs .*--subject-logs-max.*Delete a log first/,
  );
  const dryRun = await tailrace(["logs", "apply", "-f", "-", "--dry-run", "--addr", node.addr], {
    input: "logs: {a: {max-bytes: 1GiB}, b: {expires-at: 2020-01-01T00:00:00Z}, c: {}}",
  });
  assert.equal(dryRun.status, 1);
  assert.match(dryRun.out, /^\{"name":"a","result":"updated",[^\n]*\}\n$/);
  assert.match(
    dryRun.err,
    /log "b": expires_at_ms must be later than now: .*\n.*log "c": "local" has created 2 logs /,
  );
  assert.deepEqual((await client.logs.get("a")).options, {});
  assert.equal((await client.logs.get("a")).owner, "local");

  await node.kill("SIGKILL");
  const again = await startNode(t, limited);
  assert.equal((await put("c", again.url))[1]["reason"], "TOO_MANY_LOGS_OF_SUBJECT");
  const append = async () =>
    (await fetch(`${again.url}/logs/b`, { method: "POST", body: "x".repeat(600) })).status;
  assert.equal(await append(), 429);
  for (let round = 0; round < 5; round++) {
    assert.equal((await fetch(`${again.url}/logs/a`, { method: "DELETE" })).status, 204);
    assert.equal((await put("a", again.url))[0], 201);
  }
  assert.equal(await append(), 200, "the bytes of the deleted log do not count");
  await fetch(`${again.url}/logs/a`, { method: "DELETE" });
  const [tooFast, why] = await put("a", again.url);
  assert.deepEqual([tooFast, why["reason"], why["limit"], why["found"]], [429, "TOO_MANY_CREATES", 5, 5]);

  await again.kill("SIGTERM");
  const free = await startNode(t, [...limited, "--unlimited-subjects", "root,local"]);
  for (const name of ["a", "c", "d"]) assert.equal((await put(name, free.url))[0], 201);
  assert.equal(
    (await put("e", free.url))[1]["reason"],
    "TOO_MANY_LOGS",
    "the limit of the cluster counts for all",
  );
});
