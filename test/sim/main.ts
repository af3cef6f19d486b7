/**
 * npm run -s sim -- --seed N | --seeds A..B | --bugs [rare | NAME …]
 *
 *   --seed N          prints the trace of one seed; the last line is `seed N hash H ok` or `seed N hash H FAILED invariant`
 *   --seeds A..B      prints such a line for each seed, and a summary; the exit code is 1 if a seed failed
 *   --bugs [NAME …]   prints how many seeds it takes to find each injected bug (see bugs/); `rare` adds bugs/rare
 */
import { hunt, rangesOf, reportBugs } from "./bug-score.ts";
import { runSeed, type SeedResult } from "./run.ts";
import { addTo, emptySummary, summaryOf } from "./run-summary.ts";

const resultLine = ({ seed, hash, invariant }: SeedResult): string =>
  `seed ${seed} hash ${hash} ${invariant === undefined ? "ok" : `FAILED ${invariant}`}`;

async function one(seed: string): Promise<number> {
  const result = await runSeed(seed, { trace: true });
  for (const line of result.trace) console.log(line);
  if (result.invariant !== undefined)
    console.log(`\n${result.detail}\n\nTo repeat: npm run -s sim -- --seed ${seed}`);
  console.log(resultLine(result));
  return result.invariant === undefined ? 0 : 1;
}

async function many(first: number, last: number): Promise<number> {
  const summary = emptySummary();
  const started = performance.now();
  for (let seed = first; seed <= last; seed++) {
    const result = await runSeed(String(seed));
    addTo(summary, summaryOf(result));
    console.log(resultLine(result));
  }
  const seconds = (performance.now() - started) / 1000;
  const { seeds, failed, marks, events, virtualMs, acked, faults } = summary;
  const which =
    failed.length === 0 ? "" : ` (${failed.map(({ seed, invariant }) => `${seed} ${invariant}`).join(", ")})`;
  const counts = [...marks].sort().map(([mark, count]) => `${mark} ${count}`);
  console.error(counts.join(" · "));
  console.error(
    `${seeds} seeds, ${failed.length} failed${which}, ${(virtualMs / 3_600_000).toFixed(1)} virtual hours, ${events} events, ` +
      `${acked} acknowledged, ${faults} faults, ${seconds.toFixed(1)} s`,
  );
  return failed.length === 0 ? 0 : 1;
}

const usage = `Usage: npm run -s sim -- OPTION
  --seed N          print the trace of one seed
  --seeds A..B      run these seeds and print a line for each
  --bugs [NAME …]   print how many seeds it takes to find each injected bug; "rare" adds the rare ones
Example: npm run -s sim -- --seeds 1..100`;

async function main(args: readonly string[]): Promise<number> {
  const [option, value] = args;
  if (option === "--bugs") return reportBugs(args.slice(1));
  if (option === "--seed" && value !== undefined) return one(value);
  const range = /^(\d+)\.\.(\d+)$/.exec(value ?? "");
  if (option === "--hunt") return hunt(rangesOf(value ?? ""));
  if (option === "--seeds" && range !== null) return many(Number(range[1]), Number(range[2]));
  console.error(usage);
  return 2;
}

process.exitCode = await main(process.argv.slice(2));
