import assert from "node:assert/strict";
import { test } from "node:test";
import { SmallWrites } from "../../../../../src/api/fast-path/tails/small-writes.ts";

function openWrites() {
  const written: Uint8Array[] = [];
  const state = { writable: true };
  const writes = new SmallWrites((bytes) => {
    written.push(bytes);
    return state.writable;
  });
  return { writes, written, state, body: () => Buffer.concat(written).toString() };
}

test("small pieces are joined until the flush, in their order with large ones", () => {
  const { writes, written, body } = openWrites();
  const large = Buffer.alloc(5_000, "L");
  for (const piece of ["a", "b"]) writes.write(Buffer.from(piece));
  assert.equal(written.length, 0);
  writes.write(large);
  assert.deepEqual(
    written.map(({ length }) => length),
    [2, 5_000],
  );
  writes.write(Buffer.from("c"));
  writes.flush();
  writes.flush();
  assert.equal(written.length, 3);
  assert.equal(body(), `ab${large.toString()}c`);
});

test("a piece that is alone is written without a copy", () => {
  const { writes, written } = openWrites();
  const piece = Buffer.from("alone");
  writes.write(piece);
  writes.flush();
  assert.equal(written[0], piece);
});

test("no more than 16 KiB and a piece are held", () => {
  const { writes, written } = openWrites();
  for (let at = 0; at < 100; at++) writes.write(Buffer.alloc(1_000));
  assert.equal(written.length, 5);
  assert.ok(written.every(({ length }) => length < 16 * 1024 + 4 * 1024));
});

test("a stream that must drain is reported by the write that fills it, and by no later one", () => {
  const { writes, state } = openWrites();
  state.writable = false;
  assert.equal(writes.write(Buffer.alloc(5_000)), false);
  assert.equal(writes.write(Buffer.from("held")), true);
  assert.equal(writes.flush(), false);
  assert.equal(writes.flush(), true);
});
