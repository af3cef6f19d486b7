import assert from "node:assert/strict";
import { test } from "node:test";
import { systemDisk } from "../../../../src/lib/disk/system-disk.ts";
import {
  type ChainEnd,
  chainStart,
  encodeFrame,
  frameBytes,
  frameCrc,
  scanStore,
} from "../../../../src/log/mod.ts";
import { run } from "../../../support/log/logs.ts";
import { scratchDirectory } from "../../../support/scratch.ts";

const frame = (n: number, previousCrc: number): Uint8Array =>
  encodeFrame(
    { index: n + 1, term: 1, baseOffset: n, timestampMs: 0, recordCount: 1, kind: 0 },
    run("hello world").bytes,
    previousCrc,
  );

test("a scan shows each frame of a store at its position", () => {
  using scratch = scratchDirectory();
  const file = systemDisk.open(`${scratch.path}/store`, "create");
  let position = 0;
  let crc = 0;
  for (let n = 0; n < 4; n++) {
    const bytes = frame(n, crc);
    file.write(bytes, position);
    crc = frameCrc(bytes, 0);
    position += bytes.length;
    assert.equal(file.size(), position);
  }
  const seen: number[] = [];
  const scan = scanStore(file, file.size(), chainStart, (bytes, at, where) => {
    seen.push(where);
    assert.equal(frameBytes(bytes, at), position / 4);
  });
  assert.deepEqual(
    seen,
    [0, 1, 2, 3].map((n) => (n * position) / 4),
  );
  assert.equal(scan.end.index, 4);
  file.close();
});

test("a scan stops at a frame that does not name the checksum of the frame before", () => {
  const first = frame(0, 0);
  const end: ChainEnd = { index: 1, term: 1, nextOffset: 1, timestampMs: 0, crc: frameCrc(first, 0) };
  const bytes = Buffer.concat([first, frame(1, end.crc)]);
  const file = { read: (target: Uint8Array, position: number) => bytes.copy(target, 0, position) };
  assert.equal(scanStore(file, bytes.length, chainStart, () => {}).end.index, 2);
  assert.equal(scanStore(file, bytes.length, { ...end, crc: 1 }, () => {}).flaw, "chain");
});
