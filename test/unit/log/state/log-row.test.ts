import assert from "node:assert/strict";
import { test } from "node:test";
import { batchKind, encodeLogCommand } from "../../../../src/log/mod.ts";
import { type LogRow, rowAfter } from "../../../../src/log/state/log-row.ts";
import { closeFrame, createFrame, dataFrame, deleteFrame, namedFrame, trimFrame } from "../named-frames.ts";

function rowOf(...frames: Uint8Array[]): LogRow | undefined {
  let row: LogRow | undefined;
  for (const frame of frames) {
    const after = rowAfter(row, frame, 0);
    assert.ok(typeof after !== "string", String(after));
    row = after;
  }
  return row;
}

test("a row follows its frames", () => {
  const created = createFrame(3, 10, "a", { maxBytes: 5 });
  const [first, second] = [dataFrame(3, 11, 0, 2), dataFrame(3, 14, 2)];
  const empty = {
    id: 3,
    name: "a",
    settings: { maxBytes: 5 },
    createdMs: 1010,
    lowest: 0,
    next: 0,
    bytes: 0,
    lastMs: 0,
    lastIndex: 0,
    version: 10,
    closed: false,
  };
  assert.deepEqual(rowOf(created), empty);
  const bytes = first.length + second.length;
  const full = { ...empty, next: 3, bytes, lastMs: 1014, lastIndex: 14, version: 14 };
  assert.deepEqual(rowOf(created, first, second), full);
  const command = encodeLogCommand({ settings: { ttlMs: 1 } });
  const configured = namedFrame({ kind: batchKind.configureLog, id: 3, index: 15, base: 3, command });
  assert.deepEqual(rowOf(created, first, second, configured), {
    ...full,
    settings: { ttlMs: 1 },
    version: 15,
  });
  assert.deepEqual(rowOf(created, first, second, closeFrame(3, 15, 3)), {
    ...full,
    closed: true,
    version: 15,
  });
  assert.equal(rowOf(created, first, second, deleteFrame(3, 15, 3)), undefined);
  const trimmed = { ...full, lowest: 2, bytes: bytes - 9, version: 15 };
  assert.deepEqual(rowOf(created, first, second, trimFrame(3, 15, 3, 0, 2, 9)), trimmed);
  assert.equal(rowOf(created, first, second, trimFrame(3, 15, 3, 0, 2, 1e9))?.bytes, 0);
});

test("a trim that was decided for another lowest offset, or beyond the end, is passed over", () => {
  const before = [createFrame(1, 1, "a"), dataFrame(1, 2, 0, 5), trimFrame(1, 3, 5, 0, 2)];
  const row = rowOf(...before);
  assert.equal(row?.lowest, 2);
  for (const [from, to] of [
    [0, 3],
    [3, 4],
    [2, 6],
  ] as const) {
    assert.deepEqual(rowOf(...before, trimFrame(1, 4, 5, from, to)), row);
  }
});

test("a frame that does not fit its row is refused with the reason", () => {
  const row = rowOf(createFrame(1, 1, "a"), dataFrame(1, 2, 0, 5));
  assert.equal(rowAfter(row, createFrame(1, 3, "a"), 0), "log-exists");
  for (const frame of [dataFrame(1, 3, 4), dataFrame(1, 3, 6), deleteFrame(1, 3, 0), closeFrame(1, 3, 4)])
    assert.equal(rowAfter(row, frame, 0), "offset");
  for (const frame of [dataFrame(1, 3, 5), deleteFrame(1, 3, 5), trimFrame(1, 3, 5, 0, 1)])
    assert.equal(rowAfter(undefined, frame, 0), "no-log");
  assert.equal(
    rowAfter(row, namedFrame({ kind: batchKind.settings, id: 1, index: 3, base: 5 }), 0),
    "no-log",
  );
});
