/** What access control decides: the built-in rules, policies, reloads, and explanations. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  AccessControl,
  type Action,
  actions,
  anonymousIdentity,
  localIdentity,
  namedIdentity,
  type PolicySource,
} from "../../../src/access/mod.ts";
import { defaultModel } from "../../../src/access/model.ts";
import { Fault } from "../../../src/fault.ts";

const data = (name: string): string => readFileSync(new URL(`data/${name}`, import.meta.url), "utf8");
const bookPolicy = data("book-policy.csv");
const root = namedIdentity("root");
const other = namedIdentity("other");
const node = namedIdentity("node-1", true);
const all = [...actions];
const without = (...gone: Action[]): Action[] => all.filter((action) => !gone.includes(action));
const policy = (text: string, more: Partial<PolicySource> = {}): PolicySource => ({
  policy: text,
  policyName: "policy.csv",
  ...more,
});
const configFault = (pattern: RegExp) => (thrown: unknown) =>
  thrown instanceof Fault && thrown.kind === "config" && pattern.test(thrown.message);

test("without a policy, the built-in rules decide", () => {
  const access = new AccessControl();
  assert.deepEqual(access.allowedActions(localIdentity), all);
  assert.deepEqual(access.allowedActions(root), without("peer", "admin", "delete", "configure"));
  assert.deepEqual(access.allowedActions(node), without("admin", "delete", "configure"));
  assert.deepEqual(access.allowedActions(anonymousIdentity), []);
  assert.equal(access.isAuthenticated(anonymousIdentity), false);
  assert.equal(access.isAuthenticated(other), true);
});

test("with --allow-plaintext and without a policy, anonymous callers may not admin, delete or configure", async () => {
  const access = new AccessControl({ trustPlaintext: true });
  assert.deepEqual(access.allowedActions(anonymousIdentity), without("admin", "delete", "configure"));
  assert.equal(access.isAuthenticated(anonymousIdentity), true);
  await access.setPolicy(policy("p, anonymous, *, consume"));
  assert.deepEqual(access.allowedActions(anonymousIdentity), ["consume"]);
});

test("if the policy mentions peer, a node's certificate alone does not make a peer", async () => {
  const access = await AccessControl.open(policy("p, node-2, *, peer"));
  assert.equal(access.check(node, "*", "peer"), false);
  assert.equal(access.check(namedIdentity("node-2"), "*", "peer"), true);
});

test("a caller with the name of a role has no rights, under every model", async () => {
  const text = "p, writers, *, produce\np, staff, *, consume\ng, alice, writers\ng, writers, staff";
  const onlyCasbin = defaultModel.replace("g(r.sub, p.sub)", "(g(r.sub, p.sub) && r.sub != 'x')");
  for (const more of [{}, { model: onlyCasbin }]) {
    const access = await AccessControl.open(policy(text, more));
    assert.deepEqual(access.allowedActions(namedIdentity("alice")), ["produce", "consume"]);
    for (const role of ["writers", "staff"]) {
      assert.deepEqual(access.allowedActions(namedIdentity(role)), [], role);
      assert.throws(
        () => access.authorize(namedIdentity(role), "*", "produce"),
        (thrown) =>
          thrown instanceof Fault && /may not produce to "\*", it is the name of a role/.test(thrown.message),
      );
    }
    const { because } = access.explain(namedIdentity("writers"), "*", "produce");
    assert.equal(
      because,
      '"writers" is the name of a role, which has no rights as a caller (policy.csv:3: g, alice, writers)',
    );
  }
});

test("a cached decision equals the decision of the rules, also with a small cache", async () => {
  const text = "p, a, x*, produce\np, b, *, consume\ng, c, a";
  const small = await AccessControl.open(policy(text), { cachedPairsMax: 2 });
  const large = await AccessControl.open(policy(text));
  for (let round = 0; round < 3; round++) {
    for (const subject of ["a", "b", "c", "d"]) {
      for (const object of ["*", "x1", "y"]) {
        for (const action of actions) {
          const who = namedIdentity(subject);
          const said = large.explain(who, object, action).allowed;
          assert.equal(small.check(who, object, action), said, `${subject} ${object} ${action}`);
          assert.equal(large.check(who, object, action), said, `${subject} ${object} ${action}`);
        }
      }
    }
  }
});

test("a new policy takes effect at once, raises the generation and calls the listeners", async () => {
  const access = await AccessControl.open(policy(bookPolicy));
  const before = access.generation;
  const seen: boolean[] = [];
  const stop = access.onReload(() => seen.push(access.check(root, "*", "produce")));
  assert.equal(access.check(root, "*", "produce"), true);
  assert.equal(await access.setPolicy(policy("p, root, *, consume")), true);
  assert.equal(access.check(root, "*", "produce"), false);
  assert.deepEqual(seen, [false]);
  assert.equal(access.generation, before + 1);
  assert.equal(await access.setPolicy(policy("p, root, *, consume")), false, "the same text is no change");
  assert.equal(access.generation, before + 1);
  stop();
  assert.equal(await access.setPolicy(undefined), true);
  assert.deepEqual(seen, [false], "a removed listener is not called");
  assert.equal(access.check(root, "*", "produce"), true);
});

test("an invalid policy leaves the previous one in force", async () => {
  const access = await AccessControl.open(policy(bookPolicy));
  await assert.rejects(
    access.setPolicy(policy("p, root, *")),
    configFault(/policy\.csv line 1 has 2 fields, expected 3/),
  );
  assert.equal(access.check(root, "*", "produce"), true);
  assert.equal(
    await access.setPolicy(policy("p, other, *, produce")),
    true,
    "the next valid one is accepted",
  );
  assert.equal(access.check(root, "*", "produce"), false);
});

test("an empty policy is refused, and a policy with only a comment denies everything", async () => {
  const access = await AccessControl.open(policy(bookPolicy));
  await assert.rejects(access.setPolicy(policy("\n")), configFault(/policy\.csv is empty/));
  assert.equal(access.check(root, "*", "produce"), true);
  await access.setPolicy(policy("# other\n"));
  assert.deepEqual(access.allowedActions(root), []);
});

test("a rule names every log, a prefix of names across slashes, or one log", async () => {
  const access = await AccessControl.open(
    policy("p, a, *, produce\np, b, log/*, produce\np, c, log/e*, produce\np, d, log/eu, produce"),
  );
  const objects = ["*", "log/*", "log", "log/eu", "log/eu/1", "log/us", "default"];
  const may = (name: string): string[] =>
    objects.filter((object) => access.check(namedIdentity(name), object, "produce"));
  assert.deepEqual(may("a"), objects);
  assert.deepEqual(may("b"), ["log/*", "log/eu", "log/eu/1", "log/us"]);
  assert.deepEqual(may("c"), ["log/eu", "log/eu/1"]);
  assert.deepEqual(may("d"), ["log/eu"]);
});

test("names with a meaning in JavaScript or CSV are ordinary names", async () => {
  const names = ["__proto__", "constructor", "*", "a\tb", "名前", "r.sub", "p_sub || true"];
  const access = await AccessControl.open(policy("p, __proto__, *, produce\np, 名前, *, produce"));
  const may = names.filter((name) => access.check(namedIdentity(name), "*", "produce"));
  assert.deepEqual(may, ["__proto__", "名前"]);
  assert.equal(access.check(namedIdentity("名前 "), "*", "produce"), false);
});

test("a decision names the rule that made it", async () => {
  const access = await AccessControl.open(
    policy(`# first\n${bookPolicy}\np, writers, *, trim\ng, alice, writers`),
  );
  const because = (name: string, action: Action): string =>
    access.explain(namedIdentity(name), "*", action).because;
  assert.equal(because("root", "consume"), "policy.csv:3: p, root, *, consume");
  assert.equal(because("alice", "trim"), "policy.csv:5: p, writers, *, trim");
  assert.equal(because("other", "produce"), "no rule of policy.csv allows it");
  assert.match(because("local", "admin"), /^built in: /);
  assert.match(new AccessControl().explain(root, "*", "admin").because, /^built in: .*admin/);
});

test("a denial names the subject, the action and the object", async () => {
  const access = await AccessControl.open(policy(bookPolicy));
  access.authorize(root, "*", "produce");
  assert.throws(
    () => access.authorize(other, "*", "produce"),
    (thrown) =>
      thrown instanceof Fault &&
      thrown.kind === "permission-denied" &&
      thrown.written === "no" &&
      thrown.message === '"other" may not produce to "*"',
  );
  assert.throws(
    () => access.authorize(anonymousIdentity, "*", "consume"),
    (thrown) => thrown instanceof Fault && thrown.kind === "unauthenticated",
  );
});

test("the logs on which a caller may act are known, if the model compares names", async () => {
  const text = `p, alice, orders/*, consume
    p, readers, news, consume
    p, boss, *, *
    g, alice, readers`;
  const access = await AccessControl.open(policy(text));
  const alice = namedIdentity("alice");
  assert.deepEqual([...(access.patternsOf(alice, "consume") ?? [])].sort(), ["news", "orders/*"]);
  assert.equal(access.mayOnSome(alice, "consume"), true);
  assert.equal(access.check(alice, "*", "consume"), false);
  assert.equal(access.mayOnSome(alice, "produce"), false);
  access.authorizeSome(alice, "consume");
  assert.throws(() => access.authorizeSome(alice, "produce"), {
    kind: "permission-denied",
    message: '"alice" may not produce to any log',
  });
  assert.deepEqual(access.patternsOf(alice, "produce"), []);
  assert.deepEqual(access.patternsOf(namedIdentity("boss"), "trim"), ["*"]);
  assert.equal(access.mayOnSome(namedIdentity("readers"), "consume"), false, "a role is no caller");
  assert.deepEqual(access.patternsOf(namedIdentity("readers"), "consume"), []);
  assert.deepEqual(access.patternsOf(localIdentity, "delete"), ["*"]);
  assert.deepEqual(new AccessControl().patternsOf(root, "delete"), []);
  assert.equal(new AccessControl().mayOnSome(anonymousIdentity, "consume"), false);
});

test("a model that only Casbin can decide is asked about each log", async () => {
  const model = defaultModel.replace("g(r.sub, p.sub)", "(g(r.sub, p.sub) && r.sub != 'x')");
  const access = await AccessControl.open(policy("p, alice, orders/*, consume", { model }));
  assert.equal(access.patternsOf(namedIdentity("alice"), "consume"), undefined);
  assert.equal(access.mayOnSome(namedIdentity("alice"), "produce"), true);
});
