/** The line on standard error about a fault. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { faultLine } from "../../../../src/cli/output/fault-line.ts";
import { printable } from "../../../../src/cli/output/terminal.ts";
import { Fault } from "../../../../src/fault.ts";

test("the line has the message and the facts, with control characters escaped", () => {
  const outside = new Fault("out-of-range", { facts: { lowest: 1, next: 3 } });
  assert.equal(
    faultLine("consume", outside),
    "tailrace consume: the offset is not in the log (lowest 1, next 3)",
  );
  const hostile = new Fault("unavailable", { message: "a\u001b]0;b", facts: { address: "\u001b" } });
  const line = faultLine("status", hostile);
  assert.equal(printable(line), line);
});

test("the line about a fault says only for a write that its outcome is unknown", () => {
  const fault = new Fault("unknown", { message: "cut", written: "unknown" });
  assert.equal(
    faultLine("produce", fault, "write"),
    "tailrace produce: cut; it is not known whether it was written",
  );
  assert.equal(faultLine("consume", fault), "tailrace consume: cut");
});

test("the line about a failed stream of appends says how many were written, and no fact twice", () => {
  const cut = (before: number, written: "no" | "unknown"): string =>
    faultLine(
      "produce",
      new Fault("unavailable", { message: "no leader", facts: { records_before: before }, written }),
      "write",
    );
  assert.equal(cut(0, "no"), "tailrace produce: no leader; nothing was written");
  assert.equal(cut(7, "no"), "tailrace produce: no leader; 7 records were written before, and none after");
  assert.equal(cut(7, "unknown"), "tailrace produce: no leader; it is not known whether it was written");
  assert.equal(cut(1, "no"), "tailrace produce: no leader; 1 record was written before, and none after");
  const removed = new Fault("failed-precondition", {
    message: "removed, its members are at a:1 b:1",
    facts: { members: "a:1 b:1", lowest: 1 },
  });
  assert.equal(faultLine("trim", removed), "tailrace trim: removed, its members are at a:1 b:1 (lowest 1)");
});

test("after an unknown outcome the line says how many records were written, and of how many it is not known", () => {
  const cut = (records_before: number, records_unknown: number): string =>
    faultLine(
      "produce",
      new Fault("interrupted", {
        message: "cut",
        facts: { records_before, records_unknown },
        written: "unknown",
      }),
      "write",
    );
  assert.equal(cut(0, 1), "tailrace produce: cut; it is not known whether it was written");
  assert.equal(
    cut(0, 3),
    "tailrace produce: cut; it is not known whether the first 3 were written; none after",
  );
  assert.equal(
    cut(7, 1),
    "tailrace produce: cut; 7 records were written before; it is not known whether the next one was written; none after",
  );
  assert.equal(
    cut(1, 640),
    "tailrace produce: cut; 1 record was written before; it is not known whether the next 640 were written; none after",
  );
});

test("the place of an error in a filter is in the message, and is not repeated", () => {
  const facts = { field: "filter", character: 11 };
  const fault = new Fault("bad-request", { message: "the filter is not valid at character 11: x", facts });
  assert.equal(faultLine("tail", fault), "tailrace tail: the filter is not valid at character 11: x");
});

test("a caller without a credential is told of the flags", () => {
  const message = "a client certificate is required, or a token";
  assert.match(
    faultLine("produce", new Fault("unauthenticated", { message })),
    /token\. A command .* --token-file/,
  );
  const revoked = new Fault("unauthenticated", {
    message: "it was revoked",
    facts: { reason: "TOKEN_REVOKED" },
  });
  assert.doesNotMatch(faultLine("produce", revoked), /--token-file/);
});
