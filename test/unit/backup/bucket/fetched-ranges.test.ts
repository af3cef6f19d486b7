/** The bytes of the files of a backup, fetched ahead. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FetchedRanges } from "../../../../src/backup/bucket/fetched-ranges.ts";
import { MemoryStore } from "../../../support/objects/memory-store.ts";

const MiB = 2 ** 20;

/** A store with two files, of five ranges together. */
function filled() {
  const store = new MemoryStore();
  const files = [
    { file: "a.frames", bytes: 17 * MiB },
    { file: "b.frames", bytes: 9 * MiB },
  ];
  for (const [at, { file, bytes }] of files.entries())
    store.objects.set(`files/${file}`, Buffer.alloc(bytes, at + 1));
  return { store, files };
}

test("the files are read in order, while at most four ranges are fetched or wait", async () => {
  const { store, files } = filled();
  const ranges = new FetchedRanges(store, files);
  let read = 0;
  const ahead: number[] = [];
  for (const { file, bytes } of files) {
    let position = 0;
    for await (const piece of ranges.next(file)) {
      const expected = store.objects.get(`files/${file}`)!.subarray(position, position + piece.length);
      assert.equal(Buffer.compare(piece, expected), 0);
      position += piece.length;
      read++;
      await new Promise((resolve) => setImmediate(resolve));
      ahead.push(store.operations.length - read);
    }
    assert.equal(position, bytes);
  }
  assert.deepEqual([read, ahead], [5, [4, 3, 2, 1, 0]]);
});

test("a file that is not there is damage, and a short one ends early", async () => {
  const { store, files } = filled();
  store.objects.set("files/a.frames", Buffer.alloc(9 * MiB));
  const [first, second] = files;
  const ranges = new FetchedRanges(store, [first!]);
  const pieces = await Array.fromAsync(ranges.next("a.frames"));
  assert.deepEqual(
    pieces.map(({ length }) => length),
    [8 * MiB, MiB],
  );
  await ranges.settled();
  store.objects.delete("files/b.frames");
  const missing = new FetchedRanges(store, [second!]);
  await assert.rejects(Array.fromAsync(missing.next("b.frames")), {
    kind: "corrupt",
    message: /has no file b\.frames/,
  });
  await missing.settled();
});
