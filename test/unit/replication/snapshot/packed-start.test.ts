import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { checkStartFields, emptyCheckpoint, type LogStart } from "../../../../src/log/mod.ts";
import { startIn, unpackStart } from "../../../../src/replication/snapshot/packed-start.ts";
import { pack, unpackChecked } from "../../../../src/replication/storage/msgpack.ts";

/** A start with so many producers, as a leader sends it. */
function startOf(producers: number): LogStart {
  return {
    end: { index: 90_000, term: 2, nextOffset: 90_000, timestampMs: 1000, crc: 7 },
    checkpoint: {
      ...emptyCheckpoint,
      index: 90_000,
      configuration: { index: 1, command: Uint8Array.of(1) },
      producers: Array.from({ length: producers }, (_, n) => [
        `subject ${n % 7}`,
        BigInt(n) * 12_345_678_901n,
        1,
        [
          [n + 1, 0, 3, 3 * n, 1000 + n],
          [n + 2, 3, 3, 3 * n + 3, 1000 + n],
        ],
        ...(n % 3 === 0 ? ([n + 1] as const) : ([] as const)),
      ]),
      logs: { level: 1, life: 7, nextId: 1, size: 0 },
    },
  };
}

const packed = (start: unknown): Uint8Array => Uint8Array.from(pack(start));
/** Without steps. */
const atOnce = (data: Uint8Array): LogStart => checkStartFields(unpackChecked(data).value);

function outcome(work: () => LogStart): unknown {
  try {
    return work();
  } catch (reason) {
    assert.ok(reason instanceof Fault && reason.kind === "corrupt", String(reason));
    return "corrupt";
  }
}

test("a start with many producers is unpacked in steps, to the same value, and only once", () => {
  for (const producers of [0, 1, 512, 513, 5000]) {
    const data = packed(startOf(producers));
    let steps = 0;
    const work = unpackStart(data);
    let step = work.next();
    for (; step.done !== true; step = work.next()) steps++;
    assert.deepEqual(step.value, atOnce(data), `${producers} producers`);
    assert.equal(steps, producers > 512 ? Math.ceil(producers / 512) : 0);
    assert.equal(startIn(data), step.value, "the same bytes are not unpacked again");
  }
});

test("a producer that is malformed, anywhere in the list, makes the start malformed", () => {
  const start = startOf(1500);
  for (const at of [0, 700, 1499]) {
    const producers: unknown[] = [...start.checkpoint.producers];
    producers[at] = ["s", 1n, 0, []];
    const data = packed({ ...start, checkpoint: { ...start.checkpoint, producers } });
    assert.throws(() => startIn(data), { kind: "corrupt" });
  }
});

test("flipped, missing and additional bytes are accepted and rejected as without steps", () => {
  const random = prng("packed starts");
  const valid = packed(startOf(600));
  let rejected = 0;
  for (let round = 0; round < 300; round++) {
    let data = Uint8Array.from(valid);
    // Half of the flips are near the beginning, where the maps and the list have their heads.
    const flips = round % 10 === 0 ? 0 : random.between(1, 3);
    const most = random.chance(0.5) ? 400 : data.length - 1;
    for (let left = flips; left > 0; left--) data[random.between(0, most)] = random.between(0, 255);
    if (flips === 0) {
      const change = random.between(-20, 20);
      data = change < 0 ? data.slice(0, change) : Uint8Array.from([...data, ...new Uint8Array(change)]);
    }
    const expected = outcome(() => atOnce(data));
    assert.deepEqual(
      outcome(() => startIn(data)),
      expected,
      `round ${round}`,
    );
    if (expected === "corrupt") rejected++;
  }
  assert.ok(rejected > 100 && rejected < 300, `${rejected} of 300`);
});
