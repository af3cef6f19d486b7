import assert from "node:assert/strict";
import { test } from "node:test";
import { type Prng, prng } from "../../../../src/lib/prng.ts";
import { batchKind, encodeLogCommand } from "../../../../src/log/mod.ts";
import { CommittedRows } from "../../../../src/log/state/committed-rows.ts";
import type { LogRow } from "../../../../src/log/state/log-row.ts";
import { LogTable } from "../../../../src/log/state/log-table.ts";
import { decodeHead, emptyHead, encodeHead, type RowsAt } from "../../../../src/log/state/row-codec.ts";
import type { RowDatabase } from "../../../../src/rows/mod.ts";
import type { LogId, RaftIndex } from "../../../../src/types.ts";
import { SimDisk } from "../../../support/disk/sim-disk.ts";
import { MemoryRowStore } from "../../../support/rows/memory-row-store.ts";
import { closeFrame, createFrame, dataFrame, deleteFrame, namedFrame, trimFrame } from "../named-frames.ts";

/** A naive table: it applies the frames from the first one each time. */
class Naive {
  frames: { readonly index: RaftIndex; readonly frame: Uint8Array }[] = [];
  committed = 0;

  at(index: RaftIndex): { rows: Map<LogId, LogRow>; nextId: LogId } {
    const table = new LogTable();
    let nextId = 1;
    const rows = new Map<LogId, LogRow>();
    for (const { index: at, frame } of this.frames) {
      if (at > index) break;
      assert.equal(table.stage(frame, 0), undefined);
      table.commitTo(at);
    }
    for (const row of table.rows()) rows.set(row.id, row);
    nextId = table.head.nextId;
    return { rows, nextId };
  }
}

const byId = (rows: Iterable<LogRow>): LogRow[] => [...rows].sort((one, other) => one.id - other.id);

/** A random frame that fits the staged table, as a leader would write it. */
function nextFrame(table: LogTable, index: RaftIndex, random: Prng): Uint8Array {
  const name = random.pick(["a", "b", "\u{1f600}"]);
  const row = table.stagedNamed(name);
  if (row === undefined) return createFrame(table.nextId, index, name, { ttlMs: index });
  const { id, next, lowest } = row;
  switch (random.between(0, 5)) {
    case 0:
      return deleteFrame(id, index, next);
    case 1:
      return closeFrame(id, index, next);
    case 2:
      return next > lowest
        ? trimFrame(id, index, next, lowest, random.between(lowest + 1, next))
        : dataFrame(id, index, next);
    default:
      return dataFrame(id, index, next, random.between(1, 3));
  }
}

function compare(table: LogTable, naive: Naive, end: RaftIndex): void {
  const { rows, nextId } = naive.at(naive.committed);
  assert.deepEqual(byId(table.rows()), byId(rows.values()));
  assert.equal(table.size, rows.size);
  assert.equal(table.head.nextId, nextId);
  const names = [...rows.values()].map(({ name }) => name);
  assert.deepEqual(
    table.namesFrom("", "", 10).names,
    names.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other))),
  );
  for (const row of rows.values()) assert.deepEqual(table.named(row.name), row);
  const staged = naive.at(end);
  assert.equal(table.nextId, staged.nextId);
  for (const name of ["a", "b", "\u{1f600}"]) {
    const row = [...staged.rows.values()].find((one) => one.name === name);
    assert.deepEqual(table.stagedNamed(name), row, `${name} at ${end}`);
    if (!names.includes(name)) assert.equal(table.named(name), undefined);
  }
  for (let id = 1; id < staged.nextId; id++) {
    assert.deepEqual(table.stagedRow(id), staged.rows.get(id));
    assert.equal(table.wasDeleted(id), id < nextId && !rows.has(id));
  }
}

const identity = { directoryId: new Uint8Array(16), generation: 1 };

/** A table with a database, as a node has them. */
class StoredTable {
  readonly #store: MemoryRowStore;
  readonly #database: RowDatabase;
  #frozen: RowsAt | undefined;
  table: LogTable;

  private constructor(store: MemoryRowStore, database: RowDatabase) {
    this.#store = store;
    this.#database = database;
    this.table = new LogTable(emptyHead, new CommittedRows(database));
  }

  static async open(): Promise<StoredTable> {
    const store = new MemoryRowStore(new SimDisk(prng("disk")));
    return new StoredTable(
      store,
      await store.build(identity, encodeHead({ index: 0, crc: 0, head: emptyHead })),
    );
  }

  /** Begins a checkpoint at this boundary, or writes the one that was begun. */
  async checkpoint(boundary: RaftIndex): Promise<void> {
    const { stored } = this.table;
    if (this.#frozen === undefined) {
      this.table.freezeAfter(boundary, (head) => (this.#frozen = { index: boundary, crc: 0, head }));
      return;
    }
    await this.#database.write(stored.changes(), encodeHead(this.#frozen));
    stored.thaw(this.#database);
    this.#frozen = undefined;
  }

  /** A node that starts from the last checkpoint. Returns its index. */
  restart(): RaftIndex {
    const database = this.#store.open(identity, 0);
    const { index, head } = decodeHead(database.head);
    this.#frozen = undefined;
    this.table = new LogTable(head, new CommittedRows(database));
    return index;
  }
}

test("a table with checkpoints: it agrees with a naive one over random histories of frames, commits and cuts", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = prng(`table/${seed}`);
    const stored = await StoredTable.open();
    const naive = new Naive();
    let end = 0;
    for (let step = 0; step < 40; step++) {
      const { table } = stored;
      const draw = random.float();
      if (draw < 0.5) {
        end++;
        const frame = nextFrame(table, end, random);
        assert.equal(table.stage(frame, 0), undefined);
        naive.frames.push({ index: end, frame });
      } else if (draw < 0.65) {
        naive.committed = random.between(naive.committed, end);
        table.commitTo(naive.committed);
      } else if (draw < 0.75) {
        const from = random.between(naive.committed + 1, end + 1);
        table.truncate(from);
        naive.frames = naive.frames.filter(({ index }) => index < from);
        end = Math.min(end, from - 1);
      } else if (draw < 0.9) await stored.checkpoint(random.between(naive.committed, end));
      else {
        const index = stored.restart();
        assert.ok(index <= naive.committed);
        for (const { index: at, frame } of naive.frames)
          if (at > index) assert.equal(stored.table.stage(frame, 0), undefined);
        stored.table.commitTo(naive.committed);
      }
      compare(stored.table, naive, end);
      for (let index = naive.committed; index <= end; index++) {
        const { rows, nextId } = naive.at(index);
        assert.deepEqual(stored.table.headAt(index), { level: 0, life: 0, nextId, size: rows.size });
        for (let id = 1; id <= 5; id++) {
          assert.deepEqual(stored.table.rowAt(id, index), rows.get(id), `row ${id} at ${index}`);
          assert.equal(stored.table.lastBatch(id, index + 1), rows.get(id)?.lastIndex ?? 0);
        }
      }
    }
  }
});

test("a boundary: rows are frozen only once a frame after it is committed, and not if that is cut off", () => {
  const table = new LogTable();
  const heads: number[] = [];
  const freeze = () => table.freezeAfter(2, ({ size }) => heads.push(size));
  for (const frame of [createFrame(1, 1, "a"), createFrame(2, 2, "b"), createFrame(3, 3, "c")])
    table.stage(frame, 0);
  freeze();
  table.commitTo(2);
  assert.equal(heads.length, 0);
  table.truncate(3);
  table.stage(createFrame(3, 3, "d"), 0);
  table.commitTo(3);
  assert.equal(heads.length, 0, "the segment after the boundary was cut off");
  table.stage(createFrame(4, 4, "e"), 0);
  table.freezeAfter(3, ({ size }) => heads.push(size));
  table.commitTo(4);
  assert.deepEqual([heads, table.stored.isFrozen, table.stored.dirty], [[3], true, 1]);
  assert.deepEqual(
    [...table.stored.changes()].map((change) => ("id" in change ? change.id : change.owner)),
    [1, 2, 3],
  );
});

test("commitTo returns the logs that changed, each once", () => {
  const table = new LogTable();
  const frames = [createFrame(1, 1, "a"), createFrame(2, 2, "b"), dataFrame(1, 3, 0), deleteFrame(2, 5, 0)];
  for (const frame of frames) table.stage(frame, 0);
  assert.deepEqual([...table.commitTo(3)], [1, 2]);
  assert.deepEqual([...table.commitTo(4)], []);
  assert.deepEqual([...table.commitTo(9)], [2]);
});

test("an id is not used again after a delete, also after a checkpoint", () => {
  const table = new LogTable();
  for (const frame of [createFrame(1, 1, "a"), createFrame(2, 2, "b"), deleteFrame(2, 3, 0)])
    table.stage(frame, 0);
  assert.equal(table.nextId, 3);
  table.commitTo(3);
  assert.equal(table.nextId, 3);
  assert.equal(new LogTable(table.head).nextId, 3);
});

test("the delete of an old log does not remove the name of a newer one", () => {
  // No leader writes this, but the table is a function of the frames.
  const table = new LogTable();
  for (const frame of [createFrame(1, 1, "a"), createFrame(2, 2, "a"), deleteFrame(1, 3, 0)])
    table.stage(frame, 0);
  assert.equal(table.stagedNamed("a")?.id, 2);
  for (let index = 1; index <= 3; index++) {
    table.commitTo(index);
    assert.equal(table.stagedNamed("a")?.id, 2);
  }
  assert.equal(table.named("a")?.id, 2);
  assert.deepEqual(table.namesFrom("", "", 9), { names: ["a"], next: undefined });
});

test("a level counts once it is committed, and is cut off before", () => {
  const level = (index: RaftIndex, value: number): Uint8Array =>
    namedFrame({
      kind: batchKind.level,
      id: 0,
      index,
      command: encodeLogCommand({ level: value, life: 70 + value }),
    });
  const table = new LogTable();
  assert.deepEqual(table.head, emptyHead);
  table.stageLevel(level(1, 1), 0);
  table.stageLevel(level(4, 2), 0);
  assert.deepEqual([table.level, table.stagedLevel], [0, 2]);
  table.commitTo(3);
  assert.deepEqual([table.level, table.life, table.stagedLevel], [1, 71, 2]);
  table.truncate(4);
  assert.deepEqual([table.level, table.life, table.stagedLevel], [1, 71, 1]);
});

test("a frame that does not fit is not staged", () => {
  const table = new LogTable();
  table.stage(createFrame(1, 1, "a"), 0);
  assert.equal(table.stage(dataFrame(1, 2, 3), 0), "offset");
  assert.equal(table.stage(dataFrame(2, 2, 0), 0), "no-log");
  assert.equal(table.stagedRow(1)?.next, 0);
  assert.equal(table.stage(dataFrame(1, 2, 0), 0), undefined);
  assert.equal(table.stage(deleteFrame(1, 3, 1), 0), undefined);
  assert.equal(table.stage(createFrame(1, 4, "b"), 0), "id-used");
  table.commitTo(3);
  assert.equal(table.stage(createFrame(1, 4, "b"), 0), "id-used");
  assert.equal(table.stage(createFrame(2, 4, "b"), 0), undefined);
});
