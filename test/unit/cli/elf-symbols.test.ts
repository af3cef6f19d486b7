/** Programs that are not what removeSymbols() expects stay as they are. test/long/install.test.ts shortens a real one. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { prng } from "../../../src/lib/prng.ts";
import { scratch } from "../../support/scratch.ts";

const { removeSymbols } = createRequire(import.meta.url)("../../../src/cli/elf-symbols.cjs") as {
  removeSymbols(file: string): number;
};

interface Section {
  readonly flags: number;
  readonly bytes: number;
}

/** A file with one segment of 64 bytes and these sections; the last one has the names. */
function program(sections: readonly Section[]): Buffer {
  const segmentAt = 64;
  let end = segmentAt + 56;
  const headers = [Buffer.alloc(64)];
  const contents: Buffer[] = [];
  for (const [at, { flags, bytes }] of sections.entries()) {
    const header = Buffer.alloc(64);
    header.writeUInt32LE(1, 4);
    header.writeBigUInt64LE(BigInt(flags), 8);
    header.writeBigUInt64LE(BigInt(end), 24);
    header.writeBigUInt64LE(BigInt(bytes), 32);
    headers.push(header);
    contents.push(Buffer.alloc(bytes, at + 1));
    end += bytes;
  }
  const head = Buffer.alloc(segmentAt + 56);
  head.write("\x7fELF\x02\x01", "latin1");
  head.writeBigUInt64LE(BigInt(segmentAt), 0x20);
  head.writeBigUInt64LE(BigInt(end), 0x28);
  head.writeUInt16LE(56, 0x36);
  head.writeUInt16LE(1, 0x38);
  head.writeUInt16LE(64, 0x3a);
  head.writeUInt16LE(headers.length, 0x3c);
  head.writeUInt16LE(headers.length - 1, 0x3e);
  return Buffer.concat([head, ...contents, ...headers]);
}

const loaded = { flags: 2, bytes: 128 };
const debug = { flags: 0, bytes: 4_096 };
const names = { flags: 0, bytes: 40 };

test("sections that are not loaded are removed, the others and the names stay", (t) => {
  const file = join(scratch(t), "program");
  const whole = program([loaded, loaded, debug, debug, names]);
  writeFileSync(file, whole);
  const removed = removeSymbols(file);
  const after = readFileSync(file);
  assert.equal(removed, whole.length - after.length);
  assert.ok(removed >= 2 * debug.bytes);
  assert.equal(after.readUInt16LE(0x3c), 4);
  const sectionsAt = Number(after.readBigUInt64LE(0x28));
  assert.equal(after.length, sectionsAt + 4 * 64);
  for (const at of [1, 2, 3]) {
    const section = after.subarray(sectionsAt + at * 64);
    const start = Number(section.readBigUInt64LE(24));
    const content = after.subarray(start, start + Number(section.readBigUInt64LE(32)));
    assert.deepEqual([...new Set(content)], [at < 3 ? at : 5]);
  }
  assert.equal(removeSymbols(file), 0);
  assert.deepEqual(readFileSync(file), after);
});

test("a file that is not such a program stays as it is", (t) => {
  const file = join(scratch(t), "program");
  const whole = program([loaded, debug, names]);
  const mixed = program([loaded, debug, loaded, names]);
  const cut = [0, 3, 63, 64, 200, whole.length - 1].map((bytes) => whole.subarray(0, bytes));
  for (const bytes of [Buffer.from("#!/bin/sh\n"), mixed, ...cut]) {
    writeFileSync(file, bytes);
    assert.throws(() => removeSymbols(file));
    assert.deepEqual(readFileSync(file), bytes);
  }
});

test("damaged headers never make it read or write beyond the file", (t) => {
  const file = join(scratch(t), "program");
  const whole = program([loaded, debug, names]);
  const random = prng(17);
  for (let round = 0; round < 300; round++) {
    const bytes = Buffer.from(whole);
    bytes[random.between(0, 63) + (round % 2) * (whole.length - 64 * 4)] = random.between(0, 255);
    writeFileSync(file, bytes);
    let removed: number;
    try {
      removed = removeSymbols(file);
    } catch {
      removed = 0;
      assert.deepEqual(readFileSync(file), bytes, `round ${round}`);
    }
    assert.equal(readFileSync(file).length, bytes.length - removed);
  }
});
