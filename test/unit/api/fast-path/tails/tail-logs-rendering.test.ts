import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { renderTailed } from "../../../../../src/api/fast-path/tails/tail-logs-rendering.ts";
import { type TailLogsResponse, TailLogsResponseSchema } from "../../../../../src/gen/log/v1/log_pb.js";
import { encodeRun } from "../../../../../src/log/mod.ts";
import type { BatchSlice, TailedBatches } from "../../../../../src/types.ts";
import { envelopesOf } from "../../../../support/http/fast-path-servers.ts";
import { MemoryLog } from "../../../../support/log/memory-log.ts";

const responsesOf = (bytes: Uint8Array): TailLogsResponse[] =>
  envelopesOf(Buffer.from(bytes)).map(({ message }) => fromBinary(TailLogsResponseSchema, message));

const log = { id: 7, name: "a/🦀" };
const batchesOf = (slice: BatchSlice, from = slice.firstOffset): TailedBatches => ({
  log,
  slice,
  index: 1,
  from,
});

/** The slice that holds batches with values of these sizes, each batch a list. */
async function sliceOf(batches: readonly (readonly number[])[]): Promise<BatchSlice> {
  const memory = new MemoryLog();
  const frames: Uint8Array[] = [];
  let nextOffset = 0;
  for (const sizes of batches) {
    await memory.append(encodeRun(sizes.map((bytes) => ({ value: Buffer.alloc(bytes, "v") }))));
    const slice = await memory.read(nextOffset);
    frames.push(slice.frames);
    ({ nextOffset } = slice);
  }
  return { frames: Buffer.concat(frames), firstOffset: 0, nextOffset };
}

test("a response has the records of one batch, the name and id of the log, and the token after the last record", async () => {
  const slice = await sliceOf([[1, 0], [3]]);
  const { bytes, records, frames } = renderTailed(batchesOf(slice), 9);
  const responses = responsesOf(bytes);
  assert.deepEqual(
    responses.map((one) => [one.log, one.logId, one.records.map(({ offset }) => Number(offset))]),
    [
      ["a/🦀", "9-7", [0, 1]],
      ["a/🦀", "9-7", [2]],
    ],
  );
  assert.match(responses[0]!.resume, /^r9\.\d+\.2$/);
  assert.match(responses[1]!.resume, /^r9\.\d+\.1$/);
  assert.deepEqual([records, frames], [3, slice.frames]);
});

test("default has no id, and a longest name is whole", async () => {
  const slice = await sliceOf([[1]]);
  const ofDefault = renderTailed({ ...batchesOf(slice, 0), log: { id: 0, name: "default" } }, 9);
  assert.equal(responsesOf(ofDefault.bytes)[0]?.logId, undefined);
  const name = "é".repeat(127);
  const other = await sliceOf([[1]]);
  const ofLongest = renderTailed({ ...batchesOf(other), log: { id: 0xffff_ffff, name } }, 0xffff_ffff);
  assert.equal(responsesOf(ofLongest.bytes)[0]?.log, name);
  assert.equal(responsesOf(ofLongest.bytes)[0]?.logId, "4294967295-4294967295");
});

test("a whole slice is rendered once for all tails, and again in another life", async () => {
  const slice = await sliceOf([[1], [2]]);
  const first = renderTailed(batchesOf(slice), 1);
  assert.equal(renderTailed(batchesOf(slice), 1), first);
  assert.match(responsesOf(renderTailed(batchesOf(slice), 2).bytes)[0]!.resume, /^r2\./);
  assert.equal(renderTailed(batchesOf(slice, 1), 2).records, 1);
});

test("whatever the sizes of records are, all come once, in responses of at most 256 KiB or one record", async () => {
  const size = fc.oneof({ weight: 4, arbitrary: fc.nat(2_000) }, fc.nat(300_000));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(size, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 }),
      fc.nat(5),
      async (sizes, skipped) => {
        const slice = await sliceOf(sizes);
        const all = sizes.flat();
        const from = Math.min(skipped, all.length - 1);
        const { bytes, records } = renderTailed(batchesOf(slice, from), 1);
        const responses = responsesOf(bytes);
        assert.equal(records, all.length - from);
        const found = responses.flatMap((one) => one.records);
        assert.deepEqual(
          found.map(({ offset, value }) => [Number(offset), value.length]),
          all.slice(from).map((length, at) => [from + at, length]),
        );
        for (const one of responses) {
          const content = one.records.reduce((sum, { value }) => sum + value.length, 0);
          assert.ok(
            one.records.length === 1 || content <= 256 * 1024,
            JSON.stringify(toJson(TailLogsResponseSchema, one)).slice(0, 200),
          );
        }
      },
    ),
    { numRuns: 30 },
  );
});
