import assert from "node:assert/strict";
import { test } from "node:test";
import { ProducedRunWatch } from "../../../../src/replication/append/produced-run-watch.ts";
import type { Appended } from "../../../../src/types.ts";

const stamp = (sequence: number, epoch = 0) => ({ subject: "s", id: 1n, epoch, sequence });
const batch = (sequence: number, count: number) => ({
  index: 9,
  sequence,
  count,
  firstOffset: 100 + sequence,
  timestampMs: 5,
});

test("a committed batch calls back each run that it contains completely, with its offset", () => {
  const runs = new ProducedRunWatch();
  const seen: [string, Appended][] = [];
  const watch = (name: string, sequence: number, count: number, epoch = 0): (() => void) =>
    runs.observe(stamp(sequence, epoch), count, (appended) => {
      seen.push([name, appended]);
      stop.get(name)?.();
    });
  const stop = new Map<string, () => void>();
  stop.set("before", watch("before", 0, 2));
  stop.set("inside", watch("inside", 3, 2));
  stop.set("across", watch("across", 4, 9));
  stop.set("other epoch", watch("other epoch", 3, 1, 1));
  runs.committed(stamp(2), batch(2, 4));
  assert.deepEqual(seen, [["inside", { firstOffset: 103, count: 2, timestampMs: 5, duplicate: false }]]);
  runs.committed(stamp(2), batch(2, 4));
  assert.equal(seen.length, 1);
  runs.committed({ ...stamp(0), subject: "else" }, batch(0, 20));
  assert.equal(seen.length, 1);
  runs.committed(stamp(0), batch(0, 1_000));
  assert.deepEqual(
    seen.map(([name]) => name),
    ["inside", "before", "across"],
  );
});
