/**
 * The index decides as Casbin does, for the default model and that of *Distributed Services with Go*.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { newEnforcer, newModelFromString, Util } from "casbin";
import fc from "fast-check";
import { actions } from "../../../src/access/mod.ts";
import { defaultModel } from "../../../src/access/model.ts";
import { modelShape } from "../../../src/access/model-shape.ts";
import type { PolicyLine } from "../../../src/access/policy.ts";
import { RuleIndex } from "../../../src/access/rule-index.ts";

const bookModel = readFileSync(new URL("data/book-model.conf", import.meta.url), "utf8");

const subjects = fc.constantFrom("a", "b", "c", "role", "__proto__", "*");
const names = fc.constantFrom(
  "*",
  "orders",
  "orders-eu",
  "a/b",
  "a/b/c",
  ".hidden",
  "x[1]",
  "",
  "#x",
  "!x",
  "é",
);
const patterns = fc.oneof(
  names,
  fc.constantFrom(
    "orders*",
    "o?ders",
    "a/*",
    "a/**",
    "**",
    "{orders,a/b}",
    "!orders",
    "[a-o]*",
    "*/b",
    "+(orders)",
    "\\*",
  ),
);
const rule = fc.tuple(subjects, patterns, fc.constantFrom(...actions, "*"));
const grant = fc.tuple(subjects, subjects);

for (const [title, text] of [
  ["the built-in model", defaultModel],
  ["the model of Distributed Services with Go", bookModel],
] as const) {
  test(`the index decides as Casbin does under ${title}, and names the same rule`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(rule, { maxLength: 12 }),
        fc.array(grant, { maxLength: 5 }),
        async (rules, grants) => {
          const model = newModelFromString(text);
          const { form } = modelShape(model, "model.conf");
          assert.ok(form !== undefined);
          const withRoles = form.roles ? grants : [];
          const lines: PolicyLine[] = [
            ...rules.map((fields) => ({ kind: "p", fields })),
            ...withRoles.map((fields) => ({ kind: "g", fields })),
          ].map((line, at) => ({ ...line, line: at + 1 }));
          for (const { kind, fields } of lines) model.addPolicy(kind, kind, [...fields]);
          const enforcer = await newEnforcer(model);
          await enforcer.buildRoleLinks();
          const index = await RuleIndex.of(lines, form, Util.globMatch);
          for (const subject of ["a", "role", "other"]) {
            for (const object of ["*", "orders", "orders-eu", "a/b", "a/b/c", ".hidden", "x1", "!x", "é"]) {
              for (const action of ["produce", "admin"]) {
                const [allowed, fields] = enforcer.enforceExSync(subject, object, action);
                const found = index.ruleFor(subject, object, action);
                assert.deepEqual(
                  found?.fields,
                  allowed ? fields : undefined,
                  `${subject} ${object} ${action}`,
                );
              }
            }
          }
        },
      ),
      { numRuns: 150, seed: 20261129 },
    );
  });
}

test("a matcher that is not recognized exactly is decided by Casbin", () => {
  const formOf = (model: string) => modelShape(newModelFromString(model), "model.conf").form;
  assert.deepEqual(formOf(bookModel), { roles: false, globs: false, anyAction: false });
  assert.deepEqual(formOf(defaultModel), { roles: true, globs: true, anyAction: true });
  for (const [from, to] of [
    ["g(r.sub, p.sub)", "g(p.sub, r.sub)"],
    ['p.obj == "*"', 'p.obj == "all"'],
    ["globMatch", "keyMatch"],
    ["some(where (p.eft == allow))", "!some(where (p.eft == deny))"],
    ["p = sub, obj, act", "p = sub, obj, act, eft"],
    ["r.act == p.act)", 'r.act == p.act) && r.sub != "x"'],
    ["g = _, _", "g = _, _, _"],
  ] as const) {
    assert.ok(defaultModel.includes(from), from);
    assert.equal(formOf(defaultModel.replaceAll(from, to)), undefined, to);
  }
});
