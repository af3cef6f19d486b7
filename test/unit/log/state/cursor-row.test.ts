import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import {
  type CursorCommand,
  decodeCursorCommand,
  encodeCursorCommand,
} from "../../../../src/log/frame/cursor-command.ts";
import { batchKind, checkFrame, checkPayload } from "../../../../src/log/mod.ts";
import { cursorNameIn, cursorOverMs, rowLabel } from "../../../../src/log/state/cursor-row.ts";
import { FrameSequence } from "../../../../src/log/state/frame-sequence.ts";
import { isCursorRow, rowAfter, shown } from "../../../../src/log/state/log-row.ts";
import { LogTable } from "../../../../src/log/state/log-table.ts";
import { decodeRow, dueMsOf, encodeRow } from "../../../../src/log/state/row-codec.ts";
import { createFrame, dataFrame, deleteFrame, namedFrame } from "../named-frames.ts";

const cursorFrame = (id: number, index: number, command: CursorCommand): Uint8Array =>
  namedFrame({ kind: batchKind.commitCursor, id, index, command: encodeCursorCommand(command) });

const stageAll = (table: LogTable, ...frames: Uint8Array[]): void => {
  for (const frame of frames) assert.equal(table.stage(frame, 0), undefined);
};

const created = { log: 1, name: "billing/eu", owner: "ann" };

test("the first commit creates a cursor, and the next ones set all of it", () => {
  const first = rowAfter(undefined, cursorFrame(2, 5, { offset: 7, metadata: "page 3", created }), 0);
  assert.ok(typeof first === "object" && isCursorRow(first));
  assert.deepEqual(
    [first.cursor, first.version, first.createdMs, first.lastMs, first.owner, cursorNameIn(first)],
    [{ log: 1, offset: 7, metadata: "page 3" }, 5, 1005, 1005, "ann", "billing/eu"],
  );
  const second = rowAfter(first, cursorFrame(2, 9, { offset: 3 }), 0);
  assert.ok(typeof second === "object" && isCursorRow(second));
  assert.deepEqual([second.cursor, second.version, second.lastMs], [{ log: 1, offset: 3 }, 9, 1009]);
  assert.deepEqual([second.createdMs, second.owner], [1005, "ann"]);
  for (const row of [first, second]) assert.deepEqual(decodeRow(encodeRow(row)), row);
  assert.equal(dueMsOf(second), 1009 + 30 * 24 * 3_600_000);
  assert.equal(cursorOverMs(second), dueMsOf(second));
});

test("a delete up to a version passes over a cursor that was committed since", () => {
  const table = new LogTable();
  stageAll(table, cursorFrame(1, 2, { offset: 1, created: { log: 0, name: "a" } }));
  stageAll(table, cursorFrame(1, 3, { offset: 2 }));
  const expire = (index: number, version: number): Uint8Array =>
    namedFrame({
      kind: batchKind.deleteLog,
      id: 1,
      index,
      command: Buffer.from(JSON.stringify({ version })),
    });
  stageAll(table, expire(4, 2));
  table.commitTo(4);
  assert.equal(table.cursor(0, "a")?.cursor.offset, 2);
  stageAll(table, expire(5, 3));
  table.commitTo(5);
  assert.equal(table.cursor(0, "a"), undefined);
  assert.deepEqual([table.cursors, table.cursorsOf(0)], [0, 0]);
});

test("frames that do not fit are refused: records of a cursor, a commit of a log, a commit that begins nothing", () => {
  const table = new LogTable();
  stageAll(table, createFrame(1, 1, "orders"), cursorFrame(2, 2, { offset: 0, created }));
  assert.equal(table.stage(dataFrame(2, 3, 0), 0), "no-log");
  assert.equal(table.stage(cursorFrame(1, 3, { offset: 0, created }), 0), "log-exists");
  assert.equal(table.stage(cursorFrame(3, 3, { offset: 0 }), 0), "no-log");
  stageAll(table, deleteFrame(2, 3, 0));
  assert.equal(table.stage(cursorFrame(2, 4, { offset: 0, created }), 0), "id-used");
  // A name that is taken is found before frames of a leader are staged.
  stageAll(table, cursorFrame(3, 4, { offset: 0, created }));
  const sequence = new FrameSequence(table, 4, 0);
  assert.equal(sequence.add(cursorFrame(4, 5, { offset: 0, created }), 0), "name-used");
});

test("no list of logs shows a cursor, and a list of cursors shows those of one log", () => {
  const table = new LogTable();
  let index = 0;
  stageAll(table, createFrame(1, ++index, "a"), createFrame(2, ++index, "b"));
  for (const [log, name] of [
    [0, "x"],
    [1, "x"],
    [1, "\u{1f600}"],
    [1, "w"],
    [11, "y"],
  ] as const)
    stageAll(table, cursorFrame(table.nextId, ++index, { offset: index, created: { log, name } }));
  table.commitTo(index);
  assert.deepEqual(table.namesFrom("", "", 10), { names: ["a", "b"], next: undefined });
  assert.deepEqual(table.namesFrom("", "", 1), { names: ["a"], next: "a" });
  assert.deepEqual(table.namesFrom("", "a", 10).names, ["b"]);
  assert.deepEqual([table.size, table.cursors, table.cursorsOf(1), table.cursorsOf(0)], [2, 5, 3, 1]);
  assert.equal(table.head.size, 7);
  const names = (log: number, after = "", limit = 10): readonly string[] =>
    table.cursorsFrom(log, after, limit).cursors.map(cursorNameIn);
  assert.deepEqual([names(1), names(0), names(2), names(11)], [["w", "x", "\u{1f600}"], ["x"], [], ["y"]]);
  assert.deepEqual(table.cursorsFrom(1, "", 2).next, "x");
  assert.deepEqual(names(1, "x"), ["\u{1f600}"]);
  assert.equal(shown(table.cursor(1, "x")), undefined);
});

test("a log that is created again shows no cursor of the log before", () => {
  const table = new LogTable();
  stageAll(table, createFrame(1, 1, "orders"), cursorFrame(2, 2, { offset: 0, created }));
  stageAll(table, deleteFrame(1, 3, 0), createFrame(3, 4, "orders"));
  table.commitTo(4);
  assert.equal(table.cursor(table.named("orders")!.id, "billing/eu"), undefined);
  assert.equal(table.cursorsOf(3), 0);
});

test("a commit on disk or from a peer is checked", () => {
  const flawOf = (command: unknown, id = 1): string | undefined => {
    const bytes = Buffer.from(JSON.stringify(command));
    const frame = namedFrame({ kind: batchKind.commitCursor, id, index: 1, command: bytes });
    assert.equal(checkFrame(frame, 0, frame.length), undefined);
    return checkPayload(frame, 0);
  };
  assert.equal(flawOf({ offset: 1, log: 0, cursor: "a" }), undefined);
  assert.equal(flawOf({ offset: 1 }), undefined);
  assert.equal(flawOf({ offset: 1, log: 0, cursor: "a" }, 0), "command");
  for (const command of [
    null,
    {},
    { offset: -1 },
    { offset: 1, metadata: "x".repeat(1025) },
    { offset: 1, log: 0 },
    { offset: 1, cursor: "a" },
    { offset: 1, log: 2 ** 32, cursor: "a" },
    { offset: 1, log: 0, cursor: "x".repeat(201) },
    { offset: 1, log: 0, cursor: "a", owner: "" },
  ])
    assert.equal(flawOf(command), "command", JSON.stringify(command));
  assert.throws(
    () => decodeCursorCommand(Buffer.from("{")),
    (reason) => reason instanceof Fault && reason.kind === "corrupt",
  );
});

test("a row is named for people", () => {
  assert.equal(rowLabel("orders/eu"), "orders/eu");
  assert.equal(rowLabel(undefined), undefined);
  assert.equal(rowLabel("\u0001cursor/0/a/b"), 'cursor "a/b" of log "default"');
  assert.equal(rowLabel("\u0001cursor/12/a"), 'cursor "a" of the log of id 12');
});
