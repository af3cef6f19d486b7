/** The verdict of a run as text: what happened, and each finding beside its bound. */
import { highest } from "./bounds.ts";
import { graphOf } from "./graph.ts";
import type { Plan } from "./plan.ts";
import type { Sample } from "./samples.ts";
import type { SoakReport } from "./soak.ts";
import { median } from "./trend.ts";
import { checkSeries, type Finding } from "./verdict.ts";

const count = (value: number): string => Math.round(value).toLocaleString("en");
const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, one) => sum + one, 0);

/** All findings. Without a report, of the series alone. */
export function findingsOf(
  samples: readonly Sample[],
  report: SoakReport | undefined,
  plan: Plan,
): Finding[] {
  const series = checkSeries(samples, plan.restartMs / 1_000);
  if (report === undefined) return series;
  const { appendFailures, errors, longestStallMs } = report;
  const failed = sumOf(appendFailures);
  return [
    {
      name: "lost, repeated or reordered records, and other errors",
      found: errors.length === 0 ? "none" : errors.join("; "),
      bound: "none",
      ok: errors.length === 0,
    },
    {
      name: "appends that failed",
      found: failed === 0 ? "none" : JSON.stringify(appendFailures),
      bound: "none",
      ok: failed === 0,
    },
    {
      name: "longest time without an acknowledgment",
      found: `${count(longestStallMs)} ms`,
      bound: `${highest.stallMs} ms`,
      ok: longestStallMs <= highest.stallMs,
    },
    ...series,
  ];
}

export function summaryOf(findings: readonly Finding[], report: SoakReport | undefined): string {
  const lines = report === undefined ? [] : [...factsOf(report), ""];
  lines.push("| finding | found | bound | |", "|---|---|---|---|");
  for (const { name, found, bound, ok } of findings)
    lines.push(`| ${name} | ${found} | ${bound} | ${ok === undefined ? "" : ok ? "ok" : "**broken**"} |`);
  return `${lines.join("\n")}\n`;
}

function factsOf(report: SoakReport): string[] {
  const { rate, acked, tailed, checked, readyMs, restarts, backups, sessions, cpu } = report;
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  const again = backups.filter(({ attempts }) => attempts > 1).length;
  return [
    "| | |",
    "|---|---|",
    `| records acknowledged; rate | ${count(acked)}; ${count(rate)}/s |`,
    `| records read by tails; read at the end from every node | ${count(tailed)}; ${count(checked)} |`,
    `| restarts; until ready, median and longest | ${restarts}; ${seconds(median(readyMs))}, ${seconds(Math.max(...readyMs))} |`,
    `| backups, verified; continued at another node; time, median and longest | ${backups.length}; ${again}; ${seconds(median(backups.map(({ ms }) => ms)))}, ${seconds(Math.max(...backups.map(({ ms }) => ms)))} |`,
    `| short sessions; failed, at a node that was stopped | ${sessions.opened}; ${sumOf(sessions.failed)} ${JSON.stringify(sessions.failed)} |`,
    `| CPU of all processes | ${cpu.toFixed(2)} cores |`,
  ];
}

export function graphFor(samples: readonly Sample[], plan: Plan, report: SoakReport | undefined): string {
  const minutes = Math.round((samples.at(-1)?.t ?? 0) / 60);
  const rate = report === undefined ? "" : `, ${count(report.rate)} records/s`;
  const title = `A soak of ${minutes} minutes${rate}`;
  const every = (ms: number): string => (ms >= 60_000 ? `${ms / 60_000} min` : `${ms / 1_000} s`);
  const subtitle =
    `three nodes, ${plan.logs + 1} logs that keep about ${every(plan.keptMs)}, a restart every ${every(plan.restartMs)}, ` +
    `a backup every ${every(plan.backupMs)}`;
  return graphOf(samples, title, subtitle);
}
