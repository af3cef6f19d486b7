import assert from "node:assert/strict";
import { test } from "node:test";
import { AccessControl, type Identity, namedIdentity, Scopes } from "../../../src/access/mod.ts";

const holder = (subject: string, scope?: string): Identity => ({
  ...namedIdentity(subject),
  token: {
    id: "t",
    expiresMs: 1,
    scopes: scope === undefined ? undefined : Scopes.parse(scope),
    leftMs: () => 1_000,
    invalid: () => undefined,
  },
});

test("a scope allows its actions on its names and prefixes, and nothing else", () => {
  const scopes = Scopes.parse("logs=orders/*,news:produce,consume logs=*:describe");
  assert.ok(scopes.allows("orders/eu", "produce"));
  assert.ok(scopes.allows("news", "consume"));
  assert.ok(scopes.allows("anything", "describe"));
  assert.ok(scopes.allows("*", "describe"));
  assert.ok(!scopes.allows("*", "produce"), "a prefix is not every log");
  assert.ok(!scopes.allows("orders", "produce"));
  assert.ok(!scopes.allows("newsletter", "consume"));
  assert.ok(!scopes.allows("orders/eu", "trim"));
  assert.ok(scopes.allowsSome("produce"));
  assert.ok(!scopes.allowsSome("admin"));
});

test("an empty scope allows nothing", () => {
  const none = Scopes.parse("");
  assert.ok(!none.allowsSome("consume"));
  assert.deepEqual(none.narrow(["*"], "consume"), []);
});

test("names with a space, a comma, a colon or a percent sign are encoded in a scope", () => {
  const name = "a b,c:d%e";
  const scopes = Scopes.parse("logs=a%20b%2Cc%3Ad%25e:consume");
  assert.ok(scopes.allows(name, "consume"));
});

test("what is not a scope is refused, and never ignored", () => {
  for (const text of [
    "openid",
    "logs=orders",
    "logs=:consume",
    "logs=a:consume,",
    "logs=a:own",
    "logs=a:peer",
    "logs=a*b:consume",
    "logs=a,:consume",
    "logs=%E0%A4:consume",
    "LOGS=a:consume",
    `logs=${"a".repeat(5_000)}:consume`,
    `logs=${Array.from({ length: 200 }, (_, n) => `l${n}`).join(",")}:consume`,
  ])
    assert.throws(() => Scopes.parse(text), { kind: "bad-request" }, text.slice(0, 40));
  assert.throws(() => Scopes.parse("logs=a:read"), {
    message:
      '"read" in the scope "logs=a:read" is not an action that a token can have, only produce, consume, describe, trim, ' +
      "admin, create, delete, configure, cursor",
  });
});

test("a token never gives more than the policy, and its scopes never more than the token", async () => {
  const access = await AccessControl.open({
    policy: "p, alice, orders/*, produce\np, alice, news, consume\np, root, *, *\n",
  });
  const may = (caller: Identity, object: string, action: "produce" | "consume" | "admin" | "peer"): boolean =>
    access.check(caller, object, action);
  assert.ok(may(holder("alice"), "orders/eu", "produce"));
  assert.ok(!may(holder("alice", "logs=*:produce,consume"), "news", "produce"));
  assert.ok(!may(holder("alice", "logs=orders/eu:produce"), "orders/us", "produce"));
  assert.ok(may(holder("root", "logs=*:admin"), "*", "admin"));
  assert.ok(!may(holder("root", "logs=*:consume"), "*", "admin"));
  assert.ok(!may(holder("root"), "*", "peer"), "no token makes a peer");
  assert.throws(() => access.authorize(holder("root", "logs=a:consume"), "b", "consume"), {
    kind: "permission-denied",
    message: /with this token, whose scopes do not allow it/,
  });
});

test("the objects of a caller with a token are those of the policy that its scopes leave", async () => {
  const access = await AccessControl.open({
    policy: ["orders/*", "news", "a", "b/x", "b/y"]
      .map((object) => `p, alice, ${object}, consume\n`)
      .join(""),
  });
  const left = (scope: string) => access.patternsOf(holder("alice", scope), "consume");
  assert.deepEqual(left("logs=*:consume"), ["a", "b/x", "b/y", "news", "orders/*"]);
  assert.deepEqual(left("logs=orders/eu:consume"), ["orders/eu"]);
  assert.deepEqual(left("logs=orders/eu/*:consume"), ["orders/eu/*"]);
  assert.deepEqual(left("logs=b/*:consume"), ["b/x", "b/y"]);
  assert.deepEqual(left("logs=b/*,a,zoo:consume"), ["a", "b/x", "b/y"]);
  assert.deepEqual(left("logs=n*:consume"), ["news"]);
  assert.deepEqual(left("logs=ne:consume"), []);
  assert.deepEqual(left("logs=*:produce"), []);
});

test("every object that a list leaves is allowed, and every allowed name is in the list", async () => {
  const names = ["a", "a/b", "a/bc", "ab", "b", "b/c", "c", "ä", "z/z"];
  const patterns = [...names, "a*", "a/*", "b*", "z/*", "*"];
  let seed = 7;
  const draw = (of: readonly string[]): string => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return of[seed % of.length]!;
  };
  for (let round = 0; round < 300; round++) {
    const rules = Array.from({ length: 3 }, () => `p, alice, ${draw(patterns)}, consume\n`).join("");
    const access = await AccessControl.open({ policy: rules });
    const scope = `logs=${draw(patterns)},${draw(patterns)}:consume`;
    const caller = holder("alice", scope);
    const listed = access.patternsOf(caller, "consume") ?? [];
    const inList = (name: string): boolean =>
      listed.some((one) => (one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : one === name));
    for (const name of names)
      assert.equal(inList(name), access.check(caller, name, "consume"), `${rules}${scope} ${name} ${listed}`);
  }
});

test("no caller has a right to a log of the cluster itself", async () => {
  const access = await AccessControl.open({ policy: "p, root, *, *\n" });
  for (const caller of [namedIdentity("local"), namedIdentity("root"), holder("root")])
    assert.ok(!access.check(caller, "_tokens", "consume"));
});

test("where a credential is required, `anonymous` has no rights whatever the policy says", async () => {
  const access = await AccessControl.open({ policy: "p, anonymous, *, *\n" }, { refuseAnonymous: true });
  const anonymous = namedIdentity("anonymous");
  assert.ok(!access.check(anonymous, "*", "consume"));
  assert.ok(!access.isAuthenticated(anonymous));
  assert.throws(() => access.authorize(anonymous, "*", "consume"), {
    kind: "unauthenticated",
    message: /token/,
  });
});
