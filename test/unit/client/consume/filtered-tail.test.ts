import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { run } from "../../../support/log/logs.ts";
import { FakeCluster } from "../fake-cluster.ts";

test("a node of an earlier version, which would send all records, is an error", async () => {
  const cluster = new FakeCluster("a:1");
  await cluster.log.append(run("0", "1"));
  await using client = cluster.client();
  const reading = async (): Promise<void> => {
    for await (const _ of client.consume({ from: "start", filter: "false" }));
  };
  await assert.rejects(reading, (reason) => reason instanceof Fault && reason.kind === "unimplemented");
});
