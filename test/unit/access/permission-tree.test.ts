/**
 * The tree decides as Casbin with `logMatch` does, for the default model and that of *Distributed Services with Go*, and
 * names the same line. Under the second one the object `*` of a rule is every log, which Casbin is told by a changed matcher.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { newEnforcer, newModelFromString } from "casbin";
import fc from "fast-check";
import { logMatch } from "../../../src/access/log-match.ts";
import { defaultModel } from "../../../src/access/model.ts";
import { modelShape } from "../../../src/access/model-shape.ts";
import { comparePatterns } from "../../../src/access/name-patterns.ts";
import { PermissionTree } from "../../../src/access/permission-tree.ts";
import type { PolicyLine } from "../../../src/access/policy.ts";

const bookModel = readFileSync(new URL("data/book-model.conf", import.meta.url), "utf8");

const subjects = ["a", "b", "c", "role", "__proto__", "*"];
/** Names that are prefixes of each other, names with a meaning elsewhere, and characters beyond 16 bits. */
const names = fc.oneof(
  fc.constantFrom("default", "orders", "orders/eu", "orders/eu/1", "orders-eu", "__proto__", "!x", "#x", "é"),
  fc.string({ unit: fc.constantFrom("a", "b", "/", "😀", "😁"), minLength: 1, maxLength: 5 }),
);
const objects = fc.oneof(
  names,
  names.map((name) => `${name}*`),
  fc.constantFrom("*", "orders/*", "orders*", "o*", "a*", "a/*"),
);
const rule = fc.tuple(
  fc.constantFrom(...subjects),
  objects,
  fc.constantFrom("produce", "admin", "consume", "*"),
);
const grant = fc.tuple(fc.constantFrom(...subjects), fc.constantFrom(...subjects));
const policies = fc.record({
  rules: fc.array(rule, { maxLength: 20, size: "max" }),
  grants: fc.array(grant, { maxLength: 5 }),
  /** Names that the policy may not mention. */
  others: fc.array(names, { maxLength: 5 }),
});

const everyLogModel = bookModel.replace("r.obj == p.obj", '(p.obj == "*" || r.obj == p.obj)');

/** What Casbin decides: the line of the first rule that allows, or undefined. */
async function oracle(text: string, lines: readonly PolicyLine[]) {
  const model = newModelFromString(text);
  for (const { kind, fields } of lines) model.addPolicy(kind, kind, [...fields]);
  const enforcer = await newEnforcer(model);
  await enforcer.addFunction("logMatch", logMatch);
  await enforcer.buildRoleLinks();
  return (subject: string, object: string, action: string): number | undefined => {
    const [allowed, rule] = enforcer.enforceExSync(subject, object, action);
    if (!allowed) return undefined;
    return lines.find(({ kind, fields }) => kind === "p" && fields.join("\n") === rule.join("\n"))?.line;
  };
}

for (const [title, text, oracleText] of [
  ["the built-in model", defaultModel, defaultModel],
  ["the model of Distributed Services with Go", bookModel, everyLogModel],
] as const) {
  test(`the tree decides as Casbin does under ${title}, and names the same line`, async () => {
    const { form } = modelShape(newModelFromString(text), "model.conf");
    assert.ok(form !== undefined);
    let [allowed, denied] = [0, 0];
    await fc.assert(
      fc.asyncProperty(policies, async ({ rules, grants, others }) => {
        const lines: PolicyLine[] = [
          ...rules.map((fields) => ({ kind: "p", fields })),
          ...(form.roles ? grants : []).map((fields) => ({ kind: "g", fields })),
        ].map((line, at) => ({ ...line, line: at + 1 }));
        const casbin = await oracle(oracleText, lines);
        const tree = await PermissionTree.of(lines, form);
        const asked = rules.flatMap(([, object]) => [object, object.replace(/\*$/, ""), `${object}/x`]);
        for (const object of new Set(["*", "orders/eu", ...asked, ...others])) {
          for (const subject of ["a", "role", "other"]) {
            for (const action of ["produce", "admin"]) {
              const expected = casbin(subject, object, action);
              const found = tree.ruleFor(subject, object, action)?.line;
              assert.equal(found, expected, `${subject} ${object} ${action}`);
              if (found === undefined) denied++;
              else allowed++;
            }
          }
        }
      }),
      { numRuns: 200, seed: 20261129 },
    );
    assert.ok(allowed > 100 && denied > 100, `${allowed} allowed, ${denied} denied`);
  });
}

test("the first line that allows is named: of the subject, a role, a name or a prefix", async () => {
  const rules = ["a x/* consume", "r x/y *", "a x/y produce", "a * produce", "r x* produce"];
  const lines = [
    ...rules.map((rule) => ({ kind: "p", fields: rule.split(" ") })),
    { kind: "g", fields: ["a", "r"] },
  ].map((line, at) => ({ ...line, line: at + 1 }));
  const tree = await PermissionTree.of(lines, { roles: true, prefixes: true, anyAction: true });
  const line = (object: string, action: string): number | undefined =>
    tree.ruleFor("a", object, action)?.line;
  assert.equal(line("x/y", "produce"), 2);
  assert.equal(line("x/z", "produce"), 4);
  assert.equal(line("x/y", "consume"), 1);
  assert.equal(line("x/y", "trim"), 2);
  assert.equal(line("x", "consume"), undefined);
  assert.equal(tree.ruleFor("r", "x", "produce")?.line, 5);
});

test("decisions stay the same when more role memberships are asked for than are kept", async () => {
  const roles = Array.from({ length: 1_000 }, (_, at) => ["g", `role-${at}`, `role-${at + 1}`]);
  const subjects = Array.from({ length: 150 }, (_, at) => `subject-${at}`);
  const lines = [
    ...roles,
    ...subjects.map((subject) => ["g", subject, "role-0"]),
    ["p", "role-1000", "orders/*", "produce"],
  ].map(([kind = "", ...fields], at) => ({ kind, fields, line: at + 1 }));
  const tree = await PermissionTree.of(lines, { roles: true, prefixes: true, anyAction: true });
  for (const subject of [...subjects, ...subjects]) {
    assert.equal(tree.ruleFor(subject, "orders/1", "produce")?.line, lines.length);
    assert.equal(tree.ruleFor(subject, "orders", "produce"), undefined);
  }
});

test("the objects of a subject are in order, each once and none that another one covers", async () => {
  await fc.assert(
    fc.asyncProperty(policies, async ({ rules, grants, others }) => {
      const lines: PolicyLine[] = [
        ...rules.map((fields) => ({ kind: "p", fields })),
        ...grants.map((fields) => ({ kind: "g", fields })),
      ].map((line, at) => ({ ...line, line: at + 1 }));
      for (const prefixes of [true, false]) {
        const tree = await PermissionTree.of(lines, { roles: true, prefixes, anyAction: true });
        for (const subject of subjects) {
          const patterns = tree.patternsOf(subject, "produce");
          assert.deepEqual(patterns, [...patterns].sort(comparePatterns));
          assert.deepEqual(tree.patternsOf(subject, "produce"), patterns, "the same list again");
          const covers = (name: string): number => patterns.filter((one) => logMatch(name, one)).length;
          for (const name of [
            ...others,
            "orders/eu",
            ...rules.map(([, object]) => object.replace(/\*$/, "")),
          ]) {
            if (name === "") continue;
            assert.equal(covers(name), tree.ruleFor(subject, name, "produce") === undefined ? 0 : 1, name);
          }
        }
      }
    }),
    { numRuns: 100, seed: 20261130 },
  );
});

test("the object * is every log under a model that compares objects for equality, another wildcard is none", async () => {
  const lines = [
    ["root", "*", "produce"],
    ["root", "orders/*", "consume"],
    ["root", "news", "consume"],
  ].map((fields, at) => ({ kind: "p", fields, line: at + 1 }));
  const tree = await PermissionTree.of(lines, { roles: false, prefixes: false, anyAction: false });
  assert.equal(tree.ruleFor("root", "orders/eu", "produce")?.line, 1);
  assert.equal(tree.ruleFor("root", "orders/eu", "consume"), undefined);
  assert.deepEqual(tree.patternsOf("root", "produce"), ["*"]);
  assert.deepEqual(tree.patternsOf("root", "consume"), ["news"]);
});
