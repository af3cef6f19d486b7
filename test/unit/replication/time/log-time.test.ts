import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { type ClockNotes, LogTime } from "../../../../src/replication/time/log-time.ts";
import { logLines } from "../../../support/log/log-lines.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const minute = 60_000;
const hour = 60 * minute;

/** A clock that was right for a minute, the log time that reads it, and what that stores and logs. */
function logTime(setByMs?: number) {
  const time = new VirtualTime();
  const clock = time.clock();
  const { log, lines } = logLines();
  const notes = {
    clockSetByMs: setByMs,
    clockWithoutLeapsMs: undefined as number | undefined,
    fails: undefined as Fault | undefined,
    saveClockSet(byMs: number | undefined, withoutLeapsMs: number | undefined): void {
      if (notes.fails !== undefined) throw notes.fails;
      notes.clockSetByMs = byMs;
      notes.clockWithoutLeapsMs = withoutLeapsMs;
    },
  } satisfies ClockNotes & { fails: Fault | undefined };
  const made = new LogTime(clock, log);
  made.begin(clock.wallMs(), notes);
  const pass = (ms: number): void => {
    time.now += ms;
    made.status();
  };
  pass(minute);
  return { made, clock, notes, lines, pass };
}

describe("the log's time", () => {
  test("lets nothing expire once the clock leaps, and logs that once, with the figures", () => {
    const { made, clock, lines, pass } = logTime();
    assert.equal(made.expiryMs(), clock.wallMs());
    clock.offsetMs = 2 * hour;
    assert.equal(made.expiryMs(), undefined);
    for (let n = 0; n < 30; n++) pass(minute);
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.level, "warn");
    assert.match(lines[0]!.message, /moved by \+7200\.0 s/);
    pass(hour);
    assert.equal(made.expiryMs(), clock.wallMs());
    assert.match(lines[1]!.message, /trusted again/);
  });

  test("stores a leap before a record gets its timestamp, and deletes it once the clock is trusted", () => {
    const { made, clock, notes, pass } = logTime();
    clock.offsetMs = 2 * hour;
    assert.equal(made.stampMs(), clock.wallMs());
    assert.equal(notes.clockSetByMs, 2 * hour);
    clock.offsetMs = 0;
    pass(minute);
    assert.equal(notes.clockSetByMs, undefined);
  });

  test("uses the time without the leap after the clock was set back, also in the next process", () => {
    const { made, clock, notes, pass } = logTime();
    const trueMs = clock.wallMs();
    clock.offsetMs = -33 * hour;
    assert.equal(made.stampMs(), trueMs);
    assert.equal(notes.clockWithoutLeapsMs, trueMs);
    const next = new LogTime(clock);
    next.begin(0, notes);
    assert.equal(next.stampMs(), trueMs);
    pass(minute);
    assert.equal(made.stampMs(), trueMs + minute);
    clock.offsetMs = 0;
    pass(minute);
    assert.equal(made.expiryMs(), trueMs + 2 * minute);
    assert.equal(notes.clockWithoutLeapsMs, undefined);
  });

  test("does not trust the clock after a start if the previous process stored a leap", () => {
    const { made, notes, pass } = logTime(2 * hour);
    assert.equal(made.expiryMs(), undefined);
    pass(hour);
    assert.notEqual(made.expiryMs(), undefined);
    assert.equal(notes.clockSetByMs, undefined);
  });

  test("continues if the leap cannot be stored, and tries again", () => {
    const { made, clock, notes } = logTime();
    notes.fails = new Fault("disk-full");
    clock.offsetMs = 2 * hour;
    assert.equal(made.stampMs(), clock.wallMs());
    assert.equal(notes.clockSetByMs, undefined);
    notes.fails = undefined;
    made.stampMs();
    assert.equal(notes.clockSetByMs, 2 * hour);
  });
});
