import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { encodeState, readState, StateImage } from "../../../src/store/state-image.ts";
import { scratch } from "../../support/scratch.ts";

const rows = Array.from({ length: 300 }, (_, n) => [`key ${n}`, { n, text: "x".repeat(n) }] as const);

test("a database in memory and one in a temporary file are the same", (t) => {
  const path = join(scratch(t), "state.db");
  writeFileSync(path, encodeState(rows, 7));
  const { image, sequence } = readState(systemDisk, path, 7);
  const bytes = encodeState(rows, 7);
  bytes.fill(1, 18, 20);
  const inFile = new StateImage(bytes, false);
  const all = ({ database }: StateImage) => database.prepare("SELECT * FROM state").all();
  assert.equal(sequence, 7);
  assert.equal(all(image).length, 301);
  assert.deepEqual(all(inFile), all(image));
  image.close();
  inFile.close();
});

test("without databases in memory, temporary files are used", (t) => {
  const { serialize, deserialize } = DatabaseSync.prototype;
  t.after(() => Object.assign(DatabaseSync.prototype, { serialize, deserialize }));
  const bytes = encodeState(rows, 7);
  Object.assign(DatabaseSync.prototype, { serialize: undefined, deserialize: undefined });
  const path = join(scratch(t), "state.db");
  for (const made of [bytes, encodeState(rows, 7)]) {
    writeFileSync(path, made);
    const { image, sequence } = readState(systemDisk, path, 7);
    assert.equal(sequence, 7);
    image.close();
  }
});
