/**
 * Runs a soak and prints its verdict. Exits 1 if a record is lost or a bound (bounds.ts) is broken.
 *
 *   npm run soak -- --minutes 60 --rate 1000
 *     --rate half       half of what a first minute without a limit reaches
 *     --short           the form that the test uses: 20 logs, two minutes
 *     --out DIR         where soak.csv, soak.svg, summary.md and the logs of the nodes go; default: a new temporary directory
 *     --again           runs nothing: checks and draws the earlier run in DIR
 */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { longPlan, type Plan, shortPlan } from "./plan.ts";
import { parseCsv, type Sample } from "./samples.ts";
import { runSoak, type SoakReport } from "./soak.ts";
import { findingsOf, graphFor, summaryOf } from "./summary.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    rate: { type: "string", default: "1000" },
    short: { type: "boolean", default: false },
    out: { type: "string" },
    again: { type: "boolean", default: false },
  },
});
const plan: Plan = values.short
  ? shortPlan
  : {
      ...longPlan,
      durationMs: Number(values.minutes) * 60_000,
      rate: values.rate === "half" ? "half" : Number(values.rate),
    };
const directory = values.out ?? mkdtempSync(join(tmpdir(), "tailrace-soak-"));

const cleanUps: (() => unknown)[] = [];
// On exit the fleet kills its nodes.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

const inDirectory = (file: string): string => join(directory, file);
const run = values.again
  ? earlierRun()
  : await runSoak(
      { after: (work) => cleanUps.unshift(work) },
      { plan, directory, report: (line) => console.log(`${new Date().toISOString()} ${line}`) },
    );
for (const work of cleanUps) await work();
const findings = findingsOf(run.samples, run.report, plan);
const summary = summaryOf(findings, run.report);
console.log(summary);
writeFileSync(inDirectory("soak.svg"), graphFor(run.samples, plan, run.report));
writeFileSync(inDirectory("summary.md"), summary);
if (run.report !== undefined) writeFileSync(inDirectory("report.json"), JSON.stringify(run.report));
console.log(`soak.csv, soak.svg, summary.md and the logs are in ${directory}`);
process.exit(findings.some(({ ok }) => ok === false) ? 1 : 0);

/** A run that was interrupted has samples and no report. */
function earlierRun(): { readonly samples: readonly Sample[]; readonly report: SoakReport | undefined } {
  const samples = parseCsv(readFileSync(inDirectory("soak.csv"), "utf8"));
  const report = inDirectory("report.json");
  if (!existsSync(report)) return { samples, report: undefined };
  return { samples, report: JSON.parse(readFileSync(report, "utf8")) as SoakReport };
}
