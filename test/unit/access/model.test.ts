/** The default model. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  AccessControl,
  actions,
  localIdentity,
  namedIdentity,
  type PolicySource,
} from "../../../src/access/mod.ts";
import { defaultModel } from "../../../src/access/model.ts";

const data = (name: string): string => readFileSync(new URL(`data/${name}`, import.meta.url), "utf8");
const bookModel = data("book-model.conf");
const bookPolicy = data("book-policy.csv");
const root = namedIdentity("root");
const other = namedIdentity("other");
const node = namedIdentity("node-1", true);
const all = [...actions];
const policy = (text: string, more: Partial<PolicySource> = {}): PolicySource => ({
  policy: text,
  policyName: "policy.csv",
  ...more,
});

for (const [name, model] of [
  ["the model of Distributed Services with Go", bookModel],
  ["the built-in model", undefined],
] as const) {
  test(`the policy of Distributed Services with Go decides the same under ${name}`, async () => {
    const access = await AccessControl.open(
      policy(bookPolicy, model === undefined ? {} : { model, modelName: "model.conf" }),
    );
    assert.deepEqual(access.allowedActions(root), ["produce", "consume"]);
    assert.deepEqual(access.allowedActions(other), []);
    assert.deepEqual(access.allowedActions(localIdentity), all);
    assert.deepEqual(
      access.allowedActions(node),
      ["peer"],
      "a node's certificate may peer, so that policy can run a cluster",
    );
  });
}

test("roles nest, objects are prefixes, and a star is any object or action", async () => {
  const access = await AccessControl.open(
    policy(`# people
      p, writers, orders-*, produce
      p, readers, *, consume
      p, boss, *, *
      g, alice, writers
      g, writers, readers`),
  );
  const alice = namedIdentity("alice");
  assert.equal(access.check(alice, "orders-eu", "produce"), true);
  assert.equal(access.check(alice, "returns", "produce"), false);
  assert.equal(access.check(alice, "*", "produce"), false);
  assert.equal(access.check(alice, "anything/at/all", "consume"), true);
  assert.deepEqual(access.allowedActions(namedIdentity("boss")), all);
});

test("certs/model.conf is the default model, and certs/policy.csv allows root everything", async () => {
  const certs = (name: string): string =>
    readFileSync(new URL(`../../../certs/${name}`, import.meta.url), "utf8");
  assert.equal(certs("model.conf"), defaultModel);
  const access = await AccessControl.open(policy(certs("policy.csv"), { model: certs("model.conf") }));
  assert.deepEqual(
    access.allowedActions(root),
    all.filter((action) => action !== "peer"),
  );
  assert.equal(access.check(root, "orders/eu", "create"), true);
  assert.equal(access.check(other, "*", "produce"), false);
});
