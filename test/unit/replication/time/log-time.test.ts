import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { type ClockNotes, LogTime } from "../../../../src/replication/time/log-time.ts";
import { logLines } from "../../../support/log-lines.ts";
import { VirtualTime } from "../../../support/virtual-clock.ts";

const minute = 60_000;
const hour = 60 * minute;

/** A clock that was true for a minute, the log's time that goes by it, and what it notes and logs. */
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
  test("lets nothing expire in the moment in which the clock leaps, and says so once, with the figures", () => {
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

  test("notes a leap before a record is stamped by it, and takes the note back with the doubt", () => {
    const { made, clock, notes, pass } = logTime();
    clock.offsetMs = 2 * hour;
    assert.equal(made.stampMs(), clock.wallMs());
    assert.equal(notes.clockSetByMs, 2 * hour);
    clock.offsetMs = 0;
    pass(minute);
    assert.equal(notes.clockSetByMs, undefined);
  });

  test("stamps by what a clock that was set back would show otherwise, and so does the next process", () => {
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

  test("begins in doubt where the process before it noted a leap", () => {
    const { made, notes, pass } = logTime(2 * hour);
    assert.equal(made.expiryMs(), undefined);
    pass(hour);
    assert.notEqual(made.expiryMs(), undefined);
    assert.equal(notes.clockSetByMs, undefined);
  });

  test("goes on where the note cannot be written, and tries it again", () => {
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
