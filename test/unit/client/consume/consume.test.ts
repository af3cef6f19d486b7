import assert from "node:assert/strict";
import { test } from "node:test";
import { consumeSlices } from "../../../../src/client/consume/consume.ts";
import { consume, type ReadFrom, recordsOf } from "../../../../src/client/public-api.ts";
import { run } from "../../../support/log/logs.ts";
import { MemoryLog } from "../../../support/log/memory-log.ts";

/** A log whose retention overtakes a reader so many times between the lookup of the start and the read. */
class TrimmedLog extends MemoryLog {
  #trims: number;

  constructor(trims: number) {
    super();
    this.#trims = trims;
  }

  override follow(offset: number): ReturnType<MemoryLog["follow"]> {
    if (this.#trims-- > 0) void this.trim(offset + 1);
    return super.follow(offset);
  }
}

async function logWith(trims: number, records: number): Promise<TrimmedLog> {
  const log = new TrimmedLog(trims);
  for (let n = 0; n < records; n++) await log.append(run(String(n)));
  return log;
}

async function readFrom(log: MemoryLog, from: ReadFrom): Promise<number[]> {
  const offsets: number[] = [];
  for await (const { offset } of consume(log, { from, until: "end" })) offsets.push(offset);
  assert.equal(log.openTails, 0);
  return offsets;
}

test("a start that is trimmed before it is read is looked up again", async () => {
  assert.deepEqual(await readFrom(await logWith(2, 5), "start"), [2, 3, 4]);
  assert.deepEqual(await readFrom(await logWith(1, 5), { last: 3 }), [3, 4]);
  assert.deepEqual(await readFrom(await logWith(1, 5), { fromTimeMs: 1 }), [1, 2, 3, 4]);
});

test("a log in which every record is trimmed meanwhile ends", async () => {
  assert.deepEqual(await readFrom(await logWith(3, 3), "start"), []);
});

test("an offset that is trimmed fails, and so does a start after ten lookups", async () => {
  await assert.rejects(readFrom(await logWith(1, 5), 0), { kind: "out-of-range" });
  assert.deepEqual(
    await readFrom(await logWith(9, 20), "start"),
    [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
  );
  await assert.rejects(readFrom(await logWith(10, 20), "start"), { kind: "out-of-range" });
});

test("a tail that retention overtakes later fails, and skips nothing", async () => {
  const log = await logWith(0, 3);
  const read = consume(log, { from: "start" });
  assert.equal((await read.next()).value?.offset, 0);
  await log.trim(2);
  await assert.rejects(read.next(), { kind: "out-of-range" });
  assert.equal(log.openTails, 0);
});

test("the slices have the records of consume(), and end before the same offset", async () => {
  const log = await logWith(0, 6);
  for (const until of ["end", 4] as const) {
    const offsets: number[] = [];
    for await (const { slice, from, until: end } of consumeSlices(log, { from: 1, until }))
      for (const { offset } of recordsOf(slice, from))
        if (end === undefined || offset < end) offsets.push(offset);
    const expected: number[] = [];
    for await (const { offset } of consume(log, { from: 1, until })) expected.push(offset);
    assert.deepEqual(offsets, expected);
    assert.equal(expected[0], 1);
    assert.equal(log.openTails, 0);
  }
});
