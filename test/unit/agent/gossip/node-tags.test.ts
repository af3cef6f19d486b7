import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterAdmission, encodeNodeTags, parseNodeTags } from "../../../../src/agent/gossip/node-tags.ts";
import { encodeTags } from "../../../../src/membership/serf/tags.ts";

const node = {
  clusterId: "e37a22c1-f085-4637-a844-3bbebaf07102",
  rpcAddr: "10.1.2.3:8080",
  directory: "5c5ade2e30eea3845bd793ce23fd5bb3",
  version: "0.1.0",
};

test("node tags decode to what was encoded, with and without a cluster", () => {
  assert.deepEqual(parseNodeTags(encodeNodeTags(node)), node);
  const waiting = { ...node, clusterId: undefined };
  assert.deepEqual(parseNodeTags(encodeNodeTags(waiting)), waiting);
  assert.equal("cluster" in encodeNodeTags(waiting), false);
});

test("the tags of a node with long names fit into a member's meta", () => {
  const long = { ...node, rpcAddr: `${"n".repeat(253)}:65535` };
  assert.ok(encodeTags(encodeNodeTags(long)).length <= 512);
});

test("a member with another role, or half of the tags, is an observer", () => {
  const { directory, ...half } = encodeNodeTags(node);
  assert.equal(typeof directory, "string");
  for (const tags of [{}, { role: "web" }, { ...encodeNodeTags(node), role: "web" }, half])
    assert.equal(parseNodeTags(tags), undefined);
});

test("only nodes of another cluster are refused, and only by a node that is in a cluster", () => {
  let own: string | undefined = node.clusterId;
  const admission = clusterAdmission(() => own);
  const foreign = encodeNodeTags({ ...node, clusterId: "other" });
  assert.equal(admission("a", encodeNodeTags(node)), undefined);
  assert.equal(admission("a", encodeNodeTags({ ...node, clusterId: undefined })), undefined);
  assert.equal(admission("a", { role: "web", cluster: "other" }), undefined);
  const refused = admission("a", foreign);
  assert.equal(refused?.kind, "failed-precondition");
  assert.deepEqual(refused?.facts, { name: "a", cluster: "other", ownCluster: node.clusterId });
  own = undefined;
  assert.equal(admission("a", foreign), undefined);
});
