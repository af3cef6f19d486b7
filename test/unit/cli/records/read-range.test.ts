import assert from "node:assert/strict";
import { test } from "node:test";
import { type RangeFlags, rangeOf } from "../../../../src/cli/records/read-range.ts";

const nowMs = Date.parse("2026-11-30T12:00:00Z");
const hour = 3_600_000;
const range = (flags: RangeFlags) => rangeOf(flags, "start", nowMs);

test("a range begins at --from, --ago or the last N, and else at the default of the command", () => {
  assert.deepEqual(range({}), { start: { fromTimeMs: 0 }, untilMs: undefined });
  assert.deepEqual(rangeOf({}, "end", nowMs).start, { end: true });
  assert.deepEqual(range({ from: "-3" }).start, { last: 3 });
  assert.deepEqual(range({ last: "10" }).start, { last: 10 });
  assert.deepEqual(range({ last: "0" }).start, { last: 0 });
  assert.deepEqual(range({ ago: "1h30m" }).start, { fromTimeMs: nowMs - 1.5 * hour });
  assert.deepEqual(range({ ago: "36500d" }).start, { fromTimeMs: 0 });
});

test("--until is a time, or how long ago", () => {
  assert.equal(range({ until: "30m" }).untilMs, nowMs - hour / 2);
  assert.equal(range({ until: "2026-11-30T11:00:00Z" }).untilMs, nowMs - hour);
  assert.equal(range({ until: "2026-11-30T13:00:00+01:00", ago: "2h" }).untilMs, nowMs);
  assert.equal(range({ until: "@1700000000000" }).untilMs, 1_700_000_000_000);
});

test("a range that is not valid is wrong usage that names the flag", () => {
  const wrong: readonly (readonly [RangeFlags, RegExp])[] = [
    [{ from: "0", ago: "1h" }, /^--from and --ago exclude each other/],
    [{ from: "0", last: "1" }, /^--from and -n exclude each other/],
    [{ until: "1h", follow: true }, /^--until and --follow exclude each other/],
    [{ from: "soon" }, /^--from must be an offset/],
    [{ ago: "soon" }, /^--ago must be a duration such as 90s, 1h or 7d, not "soon"/],
    [{ ago: "2026-01-01T00:00:00Z" }, /^--ago must be a duration/],
    [{ last: "-1" }, /^-n must be a number of records, not "-1"/],
    [{ last: "ten" }, /^-n must be/],
    [{ until: "17" }, /^--until must be a time/],
    [{ until: "end" }, /^--until must be a time/],
    [{ until: "-5" }, /^--until must be a time/],
    [
      { ago: "2026-01-31" },
      /^--ago must be a duration such as 90s, 1h or 7d; --from takes a time, not "2026-01-31"/,
    ],
    [{ until: "2026-02-30" }, /^--until: a time must be a date that exists/],
    [{ until: "2026-02-30T00:00:00Z" }, /^--until: a time must be a date that exists/],
  ];
  for (const [flags, message] of wrong)
    assert.throws(() => range(flags), { kind: "config", facts: { usage: true }, message });
});

test("a date without a time of day is midnight in UTC, as a start and as an end", () => {
  const midnight = Date.UTC(2030, 0, 1);
  assert.deepEqual(rangeOf({ from: "2030-01-01", until: "2030-01-01" }, "start", 0), {
    start: { fromTimeMs: midnight },
    untilMs: midnight,
  });
});
