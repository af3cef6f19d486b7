import assert from "node:assert/strict";
import { test } from "node:test";
import { GroupBuilder } from "../../../../src/log/append/group-builder.ts";
import { batchKind, encodeLogCommand, sealFrame } from "../../../../src/log/mod.ts";
import { type LogRow, rowAfter, ttlOverMs } from "../../../../src/log/state/log-row.ts";
import { decodeRow, dueMsOf, encodeRow } from "../../../../src/log/state/row-codec.ts";
import { run } from "../../../support/log/logs.ts";
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

test("a batch of a stream adds its producer and its order, and can close the log", () => {
  const ofStream = (index: number, base: number, records: number, command: object): Uint8Array => {
    const builder = new GroupBuilder(512);
    const values = Array.from({ length: records }, (_, at) => `v${at}`);
    const target = { logId: 3, baseOffset: base };
    const bytes = records === 0 ? { bytes: new Uint8Array(0), count: 0 } : run(...values);
    builder.add(bytes, undefined, true, target, Buffer.from(JSON.stringify(command)));
    const [frame] = builder.drafts();
    sealFrame(frame!, 0, frame!.length, { index, term: 1, baseOffset: base, timestampMs: 1000 + index }, 0);
    return frame!;
  };
  const first = ofStream(11, 0, 2, { producer: ["p", "ann", 1, 0], order: "5" });
  const producer = { name: "p", subject: "ann", epoch: 1, sequence: 0, lastMs: 1011 };
  const row = rowOf(createFrame(3, 10, "a"), first);
  assert.deepEqual(row?.stream, { order: "5", producers: [producer] });
  assert.deepEqual([row?.next, row?.closed, row?.bytes], [2, false, first.length]);
  const closed = rowOf(createFrame(3, 10, "a"), first, ofStream(12, 2, 1, { closes: true }));
  assert.deepEqual([closed?.next, closed?.closed, closed?.stream], [3, true, row?.stream]);
  const close = ofStream(12, 2, 0, { closes: true, producer: ["p", "ann", 1, 1] });
  const last = rowOf(createFrame(3, 10, "a"), first, close);
  assert.deepEqual([last?.next, last?.closed, last?.lastMs, last?.lastIndex], [2, true, 1012, 11]);
  assert.equal(last?.stream?.producers?.[0]?.sequence, 1);
  assert.deepEqual(decodeRow(encodeRow(last!)), last);
  const owned = { ...last!, owner: "bob", settings: { ttlMs: 5 } };
  assert.deepEqual(decodeRow(encodeRow(owned)), owned);
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

test("a fork begins at its place, and a touch and a hide change the row alone", () => {
  const fork = { source: 2, lowest: 1, next: 4, cut: 3 };
  const command = encodeLogCommand({ name: "f", settings: { ttlMs: 8 }, fork });
  const created = namedFrame({ kind: batchKind.createLog, id: 3, index: 10, command });
  const row = rowOf(created)!;
  assert.deepEqual([row.lowest, row.next, row.bytes], [1, 4, 0]);
  assert.deepEqual(row.fork, { source: 2, next: 4, cut: 3 });
  assert.equal(rowAfter(row, dataFrame(3, 11, 0), 0), "offset");
  const appended = rowOf(created, dataFrame(3, 11, 4))!;
  assert.equal(appended.next, 5);
  const touched = rowOf(created, namedFrame({ kind: batchKind.touchLog, id: 3, index: 12, base: 4 }))!;
  assert.deepEqual([touched.touchedMs, touched.lastMs, touched.version], [1012, 0, 12]);
  const hide = (upTo?: number): Uint8Array =>
    namedFrame({
      ...{ kind: batchKind.hideLog, id: 3, index: 13, base: 4 },
      ...(upTo === undefined ? {} : { command: encodeLogCommand({ version: upTo }) }),
    });
  assert.equal(rowOf(created, hide())?.deleted, true);
  assert.deepEqual(rowOf(created, hide(9)), row, "a later batch about the log exists");
  for (const one of [row, appended, touched, rowOf(created, hide())!])
    assert.deepEqual(decodeRow(encodeRow(one)), one);
});

test("the time to live of a log with a content type has a quarter for reads that are not replicated", () => {
  const plain = rowOf(createFrame(3, 10, "a", { ttlMs: 1_000 }))!;
  assert.equal(ttlOverMs(plain), 1_010 + 1_000);
  const stream = rowOf(createFrame(3, 10, "a", { ttlMs: 1_000, contentType: "text/plain" }))!;
  assert.equal(ttlOverMs(stream), 1_010 + 1_250);
  assert.equal(ttlOverMs({ ...stream, touchedMs: 5_000 }), 5_000 + 1_250);
  assert.equal(dueMsOf({ ...stream, touchedMs: 5_000 }), 6_250);
  assert.equal(dueMsOf({ ...stream, deleted: true }), 0);
});
