import assert from "node:assert/strict";
import { test } from "node:test";
import { type Linked, OpenCalls } from "../../../../src/api/calls/open-calls.ts";

class Item implements Linked<Item> {
  previous: Item | undefined;
  next: Item | undefined;
}

test("the list holds the items that were added and not deleted, the oldest first", () => {
  const list = new OpenCalls<Item>();
  const model = new Set<Item>();
  const items = Array.from({ length: 12 }, () => new Item());
  let random = 7;
  for (let step = 0; step < 2000; step++) {
    random = (random * 48_271) % 2_147_483_647;
    const item = items[random % items.length]!;
    if (model.has(item)) {
      list.delete(item);
      model.delete(item);
    } else {
      list.add(item);
      model.add(item);
    }
    assert.equal(list.size, model.size);
    assert.deepEqual(
      list.all().map((one) => items.indexOf(one)),
      [...model].map((one) => items.indexOf(one)),
    );
  }
});

test("deleting an item that is not in the list changes nothing", () => {
  const list = new OpenCalls<Item>();
  const [only, other] = [new Item(), new Item()];
  list.delete(other);
  list.add(only);
  list.delete(other);
  assert.deepEqual([list.size, list.all().length], [1, 1]);
  list.delete(only);
  list.delete(only);
  assert.deepEqual([list.size, list.all().length], [0, 0]);
});
