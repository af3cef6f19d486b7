import assert from "node:assert/strict";
import { test } from "node:test";
import { TailWatch, type WatchingTail } from "../../../../src/log/read/tail-watch.ts";

const names = new Map([
  [1, "orders/eu"],
  [2, "orders/us"],
  [3, "order"],
  [4, "users"],
]);
const nameOf = (id: number): string | undefined => names.get(id);

function tail(): WatchingTail & { readonly from: number[]; wakes: number } {
  const from: number[] = [];
  return {
    from,
    wakes: 0,
    committed: (index) => from.push(index),
    woken() {
      this.wakes++;
    },
  };
}

test("a commit wakes the tails that name one of its logs, or a prefix of its name, and no others", () => {
  const watch = new TailWatch();
  const [byId, orders, all, other, fallback] = [tail(), tail(), tail(), tail(), tail()];
  watch.add(byId, { ids: [1, 4] });
  watch.add(orders, { ids: [], prefix: "orders/" });
  watch.add(all, { ids: [], prefix: "" });
  watch.add(other, { ids: [2], prefix: "user" });
  watch.add(fallback, { ids: [0] });
  watch.committed(5, [1], nameOf);
  watch.committed(6, [3], nameOf);
  watch.committed(7, [0], nameOf);
  watch.committed(8, [4], nameOf);
  assert.deepEqual(byId.from, [5, 8]);
  assert.deepEqual(orders.from, [5]);
  assert.deepEqual(all.from, [5, 6, 8], "default has no prefix");
  assert.deepEqual(other.from, [8]);
  assert.deepEqual(fallback.from, [7]);
});

test("the prefixes of a log are searched again after a tail came or went", () => {
  const watch = new TailWatch();
  const [first, second] = [tail(), tail()];
  const remove = watch.add(first, { ids: [], prefix: "orders/" });
  watch.committed(1, [1], nameOf);
  const removeSecond = watch.add(second, { ids: [], prefix: "orders/e" });
  watch.committed(2, [1], nameOf);
  remove();
  watch.committed(3, [1], nameOf);
  assert.deepEqual(first.from, [1, 2]);
  assert.deepEqual(second.from, [2, 3]);
  removeSecond();
  assert.equal(watch.size, 0);
  watch.committed(4, [1], nameOf);
  assert.deepEqual(second.from, [2, 3]);
});

test("a deleted log wakes those that named it only", () => {
  const watch = new TailWatch();
  const [byId, all] = [tail(), tail()];
  watch.add(byId, { ids: [9] });
  watch.add(all, { ids: [], prefix: "" });
  watch.committed(1, [9], nameOf);
  assert.deepEqual([byId.from, all.from], [[1], []]);
});

test("all tails can be woken, also if one of them leaves", () => {
  const watch = new TailWatch();
  const last = tail();
  const leaving = { ...tail(), woken: () => remove() };
  const remove = watch.add(leaving, { ids: [1] });
  watch.add(last, { ids: [1] });
  watch.wakeAll();
  assert.equal(last.wakes, 1);
  assert.equal(watch.size, 1);
});
