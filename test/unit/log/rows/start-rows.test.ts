/** The rows in a start that came from a peer or a backup. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { checkLogStart, checkStartRows, type LogStart } from "../../../../src/log/mod.ts";
import { rowsOfStart, sourceOf } from "../../../../src/log/rows/base-files.ts";
import type { LogRow } from "../../../../src/log/state/log-row.ts";
import { emptyCheckpoint } from "../../../../src/log/state/log-state.ts";
import { encodeHead, encodeRow } from "../../../../src/log/state/row-codec.ts";
import { type BaseSource, mergeBase, readBase } from "../../../../src/rows/mod.ts";
import { startOf } from "../../../support/log/log-start.ts";
import { compact, run, simMachine } from "../../../support/log/logs.ts";

/** The start of a log of which segments with named logs were removed. */
async function startWithRows(): Promise<LogStart & { readonly rows: Uint8Array }> {
  const log = await simMachine("start rows").open({ segmentStoreBytesMax: 700 });
  for (let n = 0; n < 8; n++) {
    const name = `log ${n}`;
    await log.change({ kind: "create", name, settings: { ttlMs: 1_000_000, contentType: "text/plain" } });
    await log.append(run(name), { log: { name } });
    await log.trim(1, { log: { name } });
  }
  for (let n = 0; n < 9; n++) await log.append(run(`default ${n}`));
  await log.trim(9);
  await log.append(run("last"));
  assert.ok((await compact(log.storedLog)) > 0);
  return { ...startOf(log.storedLog), rows: contentOf(log.storedLog.rows.openBase()!) };
}

function contentOf(file: BaseSource): Uint8Array {
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  file.close();
  return bytes;
}

const rowsIn = (start: LogStart): LogRow[] =>
  [...rowsOfStart(start).all()].sort((one, other) => one.id - other.id);

const refused = (start: unknown): boolean => {
  try {
    checkLogStart(start);
    return false;
  } catch (fault) {
    assert.ok(fault instanceof Fault && fault.kind === "corrupt", String(fault));
    return true;
  }
};

test("a start is taken with its rows, as a base file or as an earlier version sends them", async () => {
  const start = await startWithRows();
  const checked = checkLogStart(structuredClone(start));
  assert.deepEqual(rowsIn(checked), rowsIn(start));
  assert.equal(rowsIn(start).length, start.checkpoint.logs?.size);
  const { size: _, ...logs } = start.checkpoint.logs!;
  const earlier = {
    end: start.end,
    checkpoint: { ...start.checkpoint, logs: { ...logs, rows: rowsIn(start) } },
  };
  const converted = checkLogStart(earlier);
  assert.deepEqual(rowsIn(converted), rowsIn(start));
  assert.deepEqual(converted.checkpoint, start.checkpoint);
});

test("rows with any byte changed, cut off at any place, or of another start are refused", async () => {
  const start = await startWithRows();
  for (let at = 0; at < start.rows.length; at++) {
    const rows = Uint8Array.from(start.rows);
    rows[at]! ^= 0x10;
    assert.ok(refused({ ...start, rows }), `byte ${at}`);
    assert.ok(refused({ ...start, rows: start.rows.subarray(0, at) }), `the first ${at} bytes`);
  }
  const logs = start.checkpoint.logs!;
  const others = [
    { ...logs, size: logs.size + 1 },
    { ...logs, nextId: logs.nextId + 1 },
  ];
  for (const other of others)
    assert.ok(refused({ ...start, checkpoint: { ...start.checkpoint, logs: other } }));
  const { rows: _, ...without } = start;
  assert.ok(refused(without));
});

test("rows of which two have one name are refused", async () => {
  const start = await startWithRows();
  const machine = simMachine("same name");
  const path = "/base.rows";
  const base = readBase(sourceOf(start.rows)!);
  const rows = [...base.blocks()].flat();
  const [first, second] = rows;
  for (const name of [second!.name, first!.name]) {
    const changes = rows.map((row) => ({ id: row.id, row: row === second ? { ...row, name } : row }));
    for (const _ of mergeBase(machine.disk, undefined, path, changes, base.head));
    assert.equal(
      refused({ ...start, rows: Uint8Array.from(machine.disk.contents(path)) }),
      name === first!.name,
    );
  }
});

test("rows are checked in steps of at most 64, however many a block of the base file holds", () => {
  const { disk } = simMachine("steps");
  const path = "/base.rows";
  const logs = { level: 1, life: 1, nextId: 1_001, size: 1_000 };
  const head = encodeHead({ index: 9, crc: 0, head: logs });
  const changes = Array.from({ length: logs.size }, (_, at) => {
    const row = { id: at + 1, name: `log ${at + 1}`, settings: {}, closed: false };
    const none = { createdMs: 0, lowest: 0, next: 0, bytes: 0, lastMs: 0, lastIndex: 0, version: 0 };
    return { id: at + 1, row: encodeRow({ ...row, ...none }) };
  });
  for (const _ of mergeBase(disk, undefined, path, changes, head));
  const rows = disk.open(path, "read");
  const checkpoint = { ...emptyCheckpoint, index: 9, logs };
  const end = { index: 9, crc: 0, term: 1, nextOffset: 0, timestampMs: 0 };
  const steps = [...checkStartRows({ end, checkpoint, rows })].length;
  assert.ok(steps >= logs.size / 64, `${steps} steps`);
});
