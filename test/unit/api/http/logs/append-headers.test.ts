import assert from "node:assert/strict";
import { test } from "node:test";
import { expectedOffsetOf, keyOf, producerOf } from "../../../../../src/api/http/logs/append-headers.ts";
import { Fault } from "../../../../../src/fault.ts";

const refused = (work: () => unknown, what: unknown) =>
  assert.throws(
    work,
    (reason) => reason instanceof Fault && reason.kind === "bad-request",
    JSON.stringify(what),
  );

test("a key is percent-encoded UTF-8, or base64", () => {
  assert.equal(keyOf({ headers: {} }), undefined);
  assert.deepEqual(keyOf({ headers: { "tailrace-key": "a%20%C3%A9%2C" } }), Buffer.from("a é,"));
  assert.deepEqual(keyOf({ headers: { "tailrace-key": "" } }), Buffer.alloc(0));
  assert.deepEqual(keyOf({ headers: { "tailrace-key-base64": "AP8=" } }), Buffer.of(0, 255));
  for (const headers of [
    { "tailrace-key": "a, b" },
    { "tailrace-key": "a b" },
    { "tailrace-key": "é" },
    { "tailrace-key": "%" },
    { "tailrace-key": "%ff" },
    { "tailrace-key-base64": "a" },
    { "tailrace-key-base64": "-_==" },
    { "tailrace-key": "a", "tailrace-key-base64": "YQ==" },
  ] as Record<string, string>[])
    refused(() => keyOf({ headers }), headers);
});

test("an expected offset is a whole number", () => {
  assert.equal(expectedOffsetOf({ headers: {} }), undefined);
  assert.equal(expectedOffsetOf({ headers: { "tailrace-expected-offset": "12" } }), 12);
  for (const text of ["", "-1", "1.5", "1, 1"])
    refused(() => expectedOffsetOf({ headers: { "tailrace-expected-offset": text } }), text);
});

test("a producer is id, epoch and sequence, each in its range", () => {
  const of = (text: string) => producerOf({ headers: { "tailrace-producer": text } }, "me");
  assert.equal(producerOf({ headers: {} }, "me"), undefined);
  assert.deepEqual(of("18446744073709551615, 4294967295,9007199254740991"), {
    subject: "me",
    id: 18446744073709551615n,
    epoch: 4294967295,
    sequence: 9007199254740991,
  });
  for (const text of [
    "",
    "1",
    "1,2",
    "1,2,3,4",
    "1,2,3, 1,2,3",
    "-1,0,0",
    "1,-1,0",
    "1,0,x",
    "18446744073709551616,0,0",
    "1,4294967296,0",
    "1,0,9007199254740992",
    "0x1,0,0",
  ])
    refused(() => of(text), text);
});
