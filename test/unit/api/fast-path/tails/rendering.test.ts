import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { logIdField, logIdTags, noField } from "../../../../../src/api/fast-path/codec/response-codec.ts";
import { render, renderWhole } from "../../../../../src/api/fast-path/tails/rendering.ts";
import { noLimits, ReadLimit } from "../../../../../src/api/methods/read-limit.ts";
import { ConsumeResponseSchema } from "../../../../../src/gen/log/v1/log_pb.js";
import { encodeRun } from "../../../../../src/log/mod.ts";
import type { BatchSlice } from "../../../../../src/types.ts";
import { envelopesOf } from "../../../../support/http/fast-path-servers.ts";
import { MemoryLog } from "../../../../support/log/memory-log.ts";

/** A slice of five records at the offsets 3 … 7. */
async function sliceOf(): Promise<BatchSlice> {
  const log = new MemoryLog();
  await log.append(encodeRun([{}, {}, {}]));
  await log.append(encodeRun(["3", "4", "5", "6", "7"].map((text) => ({ value: Buffer.from(text) }))));
  return log.read(3);
}

const offsetsOf = (envelopes: Uint8Array): number[] =>
  envelopesOf(Buffer.from(envelopes)).map(({ message }) =>
    Number(fromBinary(ConsumeResponseSchema, message).record?.offset),
  );

test("a whole slice is rendered once and shared", async () => {
  const slice = await sliceOf();
  const rendering = renderWhole(slice, noField);
  assert.equal(renderWhole(slice, noField), rendering);
  assert.deepEqual(offsetsOf(rendering.envelopes), [3, 4, 5, 6, 7]);
  assert.deepEqual([rendering.records, rendering.next], [5, 8]);
});

test("a rendering begins at its offset and ends at its limit", async () => {
  const slice = await sliceOf();
  const limit = new ReadLimit({ ...noLimits, recordsMax: 2 });
  const { envelopes, records, next } = render(slice, 5, limit, noField);
  assert.deepEqual(offsetsOf(envelopes), [5, 6]);
  assert.deepEqual([records, next], [2, 7]);
});

test("a rendering without any record is empty and ends where it begins", async () => {
  const limit = new ReadLimit({ ...noLimits, endOffset: 4 });
  const { envelopes, records, recordBytes, next } = render(await sliceOf(), 5, limit, noField);
  assert.deepEqual([envelopes.length, records, recordBytes, next], [0, 0, 0, 5]);
});

test("each message of a named log has its id", async () => {
  const { envelopes } = render(
    await sliceOf(),
    3,
    undefined,
    logIdField(logIdTags.consume, "4294967295-4294967295"),
  );
  const ids = envelopesOf(Buffer.from(envelopes)).map(
    ({ message }) => fromBinary(ConsumeResponseSchema, message).logId,
  );
  assert.deepEqual(ids, Array(5).fill("4294967295-4294967295"));
});
