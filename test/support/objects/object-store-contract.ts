/** What every store of objects promises. */
import assert from "node:assert/strict";
import type { ObjectStore } from "../../../src/objects/mod.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export async function keysOf(store: ObjectStore, prefix = ""): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.sort();
}

/** `largeBytes`: the size of an object that the store writes in several parts. */
export async function checkObjectStore(store: ObjectStore, largeBytes: number): Promise<void> {
  assert.deepEqual(await keysOf(store), []);
  assert.equal(await store.size("a"), undefined);
  assert.equal(await store.read("a", 0, 1), undefined);
  assert.equal(await store.readWhole("a", 10), undefined);
  await store.delete("a");
  assert.equal(await store.removeUnfinished(), 0);

  // Conditions.
  const tag = await store.put("a", text("one"), { ifAbsent: true });
  assert.notEqual(tag, undefined);
  assert.equal(await store.put("a", text("two"), { ifAbsent: true }), undefined);
  const found = await store.readWhole("a", 10);
  assert.deepEqual([Buffer.from(found!.data).toString(), found!.tag], ["one", tag]);
  const second = await store.put("a", text("three"), { ifTag: tag! });
  assert.notEqual(second, undefined);
  assert.equal(await store.put("a", text("four"), { ifTag: tag! }), undefined);
  assert.equal(await store.put("none", text("four"), { ifTag: tag! }), undefined);
  assert.notEqual(await store.put("a", text("five")), undefined);
  await assert.rejects(store.readWhole("a", 3), { kind: "corrupt" });

  // Ranges.
  const read = async (position: number, bytes: number): Promise<string> =>
    Buffer.from((await store.read("a", position, bytes))!).toString();
  assert.deepEqual(
    [await read(0, 4), await read(1, 2), await read(2, 10), await read(9, 3)],
    ["five", "iv", "ve", ""],
  );

  // Large objects: there is none before the end, and one that is there is kept.
  const large = Buffer.from(Uint8Array.from({ length: largeBytes }, (_, at) => at * 7));
  const write = async (bytes: Uint8Array): Promise<void> => {
    const writer = store.create("deep/er/large", largeBytes);
    for (let from = 0; from < bytes.length; from += 1_000_003)
      await writer.write(bytes.subarray(from, from + 1_000_003));
    assert.equal(await store.size("deep/er/large"), undefined);
    await writer.finish();
  };
  await write(large);
  assert.equal(await store.size("deep/er/large"), largeBytes);
  const middle = await store.read("deep/er/large", largeBytes - 5000, 4000);
  assert.equal(Buffer.compare(middle!, large.subarray(largeBytes - 5000, largeBytes - 1000)), 0);
  const again = store.create("deep/er/large", 3);
  await again.write(text("new"));
  await again.finish();
  assert.equal(await store.size("deep/er/large"), largeBytes);
  const short = store.create("short", 5);
  await short.write(text("1234"));
  await assert.rejects(short.finish(), { kind: "corrupt" });
  await short.abandon();

  // What was begun and given up leaves nothing.
  const abandoned = store.create("abandoned", largeBytes);
  await abandoned.write(large.subarray(0, largeBytes - 1));
  await abandoned.abandon();
  assert.equal(await store.removeUnfinished(), 0);
  const forgotten = store.create("forgotten", largeBytes);
  await forgotten.write(large.subarray(0, largeBytes - 1));
  assert.equal(await store.removeUnfinished(), 1);
  // A part may still have been on its way.
  await forgotten.abandon().catch(() => undefined);
  await store.removeUnfinished();
  assert.equal(await store.removeUnfinished(), 0);

  // Lists.
  for (const key of ["deep/x", "deep.y"]) await store.put(key, text(key));
  assert.deepEqual(await keysOf(store), ["a", "deep.y", "deep/er/large", "deep/x"]);
  assert.deepEqual(await keysOf(store, "deep/"), ["deep/er/large", "deep/x"]);
  for await (const { key, bytes, ageMs } of store.list("a")) {
    assert.deepEqual([key, bytes], ["a", 4]);
    assert.ok(ageMs >= 0 && ageMs < 60_000, String(ageMs));
  }
  await store.delete("deep/x");
  assert.equal(await store.size("deep/x"), undefined);

  for (const key of ["../x", "/x", "a/../b", ".hidden", "a//b", "", "a\u0000b"])
    await assert.rejects(async () => await store.put(key, text("x")), { kind: "corrupt" }, key);
}
