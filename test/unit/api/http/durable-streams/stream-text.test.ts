import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyOf, pieces } from "../../../../../src/api/http/durable-streams/stream-text.ts";
import { systemClock } from "../../../../../src/lib/time/clock.ts";
import type { BatchSlice } from "../../../../../src/types.ts";
import { streamSlice as sliceOf } from "../../../../support/log/stream-slice.ts";

const body = async (...[form, slices, from]: [Parameters<typeof bodyOf>[0], BatchSlice[], number]) => {
  const found = await bodyOf(form, slices, from, systemClock);
  return [found.body.toString(), found.records];
};

test("bytes are joined, and JSON becomes an array, from an offset on", async () => {
  const slices = [sliceOf(5, "1", "2"), sliceOf(7, "3")];
  assert.deepEqual(await body("bytes", slices, 5), ["123", 3]);
  assert.deepEqual(await body("json", slices, 6), ["[2,3]", 2]);
  assert.deepEqual(await body("json", [], 0), ["[]", 0]);
  assert.deepEqual(await body("text", [], 0), ["", 0]);
});

test("a value of a JSON stream that is not JSON is refused with its offset", async () => {
  await assert.rejects(body("json", [sliceOf(5, "1", "no")], 5), {
    kind: "failed-precondition",
    message: /offset 6/,
  });
});

test("pieces have about 64 KiB, and say where the next begins", () => {
  const large = "x".repeat(40_000);
  const found = [...pieces("text", sliceOf(10, large, large, large), 10)];
  assert.deepEqual(
    found.map(({ next, records }) => [next, records]),
    [
      [12, 2],
      [13, 1],
    ],
  );
});

test("a large value is a piece of its own, which is no copy", () => {
  const slice = sliceOf(0, "1", `"${"x".repeat(70_000)}"`, "2");
  const found = [...pieces("json", slice, 0)];
  assert.deepEqual(
    found.map(({ next, body: { length } }) => [next, length]),
    [
      [1, 1],
      [2, 70_002],
      [3, 1],
    ],
  );
  assert.equal(found[1]!.body.buffer, slice.frames.buffer);
});

test("many small records are divided, too", () => {
  const small = Array.from({ length: 5_000 }, () => "1");
  const found = [...pieces("json", sliceOf(0, ...small), 0)];
  assert.deepEqual(
    found.map(({ records }) => records),
    [2_048, 2_048, 904],
  );
});
