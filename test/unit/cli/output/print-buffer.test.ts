/** Output that is collected. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PrintBuffer } from "../../../../src/cli/output/print-buffer.ts";

test("pieces of text and bytes keep their order", () => {
  const out = new PrintBuffer();
  assert.equal(out.take(), undefined);
  out.text("one ");
  out.add("ü");
  assert.equal(out.take(), "one ü");
  out.text("a");
  out.add(Uint8Array.of(0xff));
  out.add("ü");
  out.text("b");
  out.add(Buffer.from("c"));
  assert.deepEqual(out.take(), Buffer.from([0x61, 0xff, 0xc3, 0xbc, 0x62, 0x63]));
  assert.equal(out.take(), undefined);
});

test("it is full after 64 KiB, and empty after take()", () => {
  const out = new PrintBuffer();
  out.text("x".repeat(65_000));
  assert.ok(!out.isFull);
  out.add(Buffer.alloc(1_000));
  assert.ok(out.isFull);
  assert.equal(out.take()?.length, 66_000);
  assert.ok(!out.isFull);
});
