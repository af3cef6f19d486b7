/** Lists of logs, by RPC and HTTP, for a caller who may describe a few of many. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Logs } from "../../../src/gen/log/v1/log_pb.js";
import { accessAs, serveNode } from "../../support/http/serve-node.ts";

test("the pages of a list never tell the name of a log that the caller may not describe", async () => {
  const access = await accessAs("p, ann, mine/*, describe\np, ann, x, describe\n", () => "ann");
  await using node = await serveNode({ access });
  const { named } = node.node.replica.log;
  for (const name of ["a", "b", "mine/1", "mine/2", "mine/3", "n", "w", "x", "y"])
    await named.change({ kind: "create", name, settings: {} });
  const logs = createClient(Logs, createGrpcTransport({ baseUrl: node.url }));
  for (const limit of [1, 2, 3, 4, 256]) {
    const seen: string[] = [];
    let after = "";
    do {
      const page = await logs.listLogs({ after, limit });
      seen.push(...page.logs.map(({ name }) => name));
      assert.ok(page.next === "" || page.next === seen.at(-1), page.next);
      after = page.next;
    } while (after !== "");
    assert.deepEqual(seen, ["mine/1", "mine/2", "mine/3", "x"]);

    const { json } = await node.ask("GET", `/logs?limit=${limit}`);
    const names = (json["logs"] as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(names, seen.slice(0, limit));
    assert.equal(json["next"], limit < seen.length ? names.at(-1) : null);
  }
});
