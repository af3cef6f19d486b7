import assert from "node:assert/strict";
import { test } from "node:test";
import { frameLimit } from "../../../../src/api/methods/frame-limit.ts";
import { noLimits, ReadLimit, type ReadLimits } from "../../../../src/api/methods/read-limit.ts";
import { encodeRun } from "../../../../src/log/mod.ts";
import type { BatchSlice } from "../../../../src/types.ts";
import { MemoryLog } from "../../../support/log/memory-log.ts";

/** A slice of three frames with the offsets 0 1 | 2 3 4 | 5. */
async function sliceOf(): Promise<BatchSlice> {
  const log = new MemoryLog();
  const frames: Uint8Array[] = [];
  for (const count of [2, 3, 1]) {
    const { firstOffset } = await log.append(encodeRun(Array.from({ length: count }, () => ({}))));
    frames.push((await log.read(firstOffset)).frames);
  }
  return { frames: Buffer.concat(frames), firstOffset: 0, nextOffset: 6 };
}

async function limited(from: number, limits?: Partial<ReadLimits>) {
  const limit = limits && new ReadLimit({ ...noLimits, ...limits });
  const { records, next, bytes } = frameLimit(await sliceOf(), from, limit);
  return { records, next, isEmpty: bytes.length === 0 };
}

test("a read begins with the frame that holds its offset", async () => {
  assert.deepEqual(await limited(0), { records: 6, next: 6, isEmpty: false });
  assert.deepEqual(await limited(3), { records: 4, next: 6, isEmpty: false });
  assert.deepEqual(await limited(6), { records: 0, next: 6, isEmpty: true });
});

test("a frame is sent whole if its first record for the reader is within the limits", async () => {
  assert.deepEqual(await limited(0, { recordsMax: 3 }), { records: 5, next: 5, isEmpty: false });
  assert.deepEqual(await limited(0, { recordsMax: 2 }), { records: 2, next: 2, isEmpty: false });
  assert.deepEqual(await limited(0, { endOffset: 4 }), { records: 5, next: 5, isEmpty: false });
  assert.deepEqual(await limited(3, { endOffset: 3 }), { records: 0, next: 3, isEmpty: true });
});
