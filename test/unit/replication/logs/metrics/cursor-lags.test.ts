/** The cursors that metrics show: which, with which lag, and how much work a collection does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../../../../src/lib/time/clock.ts";
import { encodeCursorCommand } from "../../../../../src/log/frame/cursor-command.ts";
import { batchKind } from "../../../../../src/log/mod.ts";
import { LogTable } from "../../../../../src/log/state/log-table.ts";
import { CursorLags } from "../../../../../src/replication/logs/metrics/cursor-lags.ts";
import { createFrame, dataFrame, deleteFrame, namedFrame } from "../../../log/named-frames.ts";

/** Each reading of the clock is a millisecond later. */
class CountingClock {
  readonly #soon: (() => void)[] = [];
  now = 0;
  turns = 0;

  monotonicMs(): number {
    return this.now++;
  }

  soon(callback: () => void): void {
    this.#soon.push(callback);
  }

  /** Runs turns of the event loop until nothing is left. */
  runAll(): void {
    while (this.#soon.length > 0) {
      this.turns++;
      for (const callback of this.#soon.splice(0)) callback();
    }
  }
}

/** The log `a` with ten records, and these cursors of it or of another log. */
function tableWith(
  cursors: readonly { readonly log?: number; readonly name: string; readonly offset: number }[],
) {
  const table = new LogTable();
  let index = 0;
  const add = (frame: Uint8Array): void => assert.equal(table.stage(frame, 0), undefined);
  add(createFrame(1, ++index, "a"));
  add(dataFrame(1, ++index, 0, 10));
  for (const [at, { log = 1, name, offset }] of cursors.entries()) {
    const command = encodeCursorCommand({ offset, created: { log, name } });
    add(namedFrame({ kind: batchKind.commitCursor, id: at + 2, index: ++index, command }));
  }
  table.commitTo(index);
  const deleteLog = (): void => {
    add(deleteFrame(1, ++index, 10));
    table.commitTo(index);
  };
  return { table, deleteLog };
}

function lagsOf(table: LogTable) {
  const clock = new CountingClock();
  const ports = { table: () => table, bounds: () => ({ lowest: 4, next: 7 }) };
  const lags = new CursorLags({ ...ports, clock: clock as unknown as Clock });
  return { clock, collect: () => lags.collect().map(({ log, cursor, lag }) => `${log} ${cursor} ${lag}`) };
}

test("cursors are shown with their logs, the one that is furthest behind first", () => {
  const { table } = tableWith([
    { name: "near", offset: 9 },
    { name: "far", offset: 1 },
    { log: 0, name: "of default", offset: 2 },
    { log: 0, name: "at the end", offset: 7 },
  ]);
  const { collect } = lagsOf(table);
  assert.deepEqual(collect(), ["a far 9", "default of default 3", "a near 1", "default at the end 0"]);
});

test("a cursor of a deleted log is not shown, also if its row is still there", () => {
  const { table, deleteLog } = tableWith([{ name: "c", offset: 0 }]);
  const { collect } = lagsOf(table);
  assert.deepEqual(collect(), ["a c 10"]);
  deleteLog();
  assert.equal(table.cursors, 1);
  assert.deepEqual(collect(), []);
});

test("of many cursors, 16 are shown, and one collection looks at a limited number", () => {
  const many = Array.from({ length: 20_000 }, (_, n) => ({
    name: `c${String(n).padStart(5, "0")}`,
    offset: n === 19_999 ? 0 : 5,
  }));
  const { table } = tableWith(many);
  const { clock, collect } = lagsOf(table);
  // A page costs a millisecond here, and a collection may use 100.
  const first = collect();
  assert.equal(first.length, 16);
  assert.ok(!first.includes("a c19999 10"));
  assert.ok(clock.now < 20, String(clock.now));
  clock.runAll();
  assert.ok(!collect().includes("a c19999 10"), "it goes on for less than a round");
  for (let rest = 0; rest < 4; rest++) {
    clock.runAll();
    collect();
  }
  clock.runAll();
  const found = collect();
  assert.deepEqual([found.length, found[0]], [16, "a c19999 10"]);
});
