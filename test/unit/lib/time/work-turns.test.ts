import assert from "node:assert/strict";
import { test } from "node:test";
import { type Clock, systemClock } from "../../../../src/lib/time/clock.ts";
import { WorkTurns, workTurns } from "../../../../src/lib/time/work-turns.ts";

/** A clock whose time moves only when the test says so; callbacks run in turns of the real event loop. */
function stoppedClock(): Clock & { nowMs: number } {
  return { ...systemClock, nowMs: 0, monotonicMs: (): number => clock.nowMs } as Clock & { nowMs: number };
}
let clock = stoppedClock();

test("all work of one turn shares its time", async () => {
  clock = stoppedClock();
  const turns = new WorkTurns(clock);
  assert.equal(turns.next(), undefined);
  clock.nowMs += 7;
  assert.equal(turns.next(), undefined);
  clock.nowMs += 1;
  const later = turns.next();
  assert.ok(later !== undefined);
  await later;
});

test("each turn of the event loop runs one long piece of work, in order of arrival", async () => {
  clock = stoppedClock();
  const turns = new WorkTurns(clock);
  const ran: string[] = [];
  let turn = 0;
  const count = (): void => {
    turn++;
    if (ran.length < 5) setImmediate(count);
  };
  setImmediate(count);
  await new Promise<void>((resolve) => {
    for (let piece = 0; piece < 5; piece++) {
      turns.wait(() => {
        ran.push(`${piece} in ${turn}`);
        clock.nowMs += 20;
        if (piece === 4) resolve();
      });
    }
  });
  assert.deepEqual(
    ran.map((one) => one[0]),
    ["0", "1", "2", "3", "4"],
  );
  assert.equal(new Set(ran.map((one) => one.slice(1))).size, 5, ran.join());
});

test("short pieces of work run in one turn, and the time of their promises counts", async () => {
  clock = stoppedClock();
  const turns = new WorkTurns(clock);
  let turn = 0;
  const seen: number[] = [];
  const count = (): void => {
    turn++;
    if (seen.length < 10) setImmediate(count);
  };
  setImmediate(count);
  const piece = async (): Promise<void> => {
    await new Promise<void>((resolve) => turns.wait(resolve));
    await null;
    clock.nowMs += 3;
    seen.push(turn);
  };
  await Promise.all(Array.from({ length: 10 }, piece));
  for (const one of new Set(seen)) assert.ok(seen.filter((other) => other === one).length <= 3, seen.join());
  assert.ok(new Set(seen).size < 10, seen.join());
});

test("a piece of work does not overtake one that waits", () => {
  clock = stoppedClock();
  const turns = new WorkTurns(clock);
  turns.wait(() => undefined);
  assert.equal(turns.mayBegin(), false);
});

test("all users of one clock share its turns", () => {
  clock = stoppedClock();
  assert.equal(workTurns(clock), workTurns(clock));
  assert.notEqual(workTurns(clock), workTurns(stoppedClock()));
});
