/** Policies are parsed strictly. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { AccessControl, namedIdentity, type PolicySource } from "../../../src/access/mod.ts";
import { Fault } from "../../../src/fault.ts";

const data = (name: string): string => readFileSync(new URL(`data/${name}`, import.meta.url), "utf8");
const bookModel = data("book-model.conf");
const root = namedIdentity("root");
const node = namedIdentity("node-1", true);
const policy = (text: string, more: Partial<PolicySource> = {}): PolicySource => ({
  policy: text,
  policyName: "policy.csv",
  ...more,
});
const configFault = (pattern: RegExp) => (thrown: unknown) =>
  thrown instanceof Fault && thrown.kind === "config" && pattern.test(thrown.message);

test("lines that Casbin skips silently are refused with their number", async () => {
  const refuse = (text: string, pattern: RegExp, more: Partial<PolicySource> = {}): Promise<void> =>
    assert.rejects(AccessControl.open(policy(text, more)), configFault(pattern));
  await refuse("p, root, *, produce\nq, root, *, produce", /line 2 begins with "q", expected one of p or g/);
  await refuse("p root * produce", /line 1 begins with "p root \* produce"/);
  await refuse("p, root, , produce", /line 1 has 2 fields, expected 3/);
  await refuse("p, root", /line 1 has 1 field, expected 3/);
  await refuse("g, alice, writers", /line 1 begins with "g"/, { model: bookModel });
  await refuse("p, a, b, trim", /m\.conf is not a Casbin model|must define r/, {
    model: "nonsense",
    modelName: "m.conf",
  });
  await refuse("p, a, b, trim", /cannot be evaluated/, {
    model: bookModel.replace("r.sub == p.sub", "noSuchFunction(r.sub, p.sub)"),
  });
});

test("a rule that can never apply is refused: an unknown action, a comment after it, or an unmatched quote", async () => {
  const refuse = (text: string, pattern: RegExp, more: Partial<PolicySource> = {}): Promise<void> =>
    assert.rejects(AccessControl.open(policy(text, more)), configFault(pattern));
  for (const more of [{}, { model: bookModel }]) {
    await refuse("p, root, *, prodcue", /line 1 names the action "prodcue", expected produce, /, more);
    await refuse("p, root, *, produce # all", /line 1 names the action "produce # all"/, more);
    await refuse("p, root, *, prod", /line 1 names the action "prod"/, more);
    await refuse('p, "root, *, produce', /line 1 has a quote that is unmatched/, more);
    await refuse('p, ro"ot", *, produce', /line 1 has a quote that is unmatched/, more);
  }
  const patterns = bookModel.replace("r.act == p.act", "regexMatch(r.act, p.act)");
  const access = await AccessControl.open(policy("p, root, *, (pro|con).*", { model: patterns }));
  assert.deepEqual(
    access.allowedActions(root),
    ["produce", "consume", "configure"],
    "a model may match patterns",
  );
});

test("a policy may have a byte order mark, CRLF line ends, comments and blank lines", async () => {
  const access = await AccessControl.open(
    policy("\uFEFFp, root, *, produce\r\n\r\n  # readers\r\np, root, *, consume\r\n"),
  );
  assert.deepEqual(access.allowedActions(root), ["produce", "consume"]);
  assert.equal(access.explain(root, "*", "consume").because, "policy.csv:4: p, root, *, consume");
});

test("a subject named peer does not count as a mention of the action peer", async () => {
  const access = await AccessControl.open(policy("p, peer, *, consume"));
  assert.equal(access.check(node, "*", "peer"), true);
});

test("quotes keep commas inside a field", async () => {
  const access = await AccessControl.open(policy('p, "Acme, Inc. ""EU""", *, produce'));
  assert.equal(access.check(namedIdentity('Acme, Inc. "EU"'), "*", "produce"), true);
});

test("an object with a wildcard other than a star at its end is refused with its line", async () => {
  const objects = ["a?", "?", "[ab]", "a/[0-9]*", "{a,b}", "a/*/b", "*/b", "a/**", "**", "a\\*", "["];
  for (const object of objects) {
    await assert.rejects(
      AccessControl.open(policy(`p, root, *, produce\n\np, root, "${object}", produce`)),
      (thrown) =>
        thrown instanceof Fault &&
        thrown.kind === "config" &&
        thrown.message.startsWith(
          `policy.csv line 3 names the object "${object}", expected the name of a log`,
        ),
      object,
    );
  }
  const access = await AccessControl.open(policy("p, root, [, produce", { model: bookModel }));
  assert.equal(access.check(root, "[", "produce"), true, "a model without patterns compares names");
});

test("a policy may name the actions on named logs, and cursor", async () => {
  const access = await AccessControl.open(
    policy("p, root, a/*, create\np, root, a/*, delete\np, root, *, configure\np, root, *, cursor"),
  );
  assert.deepEqual(access.allowedActions(root), ["configure", "cursor"]);
  assert.deepEqual(access.allowedActions(root, "a/1"), ["create", "delete", "configure", "cursor"]);
});
