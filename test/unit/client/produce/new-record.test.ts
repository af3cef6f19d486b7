/** The records of applications: which values are accepted, and which fault a rejected one gets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type NewRecord, recordBytesOf } from "../../../../src/client/produce/new-record.ts";
import { Fault } from "../../../../src/fault.ts";
import { allValues } from "../../../support/log/logs.ts";
import { FakeCluster } from "../fake-cluster.ts";

/** Calls it as JavaScript can, without types. */
const taken = (input: unknown) => recordBytesOf(input as NewRecord);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("text and every kind of buffer is accepted as value, as key and alone", () => {
  const buffer = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer;
  const shared = new SharedArrayBuffer(2);
  new Uint8Array(shared).set([9, 8]);
  const forms: readonly (readonly [unknown, string])[] = [
    ["é", "c3a9"],
    ["", ""],
    [Uint8Array.of(1, 2), "0102"],
    [Buffer.from("ab"), "6162"],
    [buffer, "0102030405060708"],
    [shared, "0908"],
    [new Uint16Array(buffer, 2, 2), "03040506"],
    [new DataView(buffer, 1, 3), "020304"],
    [new Float64Array(buffer), "0102030405060708"],
    [new Uint8Array(buffer, 7), "08"],
  ];
  for (const [input, bytes] of forms) {
    assert.equal(hex(taken({ value: input }).value), bytes);
    assert.equal(hex(taken({ key: input }).key), bytes);
    assert.equal(hex(taken(input).value), bytes);
    assert.equal(hex(taken({ headers: { name: input } }).headers[0]![1]), bytes);
  }
  assert.deepEqual(taken({}), taken({ value: undefined, key: undefined, headers: undefined }));
});

test("headers are a list of key and value, or an object of names and values", () => {
  const asText = (input: unknown) =>
    taken({ headers: input }).headers.map((pair) => pair.map((part) => String(Buffer.from(part))));
  assert.deepEqual(
    asText([
      { key: "a", value: "1" },
      { key: "a", value: Buffer.from("2") },
    ]),
    [
      ["a", "1"],
      ["a", "2"],
    ],
  );
  assert.deepEqual(asText({ a: "1", b: "" }), [
    ["a", "1"],
    ["b", ""],
  ]);
  assert.deepEqual(asText(Object.assign(Object.create(null), { a: "1" })), [["a", "1"]]);
  assert.deepEqual(asText([]), []);
});

const refused: readonly (readonly [title: string, input: unknown, field: string, message: RegExp])[] = [
  ["null", null, "record", /found null/],
  ["nothing", undefined, "record", /found undefined/],
  ["a number", 42, "record", /found a number/],
  ["an array", ["a"], "record", /found an array/],
  ["a function", () => 1, "record", /found a function/],
  ["an object of other properties", { val: "x" }, "record", /it has the properties val/],
  ["a Map", new Map([["value", "x"]]), "record", /found an object \(Map\)/],
  ["a Date", new Date(), "record", /found an object \(Date\)/],
  ["an object as value", { value: {} }, "value", /value must be a string, .* found an object \(Object\)/],
  ["a number as value", { value: 42 }, "value", /found a number/],
  ["null as value", { value: null }, "value", /found null/],
  ["an array of numbers as value", { value: [1, 2] }, "value", /found an array/],
  ["a Date as value", { value: new Date() }, "value", /found an object \(Date\)/],
  ["a promise as key", { key: Promise.resolve("x") }, "key", /found an object \(Promise\)/],
  [
    "headers with a name instead of a key",
    { headers: [{ name: "a", value: "b" }] },
    "headers[0].key",
    /found undefined/,
  ],
  ["a header without a value", { headers: [{ key: "a" }] }, "headers[0].value", /found undefined/],
  ["a header that is null", { headers: [null] }, "headers[0]", /found null/],
  ["pairs as headers", { headers: [["a", "b"]] }, "headers[0].key", /found undefined/],
  ["a Map as headers", { headers: new Map([["a", "b"]]) }, "headers", /found an object \(Map\)/],
  ["Headers as headers", { headers: new Headers({ a: "b" }) }, "headers", /found an object \(Headers\)/],
  ["text as headers", { headers: "a: b" }, "headers", /found a string/],
  ["a number as value of a header", { headers: { a: 1 } }, "headers.a", /found a number/],
  ["a lone surrogate", { value: "\ud800" }, "value", /surrogate/],
];

for (const [title, input, field, message] of refused) {
  test(`${title} is rejected as a bad record with the name of the field`, () => {
    assert.throws(
      () => taken(input),
      (thrown) =>
        thrown instanceof Fault &&
        thrown.kind === "bad-record" &&
        thrown.written === "no" &&
        thrown.facts["field"] === field &&
        message.test(thrown.message),
    );
  });
}

test("a buffer that was transferred is rejected", () => {
  const buffer = new ArrayBuffer(4);
  structuredClone(buffer, { transfer: [buffer] });
  assert.throws(() => taken({ value: buffer }), { kind: "bad-record" });
});

test("a rejected record has no effect on other sends", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  await using other = cluster.client();
  const producer = client.producer({ lingerMs: 0 });
  const bad = refused.map(([, input]) => producer.send(input as NewRecord));
  const good = producer.send("first");
  for (const one of await Promise.allSettled(bad)) assert.equal(one.status, "rejected");
  assert.equal((await good).firstOffset, 0);
  assert.equal((await other.producer({ id: 7n }).send({ value: "second" })).firstOffset, 1);
  assert.deepEqual(await allValues(cluster.log), ["first", "second"]);
});
