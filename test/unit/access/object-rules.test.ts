/** Which rule of one object is found, with few rules and with many. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ObjectRules } from "../../../src/access/object-rules.ts";
import type { PolicyLine } from "../../../src/access/policy.ts";

type Rule = readonly [subject: string, action: string];

const linesOf = (rules: readonly Rule[]): PolicyLine[] =>
  rules.map(([subject, action], at) => ({ kind: "p", fields: [subject, "*", action], line: at + 1 }));

function objectRules(lines: readonly PolicyLine[]): ObjectRules {
  const rules = new ObjectRules();
  for (const line of lines) rules.add(line);
  return rules;
}

test("the first rule of one of the names is found, or the given one that is before it", () => {
  const lines = linesOf([
    ["b", "produce"],
    ["a", "*"],
    ["a", "produce"],
  ]);
  const rules = objectRules(lines);
  const line = (names: string[], anyAction: boolean, before?: PolicyLine): number | undefined =>
    rules.firstFor(new Set(names), "produce", anyAction, before)?.line;
  assert.equal(line(["a"], true), 2);
  assert.equal(line(["a"], false), 3);
  assert.equal(line(["a", "b"], true), 1);
  assert.equal(line(["c"], true), undefined);
  assert.equal(line(["a"], true, { kind: "p", fields: [], line: 9 }), 2);
  assert.equal(line(["a"], true, { kind: "p", fields: [], line: 0 }), 0);
  assert.equal(line(["c"], true, { kind: "p", fields: [], line: 9 }), 9);
});

test("the rule that is found is the first that a search of all rules finds", () => {
  const subject = fc.constantFrom<string>("a", "b", "c", "d", "e", "__proto__");
  const action = fc.constantFrom("produce", "consume", "*");
  let [few, many] = [0, 0];
  fc.assert(
    fc.property(
      fc.array(fc.tuple(subject, action), { maxLength: 25 }),
      fc.uniqueArray(subject, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (rules, names, anyAction) => {
        const lines = linesOf(rules);
        const expected = lines.find(
          ({ fields: [who = "", , what] }) =>
            names.includes(who) && (what === "produce" || (anyAction && what === "*")),
        );
        const found = objectRules(lines).firstFor(new Set(names), "produce", anyAction, undefined);
        assert.equal(found?.line, expected?.line);
        if (rules.length > 8) many++;
        else few++;
      },
    ),
    { numRuns: 500, seed: 20261129 },
  );
  assert.ok(few > 50 && many > 50, `${few} with few rules, ${many} with many`);
});
