/** A short soak, in a process of its own like `npm run soak`. Trends and times need an hour and a machine that is not busy. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { shortPlan } from "../soak/plan.ts";
import { parseCsv } from "../soak/samples.ts";
import type { SoakReport } from "../soak/soak.ts";
import { ended, environment, root } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";

const MiB = 2 ** 20;

test("two minutes with restarts and backups lose no record, and memory, descriptors and disk stay within bounds", {
  timeout: 600_000,
}, async (t) => {
  const directory = scratch(t);
  const args = [join(root, "test/soak/main.ts"), "--short", "--out", directory];
  const child = spawn(process.execPath, [...process.execArgv, ...args], { cwd: root, env: environment() });
  t.after(() => child.kill("SIGTERM"));
  const { out, err } = await ended(child);
  const read = (file: string): string => readFileSync(join(directory, file), "utf8");
  assert.match(out, /soak\.csv, soak\.svg, summary\.md/, `${out}${err}`);
  const report = JSON.parse(read("report.json")) as SoakReport;
  t.diagnostic(out);

  assert.deepEqual(report.errors, []);
  assert.deepEqual(report.appendFailures, {});
  assert.ok(report.acked >= 10_000, `only ${report.acked} appends were acknowledged`);
  assert.ok(report.tailed >= report.acked && report.checked > 0);
  assert.ok(report.restarts >= 4 && report.backups.length >= 2 && report.sessions.opened >= 10);

  // Logs that are never trimmed would hold twice as much at the end as in the middle.
  const keptMiB = (400 * (shortPlan.keptMs / 1_000) * 250) / MiB;
  const nodes = parseCsv(read("soak.csv")).flatMap((sample) =>
    sample.nodes.filter((node) => node !== undefined),
  );
  const most = (field: "rssMiB" | "descriptors" | "diskMiB"): number =>
    Math.max(...nodes.map((node) => node[field]));
  assert.ok(nodes.length >= 60);
  assert.ok(most("diskMiB") <= 4 * keptMiB, `${most("diskMiB")} MiB on a disk, ${keptMiB} are kept`);
  assert.ok(most("descriptors") <= 150, `${most("descriptors")} descriptors`);
  assert.ok(most("rssMiB") <= 500, `${most("rssMiB")} MiB resident`);
  assert.match(read("soak.svg"), /<\/svg>/);
});
