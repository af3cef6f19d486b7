/** Roles of a policy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AccessControl, namedIdentity, type PolicySource } from "../../../src/access/mod.ts";

const outsider = namedIdentity("outsider");
const policy = (text: string, more: Partial<PolicySource> = {}): PolicySource => ({
  policy: text,
  policyName: "policy.csv",
  ...more,
});

test("roles may form circles, contain each other, and nest to any depth", async () => {
  const names = Array.from({ length: 40 }, (_, at) => `r${at}`);
  const everyones = names.flatMap((one) => names.map((other) => `g, ${one}, ${other}\n`)).join("");
  const circle = await AccessControl.open(
    policy(`${everyones}g, member, r0\np, r39, *, produce\np, other, *, produce`),
  );
  assert.equal(circle.check(namedIdentity("member"), "*", "produce"), true);
  assert.equal(circle.check(namedIdentity("member"), "*", "consume"), false);
  assert.equal(circle.check(outsider, "*", "produce"), false);
  const chain = names
    .slice(1)
    .map((name, at) => `g, r${at}, ${name}\n`)
    .join("");
  const deep = await AccessControl.open(policy(`${chain}p, r39, *, produce\np, r0, *, trim`));
  assert.equal(deep.check(namedIdentity("r0"), "*", "produce"), true);
  assert.equal(
    deep.check(namedIdentity("r39"), "*", "trim"),
    false,
    "a role does not get the rights of its members",
  );
});
