/** A million rows of named logs: space, memory, time, and how long the main thread is held. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openRowStore } from "../../src/rows/mod.ts";
import { scratch } from "../support/scratch.ts";
import { longestTurnMs } from "../support/time/longest-turn.ts";
import { manyRows } from "../unit/rows/many-rows.ts";
import { headOf } from "../unit/rows/row-samples.ts";
import { identityOf } from "../unit/rows/row-store-suite.ts";
import type { RowFigures } from "./measure-rows.ts";

const count = Number(process.env["ROWS"] ?? 1_000_000);
const program = fileURLToPath(new URL("./measure-rows.ts", import.meta.url));

test("a million rows take little space and memory, and hold no turn of the event loop", async (t) => {
  const directory = scratch(t);
  const store = openRowStore(directory);
  const base = `${directory}/base`;
  const say = (text: string, value: number, unit: string): void =>
    t.diagnostic(`${text}: ${value.toFixed(2)} ${unit}`);
  let before = performance.now();
  const mergeTurnMs = await longestTurnMs(() =>
    store.mergeBase(undefined, base, manyRows(count), headOf(1, count)),
  );
  say("base file written", (performance.now() - before) / 1000, "s");
  before = performance.now();
  await (await store.build(identityOf(1), base)).close();
  say("database built from it", (performance.now() - before) / 1000, "s");
  await store.close();
  const baseBytes = statSync(base).size / count;
  const databaseBytes = statSync(`${directory}/logs-1.db`).size / count;
  say("base file, each row", baseBytes, "bytes");
  say("database, each row", databaseBytes, "bytes");
  say("longest turn while the base file was written", mergeTurnMs, "ms of CPU");
  const output = execFileSync(process.execPath, [program, directory, String(count)], { encoding: "utf8" });
  const figures = JSON.parse(output) as RowFigures;
  for (const [name, value] of Object.entries(figures)) t.diagnostic(`${name}: ${String(value)}`);
  assert.ok(baseBytes + databaseBytes <= 512, "space of a row");
  assert.ok(figures.readMiB <= 150 && figures.writeMiB <= 150, "memory");
  assert.ok(figures.longestTurnMs <= 10, "a turn of the event loop during a write");
  // The test makes a million rows in these turns, and Node compiles and collects garbage.
  assert.ok(mergeTurnMs <= 50, "a turn of the event loop during a merge: the promise is 50 ms");
});
