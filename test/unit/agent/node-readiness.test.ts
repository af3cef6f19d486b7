import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeReadiness } from "../../../src/agent/node-readiness.ts";

test("a node is ready when no part has a reason, and listeners are called for changes only", async () => {
  const readiness = new NodeReadiness();
  await readiness.ready();
  let changes = 0;
  const stop = readiness.onChange(() => changes++);
  readiness.set("disk", "full");
  readiness.set("disk", "full");
  readiness.set("leader", "none");
  assert.deepEqual([readiness.reasons(), changes], [["full", "none"], 2]);
  let isReady = false;
  const ready = readiness.ready().then(() => (isReady = true));
  readiness.set("disk", undefined);
  await Promise.resolve();
  assert.equal(isReady, false);
  readiness.set("leader", undefined);
  await ready;
  assert.equal(changes, 4);
  stop();
  readiness.set("disk", "full");
  assert.equal(changes, 4);
});
