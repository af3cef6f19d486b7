import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { cut, errorFacts } from "../../../src/telemetry/error-facts.ts";

test("a fault and an error of the system have no stack, any other error has one", () => {
  const fault = new Fault("disk-full", { facts: { errno: "ENOSPC" } });
  assert.deepEqual(errorFacts(fault), {
    ...{ type: "Fault", kind: "disk-full", message: "the disk is full", written: "no", errno: "ENOSPC" },
  });
  const system = Object.assign(new Error("read"), { code: "ECONNRESET" });
  assert.deepEqual(errorFacts(system), { type: "Error", message: "read", code: "ECONNRESET" });
  assert.match((errorFacts(new TypeError("x")) as { stack: string }).stack, /error-facts/);
});

test("a chain of causes is cut, also if it is a cycle", () => {
  const cycle = new Fault("unknown");
  Object.assign(cycle, { cause: cycle });
  let [at, depth] = [errorFacts(cycle) as { cause?: unknown }, 0];
  for (; typeof at.cause === "object"; depth++) at = at.cause as typeof at;
  assert.deepEqual([depth, at.cause], [3, "[more causes]"]);
});

test("the number and the length of facts are limited", () => {
  const error = Object.assign(new Error("x".repeat(5_000)), { code: "E", long: "y".repeat(5_000) });
  for (let at = 0; at < 100; at++) Object.assign(error, { [`fact${at}`]: at });
  const facts = errorFacts(error) as Record<string, string>;
  assert.ok(Object.keys(facts).length < 20, String(Object.keys(facts)));
  assert.ok(JSON.stringify(facts).length < 2_500);
  assert.match(String(facts["long"]), /… \(5000 characters\)$/);
});

test("an object of another class is logged by its class only, since it can hold anything", () => {
  class Secret {
    readonly key = "k";
  }
  assert.equal(errorFacts(new Secret()), "[Secret]");
  assert.deepEqual(errorFacts({ plain: 1 }), { plain: 1 });
  assert.equal(errorFacts("text"), "text");
});

test("several errors are named, up to a number", () => {
  const all = new AggregateError(
    ["a", "b", "c", "d", "e", "f"].map((text) => new Error(text)),
    "all",
  );
  const { errors } = errorFacts(all) as { errors: string[] };
  assert.deepEqual(errors, ["Error: a", "Error: b", "Error: c", "Error: d", "[2 more]"]);
});

test("a text is cut only beyond its limit", () => {
  assert.deepEqual([cut("abc", 3), cut("abcd", 3)], ["abc", "abc… (4 characters)"]);
});
