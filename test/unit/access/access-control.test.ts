/**
 * What the access room decides: the built-in table, policies of the book and our own, reload, explanations.
 */
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
const bookModel = data("book-model.conf");
const bookPolicy = data("book-policy.csv");
const root = namedIdentity("root");
const nobody = namedIdentity("nobody");
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

test("without a policy, the built-in table holds", () => {
  const access = new AccessControl();
  assert.deepEqual(access.allowedActions(localIdentity), all);
  assert.deepEqual(access.allowedActions(root), without("peer", "admin"));
  assert.deepEqual(access.allowedActions(node), without("admin"));
  assert.deepEqual(access.allowedActions(anonymousIdentity), []);
  assert.equal(access.isAuthenticated(anonymousIdentity), false);
  assert.equal(access.isAuthenticated(nobody), true);
});

test("a node without certificates that was told to serve plaintext lets others do all but admin", async () => {
  const access = new AccessControl({ trustPlaintext: true });
  assert.deepEqual(access.allowedActions(anonymousIdentity), without("admin"));
  assert.equal(access.isAuthenticated(anonymousIdentity), true);
  await access.setPolicy(policy("p, anonymous, *, consume"));
  assert.deepEqual(access.allowedActions(anonymousIdentity), ["consume"]);
});

for (const [name, model] of [
  ["the book's model", bookModel],
  ["the built-in model", undefined],
] as const) {
  test(`the book's policy means the same under ${name}`, async () => {
    const access = await AccessControl.open(
      policy(bookPolicy, model === undefined ? {} : { model, modelName: "model.conf" }),
    );
    assert.deepEqual(access.allowedActions(root), ["produce", "consume"]);
    assert.deepEqual(access.allowedActions(nobody), []);
    assert.deepEqual(access.allowedActions(localIdentity), all);
    assert.deepEqual(
      access.allowedActions(node),
      ["peer"],
      "a node's certificate peers, so the book's policy runs a cluster",
    );
  });
}

test("once the policy speaks of peer, a certificate alone makes nobody a peer", async () => {
  const access = await AccessControl.open(policy("p, node-2, *, peer"));
  assert.equal(access.check(node, "*", "peer"), false);
  assert.equal(access.check(namedIdentity("node-2"), "*", "peer"), true);
});

test("roles nest, objects are globs, a star is any object or action", async () => {
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

test("a caller with the name of a role has none of the role's rights, under every model", async () => {
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
    assert.equal(because, '"writers" is the name of a role and no caller (policy.csv:3: g, alice, writers)');
  }
});

test("an answer from memory is the answer of the rules, also when memory is small", async () => {
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

test("a new policy is obeyed at once, raises the generation and calls the listeners", async () => {
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
  assert.deepEqual(seen, [false], "an ended listener hears nothing");
  assert.equal(access.check(root, "*", "produce"), true);
});

test("a policy that is not valid leaves the one before in force", async () => {
  const access = await AccessControl.open(policy(bookPolicy));
  await assert.rejects(
    access.setPolicy(policy("p, root, *")),
    configFault(/policy\.csv line 1 has 2 fields, expected 3/),
  );
  assert.equal(access.check(root, "*", "produce"), true);
  assert.equal(
    await access.setPolicy(policy("p, nobody, *, produce")),
    true,
    "and the next good one is taken",
  );
  assert.equal(access.check(root, "*", "produce"), false);
});

test("an empty policy is a file half written, a comment alone denies everything", async () => {
  const access = await AccessControl.open(policy(bookPolicy));
  await assert.rejects(access.setPolicy(policy("\n")), configFault(/policy\.csv is empty/));
  assert.equal(access.check(root, "*", "produce"), true);
  await access.setPolicy(policy("# nobody\n"));
  assert.deepEqual(access.allowedActions(root), []);
});

test("lines that Casbin would pass over in silence are refused by number", async () => {
  const refuse = (text: string, pattern: RegExp, more: Partial<PolicySource> = {}): Promise<void> =>
    assert.rejects(AccessControl.open(policy(text, more)), configFault(pattern));
  await refuse("p, root, *, produce\nq, root, *, produce", /line 2 begins with "q", expected one of p or g/);
  await refuse("p root * produce", /line 1 begins with "p root \* produce"/);
  await refuse("p, root, , produce", /line 1 has 2 fields, expected 3/);
  await refuse("g, alice, writers", /line 1 begins with "g"/, { model: bookModel });
  await refuse("p, a, b, trim", /m\.conf is not a Casbin model|must define r/, {
    model: "nonsense",
    modelName: "m.conf",
  });
  await refuse("p, a, b, trim", /do not make rules/, {
    model: bookModel.replace("r.sub == p.sub", "noSuchFunction(r.sub, p.sub)"),
  });
});

test("a rule that could never count is refused: a slip in the action, a comment behind it, a quote without end", async () => {
  const refuse = (text: string, pattern: RegExp, more: Partial<PolicySource> = {}): Promise<void> =>
    assert.rejects(AccessControl.open(policy(text, more)), configFault(pattern));
  for (const more of [{}, { model: bookModel }]) {
    await refuse("p, root, *, prodcue", /line 1 names the action "prodcue", expected produce, /, more);
    await refuse("p, root, *, produce # all", /line 1 names the action "produce # all"/, more);
    await refuse("p, root, *, prod", /line 1 names the action "prod"/, more);
    await refuse('p, "root, *, produce', /line 1 has a quote that stands alone/, more);
    await refuse('p, ro"ot", *, produce', /line 1 has a quote that stands alone/, more);
  }
  const patterns = bookModel.replace("r.act == p.act", "regexMatch(r.act, p.act)");
  const access = await AccessControl.open(policy("p, root, *, (pro|con).*", { model: patterns }));
  assert.deepEqual(access.allowedActions(root), ["produce", "consume"], "a model may match patterns");
});

test("a policy is read with a byte order mark, with Windows' line ends, comments and blank lines", async () => {
  const access = await AccessControl.open(
    policy("\uFEFFp, root, *, produce\r\n\r\n  # readers\r\np, root, *, consume\r\n"),
  );
  assert.deepEqual(access.allowedActions(root), ["produce", "consume"]);
  assert.equal(access.explain(root, "*", "consume").because, "policy.csv:4: p, root, *, consume");
});

test("roles may go round in circles, be everybody's, and nest as deep as one likes", async () => {
  const names = Array.from({ length: 40 }, (_, at) => `r${at}`);
  const everyones = names.flatMap((one) => names.map((other) => `g, ${one}, ${other}\n`)).join("");
  const circle = await AccessControl.open(
    policy(`${everyones}g, member, r0\np, r39, *, produce\np, other, *, produce`),
  );
  assert.equal(circle.check(namedIdentity("member"), "*", "produce"), true);
  assert.equal(circle.check(namedIdentity("member"), "*", "consume"), false);
  assert.equal(circle.check(nobody, "*", "produce"), false);
  const chain = names
    .slice(1)
    .map((name, at) => `g, r${at}, ${name}\n`)
    .join("");
  const deep = await AccessControl.open(policy(`${chain}p, r39, *, produce\np, r0, *, trim`));
  assert.equal(deep.check(namedIdentity("r0"), "*", "produce"), true);
  assert.equal(deep.check(namedIdentity("r39"), "*", "trim"), false, "roles give downwards only");
});

test("globs mean the names they match: a star is everything, log:* is not the log named *", async () => {
  const access = await AccessControl.open(
    policy("p, a, *, produce\np, b, log:*, produce\np, c, l[ou]g?x, produce\np, d, [, produce"),
  );
  const may = (name: string): string[] =>
    ["*", "log:eu", "log-x", "["].filter((object) => access.check(namedIdentity(name), object, "produce"));
  assert.deepEqual(may("a"), ["*", "log:eu", "log-x", "["]);
  assert.deepEqual(may("b"), ["log:eu"]);
  assert.deepEqual(may("c"), ["log-x"]);
  assert.deepEqual(may("d"), ["["], "a pattern that is none is a name");
});

test("names are names, also those that mean something to JavaScript or to CSV", async () => {
  const names = ["__proto__", "constructor", "*", "a\tb", "名前", "r.sub", "p_sub || true"];
  const access = await AccessControl.open(policy("p, __proto__, *, produce\np, 名前, *, produce"));
  const may = names.filter((name) => access.check(namedIdentity(name), "*", "produce"));
  assert.deepEqual(may, ["__proto__", "名前"]);
  assert.equal(access.check(namedIdentity("名前 "), "*", "produce"), false);
});

test("a matcher that fails for a caller allows nothing, and one that fails for its own rule is refused", async () => {
  const model = bookModel.replace("r.act == p.act", "r.act == p.act && keyMatch2(r.sub, none.at)");
  await assert.rejects(
    AccessControl.open(policy("p, root, *, produce", { model })),
    configFault(/do not make rules/),
  );
  const late = bookModel.replace("r.act == p.act", '(r.act == p.act && (r.sub != "boss" || none.at))');
  const access = await AccessControl.open(
    policy("p, root, *, produce\np, boss, *, produce", { model: late }),
  );
  assert.equal(access.check(root, "*", "produce"), true);
  assert.equal(access.check(namedIdentity("boss"), "*", "produce"), false);
});

test("a subject called peer does not speak of peers", async () => {
  const access = await AccessControl.open(policy("p, peer, *, consume"));
  assert.equal(access.check(node, "*", "peer"), true);
});

test("quotes keep commas inside a field", async () => {
  const access = await AccessControl.open(policy('p, "Acme, Inc. ""EU""", *, produce'));
  assert.equal(access.check(namedIdentity('Acme, Inc. "EU"'), "*", "produce"), true);
});

test("a decision names the rule behind it", async () => {
  const access = await AccessControl.open(
    policy(`# first\n${bookPolicy}\np, writers, *, trim\ng, alice, writers`),
  );
  const because = (name: string, action: Action): string =>
    access.explain(namedIdentity(name), "*", action).because;
  assert.equal(because("root", "consume"), "policy.csv:3: p, root, *, consume");
  assert.equal(because("alice", "trim"), "policy.csv:5: p, writers, *, trim");
  assert.equal(because("nobody", "produce"), "no rule of policy.csv allows it");
  assert.match(because("local", "admin"), /^built in: /);
  assert.match(new AccessControl().explain(root, "*", "admin").because, /^built in: .*admin/);
});

test("a denial says who may not do what", async () => {
  const access = await AccessControl.open(policy(bookPolicy));
  access.authorize(root, "*", "produce");
  assert.throws(
    () => access.authorize(nobody, "*", "produce"),
    (thrown) =>
      thrown instanceof Fault &&
      thrown.kind === "permission-denied" &&
      thrown.written === "no" &&
      thrown.message === '"nobody" may not produce to "*"',
  );
  assert.throws(
    () => access.authorize(anonymousIdentity, "*", "consume"),
    (thrown) => thrown instanceof Fault && thrown.kind === "unauthenticated",
  );
});

test("the example model in certs is the built-in one, and the example policy loads", async () => {
  const certs = (name: string): string =>
    readFileSync(new URL(`../../../certs/${name}`, import.meta.url), "utf8");
  assert.equal(certs("model.conf"), defaultModel);
  const access = await AccessControl.open(policy(certs("policy.csv"), { model: certs("model.conf") }));
  assert.equal(access.check(root, "*", "produce"), true);
  assert.equal(access.check(nobody, "*", "produce"), false);
});
