/** What every implementation of RowStore does, as tests of one store. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import type { RowDatabase, RowStore, StoredRow } from "../../../src/rows/mod.ts";
import type { RowsIdentity } from "../../../src/rows/rows.ts";
import { deleted, headOf, put, sampleRow, sampleRows } from "./row-samples.ts";

/** Opens a store in an empty directory. `path` is that of a base file. */
export type OpenStore = (t: Pick<TestContext, "after">) => {
  readonly store: RowStore;
  readonly path: (name: string) => string;
};

export const identityOf = (generation: number, byte = 7): RowsIdentity => ({
  directoryId: new Uint8Array(16).fill(byte),
  generation,
});

export const isDamage = (why: string) => (reason: unknown) =>
  reason instanceof Fault && reason.kind === "corrupt" && reason.facts.why === why;

const named = (id: number, name: string, dueMs?: number): StoredRow => ({ ...sampleRow(id), name, dueMs });

export function rowStoreSuite(name: string, openStore: OpenStore): void {
  test(`${name}: rows, names and the head are those of the last write, also after it is opened again`, async (t) => {
    const { store } = openStore(t);
    const rows = await store.build(identityOf(1), headOf(0, 0));
    const check = (found: RowDatabase): void => {
      assert.deepEqual(found.head, headOf(9, 3));
      assert.deepEqual(found.row(3), sampleRow(3, 1));
      assert.deepEqual(found.row(4), undefined);
      assert.deepEqual(found.row(6), named(6, sampleRow(4).name));
      assert.deepEqual(found.named(sampleRow(4).name)?.id, 6);
      assert.deepEqual(found.named(sampleRow(5).name), sampleRow(5));
      assert.equal(found.named("absent"), undefined);
    };
    await rows.write(
      [5, 3, 4].map((id) => put(sampleRow(id))),
      headOf(5, 3),
    );
    assert.deepEqual(rows.row(4), sampleRow(4));
    await rows.write([put(named(6, sampleRow(4).name)), deleted(4), put(sampleRow(3, 1))], headOf(9, 3));
    check(rows);
    await rows.close();
    const again = store.open(identityOf(1), 9);
    check(again);
    await again.close();
    await store.close();
  });

  test(`${name}: owners are those of the last write, also after it is opened again`, async (t) => {
    const { store } = openStore(t);
    const rows = await store.build(identityOf(1), headOf(0, 0));
    const value = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
    const owner = (one: string, text?: string) => ({
      owner: one,
      value: text === undefined ? undefined : value(text),
    });
    assert.equal(rows.owner("ann"), undefined);
    await rows.write(
      [owner("ann", "1"), put(sampleRow(1)), owner("bob", "2"), owner("\u{1f600}", "3")],
      headOf(1, 1),
    );
    await rows.write([owner("ann", "10"), owner("bob"), owner("absent"), put(sampleRow(2))], headOf(2, 2));
    const check = (found: RowDatabase): void => {
      assert.deepEqual(found.owner("ann"), value("10"));
      assert.equal(found.owner("bob"), undefined);
      assert.deepEqual(found.owner("\u{1f600}"), value("3"));
      assert.deepEqual(found.row(1), sampleRow(1));
      assert.equal(found.named("ann"), undefined, "an owner is not a log");
    };
    check(rows);
    await rows.write(
      Array.from({ length: 2_500 }, (_, n) => owner(`owner ${n}`, `${n}`)),
      headOf(3, 2),
    );
    await rows.close();
    const again = store.open(identityOf(1), 3);
    check(again);
    for (const n of [0, 999, 2_499]) assert.deepEqual(again.owner(`owner ${n}`), value(`${n}`));
    let scrubbed: number | undefined = -1;
    while (scrubbed !== undefined) scrubbed = await again.scrub(scrubbed);
    await again.close();
    await store.close();
  });

  test(`${name}: a page of names is in the order of their bytes, and ends with the prefix`, async (t) => {
    const { store } = openStore(t);
    const rows = await store.build(identityOf(1), headOf(0, 0));
    const names = [
      "a",
      "a/",
      "a/b",
      "a/\u{e000}",
      "a/\uffff",
      "a/😀",
      "a/😀/x",
      "a/\u{10ffff}",
      "a0",
      "b",
      "ä",
    ];
    await rows.write(
      [...names].reverse().map((text, id) => put(named(id, text))),
      headOf(1, names.length),
    );
    assert.deepEqual(rows.namesFrom("", "", 100), names);
    assert.deepEqual(rows.namesFrom("a/", "", 100), names.slice(1, 8));
    assert.deepEqual(rows.namesFrom("a/", "a/\uffff", 2), ["a/😀", "a/😀/x"]);
    assert.deepEqual(rows.namesFrom("a/😀", "", 100), ["a/😀", "a/😀/x"]);
    assert.deepEqual(rows.namesFrom("a/\u{10ffff}", "", 100), ["a/\u{10ffff}"]);
    assert.deepEqual(rows.namesFrom("", "b", 100), ["ä"]);
    assert.deepEqual(rows.namesFrom("a/", "b", 100), []);
    assert.deepEqual(rows.namesFrom("b", "a", 100), ["b"]);
    await rows.close();
    await store.close();
  });

  test(`${name}: due rows come by time and id, in pages`, async (t) => {
    const { store } = openStore(t);
    const rows = await store.build(identityOf(1), headOf(0, 0));
    const dueMs = [0, undefined, 50, 10, 0, 50, 51, undefined, 0];
    await rows.write(
      dueMs.map((ms, id) => put(named(id, `log-${id}`, ms))),
      headOf(1, dueMs.length),
    );
    const expected = [
      { dueMs: 0, id: 0 },
      { dueMs: 0, id: 4 },
      { dueMs: 0, id: 8 },
      { dueMs: 10, id: 3 },
      { dueMs: 50, id: 2 },
      { dueMs: 50, id: 5 },
    ];
    assert.deepEqual(rows.due(50, undefined, 100), expected);
    assert.deepEqual(rows.due(-1, undefined, 100), []);
    for (const [at, after] of expected.entries()) {
      for (const limit of [1, 2, 10]) {
        assert.deepEqual(rows.due(50, after, limit), expected.slice(at + 1, at + 1 + limit));
      }
    }
    await rows.write([put(named(4, "log-4")), put(named(1, "log-1", 5))], headOf(2, dueMs.length));
    assert.deepEqual(rows.due(5, undefined, 100), [expected[0], expected[2], { dueMs: 5, id: 1 }]);
    await rows.close();
    await store.close();
  });

  test(`${name}: a database of another directory, an older or a missing one is refused`, async (t) => {
    const { store } = openStore(t);
    const rows = await store.build(identityOf(3), headOf(8, 0));
    await rows.close();
    assert.deepEqual(store.generations(), [3]);
    assert.throws(() => store.open(identityOf(3, 8), 0), isDamage("foreign"));
    assert.throws(() => store.open(identityOf(3), 9), isDamage("rolled-back"));
    assert.throws(() => store.open(identityOf(4), 0), isDamage("missing"));
    await store.remove(3);
    await store.remove(3);
    assert.deepEqual(store.generations(), []);
    assert.throws(() => store.open(identityOf(3), 0), isDamage("missing"));
    await store.close();
  });

  test(`${name}: a database is built from a base file and replaces an older one`, async (t) => {
    const { store, path } = openStore(t);
    const all = sampleRows(1, 2000);
    await store.mergeBase(undefined, path("1"), [...all].reverse().map(put), headOf(4, all.length));
    await store.mergeBase(path("1"), path("2"), [deleted(7), put(sampleRow(8, 1))], headOf(5, 1999));
    const old = await store.build(identityOf(1), headOf(99, 0));
    await old.close();
    const rows = await store.build(identityOf(1), path("2"));
    assert.deepEqual(rows.head, headOf(5, 1999));
    for (const row of all) {
      const expected = row.id === 7 ? undefined : row.id === 8 ? sampleRow(8, 1) : row;
      assert.deepEqual(rows.row(row.id), expected);
      assert.deepEqual(rows.named(row.name), expected);
    }
    let scrubbed: number | undefined = -1;
    while (scrubbed !== undefined) scrubbed = await rows.scrub(scrubbed);
    await rows.write([deleted(9)], headOf(6, 1998));
    assert.equal(rows.row(9), undefined);
    await rows.close();
    await store.close();
  });

  test(`${name}: a name that occurs twice and a wrong number of rows are refused, and change nothing`, async (t) => {
    const { store, path } = openStore(t);
    const twice = [put(named(1, "same")), put(named(2, "same"))];
    await store.mergeBase(undefined, path("1"), twice, headOf(1, 2));
    await assert.rejects(store.build(identityOf(1), path("1")), isDamage("name"));
    assert.deepEqual(store.generations(), []);
    const rows = await store.build(identityOf(2), headOf(0, 0));
    await assert.rejects(rows.write(twice, headOf(1, 2)), isDamage("name"));
    await assert.rejects(rows.write([put(sampleRow(1))], headOf(1, 2)), isDamage("count"));
    assert.deepEqual(rows.head, headOf(0, 0));
    assert.equal(rows.row(1), undefined);
    await rows.write([put(sampleRow(1))], headOf(1, 1));
    assert.deepEqual(rows.row(1), sampleRow(1));
    await rows.close();
    await store.close();
  });

  test(`${name}: work at once on this thread does the same, and rows come in pages by id`, async (t) => {
    const { store, path } = openStore(t);
    const all = sampleRows(1, 2000);
    await store.mergeBase(undefined, path("1"), all.map(put), headOf(4, all.length));
    const rows = store.buildNow(identityOf(1), path("1"));
    assert.deepEqual(rows.head, headOf(4, all.length));
    rows.writeNow([deleted(7), put(sampleRow(8, 1))], headOf(5, 1999));
    assert.throws(() => rows.writeNow([deleted(9)], headOf(6, 1999)), isDamage("count"));
    assert.deepEqual(rows.head, headOf(5, 1999));
    const expected = all.filter(({ id }) => id !== 7).map((row) => (row.id === 8 ? sampleRow(8, 1) : row));
    const found: (StoredRow | undefined)[] = [];
    for (let afterId = -1; ; ) {
      const page = rows.rowsAfter(afterId, 300);
      found.push(...page.map(({ row }) => row));
      if (page.length < 300) break;
      afterId = page.at(-1)!.id;
    }
    assert.deepEqual(found, expected);
    let scrubbed: number | undefined = -1;
    while (scrubbed !== undefined) scrubbed = rows.scrubNow(scrubbed);
    await rows.close();
    const empty = store.buildNow(identityOf(1), headOf(9, 0));
    assert.deepEqual(empty.rowsAfter(-1, 10), []);
    await empty.write([put(sampleRow(1))], headOf(10, 1));
    empty.writeNow([put(sampleRow(2))], headOf(11, 2));
    assert.deepEqual(empty.row(2), sampleRow(2));
    await empty.close();
    await store.close();
  });

  test(`${name}: writes run one after the other`, async (t) => {
    const { store } = openStore(t);
    const rows = await store.build(identityOf(1), headOf(0, 0));
    const writes = sampleRows(0, 20).map((row, at) => rows.write([put(row)], headOf(at + 1, at + 1)));
    await rows.close();
    await Promise.all(writes);
    const again = store.open(identityOf(1), 20);
    assert.deepEqual(again.row(19), sampleRow(19));
    await again.close();
    await store.close();
  });
}
