import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeFilters,
  encodeFilter,
  filtersOf,
  passesFilters,
} from "../../../../src/membership/serf/query-filter.ts";

test("a member passes if it passes every filter", () => {
  const filters = filtersOf({ nodes: ["a", "b"], tags: { role: "^web", zone: "[12]$" } });
  assert.equal(passesFilters(filters, "a", { role: "web-1", zone: "z2" }), true);
  assert.equal(passesFilters(filters, "c", { role: "web-1", zone: "z2" }), false);
  assert.equal(passesFilters(filters, "a", { role: "db", zone: "z2" }), false);
  assert.equal(passesFilters(filters, "a", { role: "web" }), false, "an absent tag is empty");
  assert.equal(passesFilters(filtersOf({ nodes: [] }), "any", {}), true);
});

test("filters decode to what was encoded", () => {
  const filters = filtersOf({ nodes: ["a", "ä"], tags: { role: "web.*" } });
  assert.deepEqual(decodeFilters(filters.map(encodeFilter)), filters);
});

test("an unsupported expression is refused in an own query, and passes no member in another's", () => {
  assert.throws(() => filtersOf({ tags: { role: "(" } }), { kind: "bad-request" });
  assert.equal(passesFilters([{ kind: "tag", tag: "role", expression: "(" }], "a", { role: "(" }), false);
});

test("malformed filters are refused", () => {
  const tooMany = Array.from({ length: 17 }, () => encodeFilter({ kind: "nodes", names: ["a"] }));
  assert.throws(() => decodeFilters(tooMany), { kind: "bad-request" });
  for (const bad of [null, Buffer.alloc(0), Buffer.from([2, 0x90]), Buffer.from([0, 0x91, 0x01])]) {
    assert.throws(() => decodeFilters([bad]), { kind: "bad-request" });
  }
});
