import assert from "node:assert/strict";
import { test } from "node:test";
import { orderOf, producerOf } from "../../../../../src/api/http/durable-streams/stream-producer.ts";

const of = (name?: string, epoch?: string, sequence?: string) => ({
  headers: { "producer-id": name, "producer-epoch": epoch, "producer-seq": sequence },
});

test("a producer has all three headers, or none", () => {
  assert.equal(producerOf(of()), undefined);
  assert.deepEqual(producerOf(of("order service", "3", "9007199254740991")), {
    name: "order service",
    epoch: 3,
    sequence: Number.MAX_SAFE_INTEGER,
  });
  assert.throws(() => producerOf(of("a", "0")), { facts: { field: "Producer-Seq" } });
  assert.throws(() => producerOf(of(undefined, "0", "0")), { facts: { field: "Producer-Id" } });
});

test("numbers are whole, and names and orders have 1 to 255 bytes", () => {
  for (const number of ["", "-1", "01", "1.5", "1e3", "9007199254740992", "x"]) {
    assert.throws(() => producerOf(of("a", number, "0")), { facts: { field: "Producer-Epoch" } }, number);
    assert.throws(() => producerOf(of("a", "0", number)), { facts: { field: "Producer-Seq" } }, number);
  }
  for (const text of ["", "x".repeat(256), "é".repeat(128)]) {
    assert.throws(() => producerOf(of(text, "0", "0")), { facts: { field: "Producer-Id" } });
    assert.throws(() => orderOf({ headers: { "stream-seq": text } }), { facts: { field: "Stream-Seq" } });
  }
  assert.equal(orderOf({ headers: {} }), undefined);
  assert.equal(orderOf({ headers: { "stream-seq": "001" } }), "001");
});
