import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { CommittedRows, type NamesPage } from "../../../../src/log/state/committed-rows.ts";
import type { LogRow } from "../../../../src/log/state/log-row.ts";
import { LogTable } from "../../../../src/log/state/log-table.ts";
import { emptyHead, encodeHead } from "../../../../src/log/state/row-codec.ts";
import type { RowDatabase } from "../../../../src/rows/mod.ts";
import { SimDisk } from "../../../support/disk/sim-disk.ts";
import { MemoryRowStore } from "../../../support/rows/memory-row-store.ts";

const row: LogRow = {
  id: 1,
  name: "orders",
  settings: {},
  createdMs: 5,
  lowest: 0,
  next: 0,
  bytes: 0,
  lastMs: 0,
  lastIndex: 0,
  version: 2,
  closed: false,
};

test("a log that is deleted without a look at its row before is gone, also after the checkpoint", async () => {
  const store = new MemoryRowStore(new SimDisk(prng("disk")));
  const headAt = (index: number, size: number) => encodeHead({ index, crc: 0, head: { ...emptyHead, size } });
  const database = await store.build({ directoryId: new Uint8Array(16), generation: 1 }, headAt(0, 0));
  const rows = new CommittedRows(database);
  const checkpoint = async (index: number, size: number): Promise<void> => {
    rows.freeze();
    await database.write(rows.changes(), headAt(index, size));
    rows.thaw(database);
  };
  rows.put(row.id, undefined, row);
  await checkpoint(2, 1);
  rows.put(row.id, row, undefined);
  await checkpoint(3, 0);
  assert.equal(rows.row(row.id), undefined);
  assert.equal(rows.named(row.name), undefined);
  assert.deepEqual(rows.namesFrom("", "", 10), { names: [], next: undefined });
});

const named = (id: number, name: string): LogRow => ({ ...row, id, name });

test("a database that the disk does not read: a fault, and it is built again unless the disk is only busy", async () => {
  const store = new MemoryRowStore(new SimDisk(prng("disk")));
  const head = encodeHead({ index: 0, crc: 0, head: emptyHead });
  const database = await store.build({ directoryId: new Uint8Array(16), generation: 1 }, head);
  let code = "EIO";
  database.row = () => {
    throw Object.assign(new Error("read"), { code });
  };
  const rows = new CommittedRows(database);
  let damages = 0;
  rows.onDamage = () => void damages++;
  const failsAs = (kind: string) =>
    assert.throws(
      () => rows.row(1),
      (reason) => reason instanceof Fault && reason.kind === kind && reason.written === "no",
    );
  failsAs("corrupt");
  assert.equal(damages, 1);
  code = "ENOMEM";
  failsAs("disk-busy");
  assert.equal(damages, 1);
});

/** Rows with a database of these logs, which counts the names and due rows that are read. */
async function storedRows(stored: readonly LogRow[]) {
  const store = new MemoryRowStore(new SimDisk(prng("disk")));
  const headAt = (index: number, size: number) => encodeHead({ index, crc: 0, head: { ...emptyHead, size } });
  const database = await store.build({ directoryId: new Uint8Array(16), generation: 1 }, headAt(0, 0));
  const rows = new CommittedRows(database);
  for (const one of stored) rows.put(one.id, undefined, one);
  rows.freeze();
  await database.write(rows.changes(), headAt(1, stored.length));
  rows.thaw(database);
  const counted = { names: 0, due: 0 };
  const [namesFrom, due] = [database.namesFrom.bind(database), database.due.bind(database)];
  database.namesFrom = (...asked) => {
    const page = namesFrom(...asked);
    counted.names += page.length;
    return page;
  };
  database.due = (...asked) => {
    const page = due(...asked);
    counted.due += page.length;
    return page;
  };
  return { rows, counted };
}

test("rows and names in use are not read from the database, neither after a checkpoint nor after they changed", async () => {
  const store = new MemoryRowStore(new SimDisk(prng("disk")));
  const headAt = (index: number, size: number) => encodeHead({ index, crc: 0, head: { ...emptyHead, size } });
  const database = await store.build({ directoryId: new Uint8Array(16), generation: 1 }, headAt(0, 0));
  const rows = new CommittedRows(database);
  const checkpoint = async (index: number, size = 2): Promise<void> => {
    rows.freeze();
    await database.write(rows.changes(), headAt(index, size));
    rows.thaw(database);
  };
  const reads = { rows: 0, names: 0 };
  const [readRow, readName] = [database.row.bind(database), database.named.bind(database)];
  database.row = (id) => {
    reads.rows++;
    return readRow(id);
  };
  database.named = (name) => {
    reads.names++;
    return readName(name);
  };
  let orders = named(1, "orders");
  rows.put(1, undefined, orders);
  rows.put(2, undefined, named(2, "orders/old"));
  await checkpoint(1);
  for (let next = 1; next <= 6; next++) {
    assert.deepEqual(rows.named("orders"), orders);
    rows.put(1, orders, { ...orders, next });
    orders = { ...orders, next };
    assert.deepEqual(rows.named("orders"), orders);
    if (next % 2 === 0) await checkpoint(next);
  }
  assert.deepEqual(reads, { rows: 1, names: 1 }, "once, with the row of the name");
  rows.put(1, orders, undefined);
  assert.equal(rows.idOf("orders"), undefined);
  await checkpoint(7, 1);
  assert.equal(rows.idOf("orders"), undefined, "the id of a name that was deleted is not kept");
  rows.put(3, undefined, named(3, "orders"));
  await checkpoint(8);
  assert.deepEqual([rows.idOf("orders"), rows.named("orders")?.id], [3, 3]);
});

test("a peek at a row does not keep it in memory, and sees what changed", async () => {
  const store = new MemoryRowStore(new SimDisk(prng("disk")));
  const head = encodeHead({ index: 0, crc: 0, head: { ...emptyHead, size: 1 } });
  const database = await store.build({ directoryId: new Uint8Array(16), generation: 1 }, head);
  const first = new CommittedRows(database);
  first.put(1, undefined, named(1, "orders"));
  first.freeze();
  await database.write(first.changes(), head);
  const rows = new CommittedRows(database);
  let reads = 0;
  const readRow = database.row.bind(database);
  database.row = (id) => {
    reads++;
    return readRow(id);
  };
  for (let n = 0; n < 3; n++) assert.deepEqual(rows.peek(1), named(1, "orders"));
  assert.equal(reads, 3);
  rows.row(1);
  assert.deepEqual(rows.peek(1), named(1, "orders"));
  assert.equal(reads, 4);
  rows.put(1, rows.row(1), { ...named(1, "orders"), next: 7 });
  assert.equal(rows.peek(1)?.next, 7);
  rows.freeze();
  assert.equal(rows.peek(1)?.next, 7);
  rows.put(1, rows.row(1), undefined);
  assert.equal(rows.peek(1), undefined);
  assert.equal(reads, 4);
});

const padded = (n: number): string => String(n).padStart(6, "0");

test("pages of names agree with all names, whatever was created and deleted before and during a checkpoint", async () => {
  const random = prng("pages");
  const stored = Array.from({ length: 600 }, (_, n) => named(n + 1, `a ${padded(n)}`));
  const { rows } = await storedRows(stored);
  const known = new Map(stored.map((one) => [one.name, one]));
  let id = stored.length;
  for (let step = 0; step < 1200; step++) {
    if (step === 500) rows.freeze();
    const name = `${random.pick(["a", "b"])} ${padded(random.between(0, 700))}`;
    const found = known.get(name);
    if (found === undefined) {
      known.set(name, named(++id, name));
      rows.put(id, undefined, known.get(name));
    } else {
      known.delete(name);
      rows.put(found.id, found, undefined);
    }
  }
  for (const prefix of ["", "a", "b "]) {
    const expected = [...known.keys()].filter((name) => name.startsWith(prefix)).sort();
    for (const limit of [1, 7, 256]) {
      const pages: string[] = [];
      for (let after: string | undefined = ""; after !== undefined; ) {
        const { names, next }: NamesPage = rows.namesFrom(prefix, after, limit);
        assert.ok(names.length <= limit);
        pages.push(...names);
        after = next;
      }
      assert.deepEqual(pages, expected);
    }
  }
});

test("a page of names looks at a limited number of names, however many logs were deleted since the checkpoint", async () => {
  const stored = Array.from({ length: 5_000 }, (_, n) => named(n + 1, `log ${padded(n)}`));
  const { rows, counted } = await storedRows(stored);
  for (const one of stored.slice(0, 4_999)) rows.put(one.id, one, undefined);
  let pages = 0;
  for (let after: string | undefined = ""; after !== undefined; pages++) {
    counted.names = 0;
    const { names, next }: NamesPage = rows.namesFrom("", after, 256);
    assert.ok(counted.names <= 1_500, `${counted.names} names were read`);
    after = next;
    assert.deepEqual(names, after === undefined ? ["log 004999"] : []);
  }
  assert.ok(pages > 3);
  // Names that are in memory only.
  const created = Array.from({ length: 5_000 }, (_, n) => named(10_000 + n, `new ${padded(n)}`));
  for (const one of created) rows.put(one.id, undefined, one);
  for (const one of created.slice(0, 4_999)) rows.put(one.id, one, undefined);
  assert.deepEqual(rows.namesFrom("new", "", 256), { names: ["new 004999"], next: undefined });
});

test("a step over the due rows reads at most one page, however many changed since the checkpoint", async () => {
  const due = Array.from({ length: 2_000 }, (_, n) => ({
    ...named(n + 1, `log ${n}`),
    settings: { expiresAtMs: n },
  }));
  const { rows, counted } = await storedRows(due);
  for (const one of due.slice(0, 1_999)) rows.put(one.id, one, undefined);
  const found: unknown[] = [];
  for (let steps = rows.due(5_000), step = steps.next(); step.done !== true; step = steps.next()) {
    assert.ok(counted.due <= 257);
    counted.due = 0;
    if (step.value !== undefined) found.push(step.value);
  }
  assert.deepEqual(found, [2_000]);
});

test("a round over what is due ends however many logs come meanwhile", () => {
  const rows = new CommittedRows();
  const limited = (id: number): LogRow => ({ ...named(id, `n${id}`), settings: { ttlMs: 5 } });
  for (let id = 1; id <= 10; id++) rows.put(id, undefined, limited(id));
  const found: unknown[] = [];
  for (const id of rows.due(5)) {
    found.push(id);
    rows.put(100 + found.length, undefined, limited(100 + found.length));
    assert.ok(found.length <= 10, "the round goes on with logs that came meanwhile");
  }
  assert.deepEqual(found, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test("what the logs of each owner use agrees with the rows, across checkpoints, and no checkpoint of the table holds it", async () => {
  const random = prng("owners");
  const store = new MemoryRowStore(new SimDisk(prng("disk")));
  const headAt = (index: number, size: number) => encodeHead({ index, crc: 0, head: { ...emptyHead, size } });
  const database = await store.build({ directoryId: new Uint8Array(16), generation: 1 }, headAt(0, 0));
  const rows = new CommittedRows(database);
  const known = new Map<number, LogRow>();
  const owners = ["ann", "bob", "cat", undefined];
  const check = (found: CommittedRows): void => {
    for (const owner of owners) {
      if (owner === undefined) continue;
      const own = [...known.values()].filter((one) => one.owner === owner);
      const bytes = own.reduce((sum, one) => sum + one.bytes, 0);
      assert.deepEqual(found.usageOf(owner), { logs: own.length, bytes });
    }
  };
  let frozen: number | undefined;
  for (let step = 1; step < 600; step++) {
    const id = random.between(1, 12);
    const before = known.get(id);
    const owner = before === undefined ? random.pick(owners) : before.owner;
    const gone = before !== undefined && random.chance(0.4);
    const after = gone
      ? undefined
      : {
          ...named(id, `log ${id}`),
          ...(owner === undefined ? {} : { owner }),
          bytes: random.between(0, 99),
        };
    rows.put(id, before, after);
    if (after === undefined) known.delete(id);
    else known.set(id, after);
    if (step % 40 === 0) {
      rows.freeze();
      frozen = known.size;
    } else if (step % 40 === 20 && frozen !== undefined) {
      await database.write(rows.changes(), headAt(step, frozen));
      rows.thaw(database);
    }
    check(rows);
  }
  assert.deepEqual(Object.keys(new LogTable({ ...emptyHead, size: known.size }, rows).headAt(0)).sort(), [
    "level",
    "life",
    "nextId",
    "size",
  ]);
});

test("a commit reads nothing, and the sums are right once the database can be read", async () => {
  const { database } = (await storedRows([{ ...row, owner: "ann", bytes: 5 }])).rows as {
    database: RowDatabase;
  };
  const rows = new CommittedRows(database);
  const reads = { owner: database.owner, named: database.named, row: database.row };
  const refuses = (): never => {
    throw Object.assign(new Error("read"), { code: "EMFILE" });
  };
  Object.assign(database, { owner: refuses, named: refuses, row: refuses });
  const before = { ...row, owner: "ann", bytes: 5 };
  const after = { ...before, bytes: 30 };
  rows.put(1, before, after);
  assert.throws(() => rows.usageOf("ann"), { kind: "disk-busy" });
  rows.put(1, after, undefined);
  rows.put(2, undefined, { ...named(2, "more"), owner: "ann", bytes: 7 });
  Object.assign(database, reads);
  assert.deepEqual(rows.usageOf("ann"), { logs: 1, bytes: 7 });
});

test("a checkpoint that is written again after it took effect counts nothing twice", async () => {
  const { rows } = await storedRows([{ ...row, owner: "ann", bytes: 5 }]);
  const database = rows.database!;
  const head = encodeHead({ index: 9, crc: 0, head: { ...emptyHead, size: 1 } });
  rows.put(1, { ...row, owner: "ann", bytes: 5 }, { ...row, owner: "ann", bytes: 30 });
  rows.freeze();
  for (let attempt = 0; attempt < 2; attempt++) {
    await database.write(rows.changes(), head);
    // Its sum does not stay in memory.
    for (let n = 0; n < 5_000; n++) rows.usageOf(`other ${n}`);
  }
  assert.deepEqual(rows.usageOf("ann"), { logs: 1, bytes: 30 });
  rows.thaw(database);
  assert.deepEqual(rows.usageOf("ann"), { logs: 1, bytes: 30 });
});

test("many owners: only those that were looked at last stay in memory", async () => {
  const owned = Array.from({ length: 10_000 }, (_, n) => ({
    ...named(n + 1, `log ${n}`),
    owner: `owner ${n}`,
  }));
  const { rows } = await storedRows(owned);
  let reads = 0;
  const { database } = rows;
  const owner = database!.owner.bind(database);
  database!.owner = (one) => {
    reads++;
    return owner(one);
  };
  for (let round = 0; round < 2; round++)
    for (const one of owned) assert.equal(rows.usageOf(one.owner).logs, 1);
  assert.equal(reads, 20_000);
  for (let round = 0; round < 3; round++) rows.usageOf("owner 9999");
  assert.equal(reads, 20_000);
});
