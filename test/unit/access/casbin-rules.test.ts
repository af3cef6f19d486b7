/** Policies of models that only Casbin can decide. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { casbinLinesMax } from "../../../src/access/casbin-rules.ts";
import { AccessControl, namedIdentity, type PolicySource } from "../../../src/access/mod.ts";
import { defaultModel } from "../../../src/access/model.ts";
import { Fault } from "../../../src/fault.ts";

const data = (name: string): string => readFileSync(new URL(`data/${name}`, import.meta.url), "utf8");
const bookModel = data("book-model.conf");
const root = namedIdentity("root");
const policy = (text: string, more: Partial<PolicySource> = {}): PolicySource => ({
  policy: text,
  policyName: "policy.csv",
  ...more,
});
const lines = (count: number, line: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => line(at)).join("\n");
const configFault = (pattern: RegExp) => (thrown: unknown) =>
  thrown instanceof Fault && thrown.kind === "config" && pattern.test(thrown.message);

test("a matcher that fails for a caller allows nothing, and one that fails for its own rule is refused", async () => {
  const model = bookModel.replace("r.act == p.act", "r.act == p.act && keyMatch2(r.sub, none.at)");
  await assert.rejects(
    AccessControl.open(policy("p, root, *, produce", { model })),
    configFault(/cannot be evaluated/),
  );
  const late = bookModel.replace("r.act == p.act", '(r.act == p.act && (r.sub != "boss" || none.at))');
  const access = await AccessControl.open(
    policy("p, root, *, produce\np, boss, *, produce", { model: late }),
  );
  assert.equal(access.check(root, "*", "produce"), true);
  assert.equal(access.check(namedIdentity("boss"), "*", "produce"), false);
});

test("a policy that only Casbin can decide is refused beyond the limit of lines", async () => {
  const model = defaultModel.replace("logMatch", "keyMatch");
  const large = (count: number): PolicySource => ({
    policy: lines(count, (at) => `p, user-${at}, log-${at}, produce`),
    model,
  });
  const access = await AccessControl.open(large(100));
  assert.equal(access.check(namedIdentity("user-7"), "log-7", "produce"), true);
  await assert.rejects(
    access.setPolicy(large(casbinLinesMax + 1)),
    (thrown) =>
      thrown instanceof Fault &&
      thrown.kind === "config" &&
      /has 5001 lines; .* at most 5000/.test(thrown.message),
  );
  assert.equal(
    access.check(namedIdentity("user-7"), "log-7", "produce"),
    true,
    "the previous rules stay in force",
  );
});

test("a model of one's own may call logMatch, which matches a name or a prefix across slashes", async () => {
  const model = defaultModel.replace("r.act == p.act)", 'r.act == p.act) && r.sub != "guest"');
  const access = await AccessControl.open(
    policy("p, root, orders/*, produce\np, guest, orders/*, produce\np, root, returns, produce", { model }),
  );
  const may = (name: string): string[] =>
    ["orders/eu/1", "orders", "returns", "returns/eu"].filter((object) =>
      access.check(namedIdentity(name), object, "produce"),
    );
  assert.deepEqual(may("root"), ["orders/eu/1", "returns"]);
  assert.deepEqual(may("guest"), []);
  await assert.rejects(
    access.setPolicy(policy("p, root, orders/?, produce", { model })),
    configFault(/policy\.csv line 1 names the object "orders\/\?"/),
  );
});

test("a model that calls globMatch keeps Casbin's globs", async () => {
  const model = defaultModel.replace("logMatch(r.obj, p.obj)", '(p.obj == "*" || globMatch(r.obj, p.obj))');
  const access = await AccessControl.open(policy("p, root, orders/[a-e]*, produce", { model }));
  assert.equal(access.check(root, "orders/eu", "produce"), true);
  assert.equal(access.check(root, "orders/us", "produce"), false);
  assert.equal(access.check(root, "orders/eu/1", "produce"), false);
});
