/**
 * npm run -s sim -- --seed N | --seeds A..B | --bugs [rare | NAME …]
 *
 * --seed tells the story of one seed, last line `seed N hash H ok` or `seed N hash H FAILED invariant`; --seeds gives
 * such a line for each and a summary; the exit code is 1 when one failed. --bugs says in how many seeds each of the
 * injected bugs is found (see bugs/); of those under bugs/rare only when asked.
 *
 * Never: is part of the simulation.
 */
import { hunt, rangesOf, reportBugs } from "./bug-score.ts";
import { runSeed, type SeedResult } from "./run.ts";
import { addTo, emptyTally, tallyOf } from "./tally.ts";

const line = ({ seed, hash, invariant }: SeedResult): string =>
  `seed ${seed} hash ${hash} ${invariant === undefined ? "ok" : `FAILED ${invariant}`}`;

async function one(seed: string): Promise<number> {
  const result = await runSeed(seed, { story: true });
  for (const told of result.story) console.log(told);
  if (result.invariant !== undefined)
    console.log(`\n${result.detail}\n\nagain: npm run -s sim -- --seed ${seed}`);
  console.log(line(result));
  return result.invariant === undefined ? 0 : 1;
}

async function many(first: number, last: number): Promise<number> {
  const tally = emptyTally();
  const started = performance.now();
  for (let seed = first; seed <= last; seed++) {
    const result = await runSeed(String(seed));
    addTo(tally, tallyOf(result));
    console.log(line(result));
  }
  const seconds = (performance.now() - started) / 1000;
  const { seeds, failed, marks, events, virtualMs, acked, faults } = tally;
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

async function main(words: readonly string[]): Promise<number> {
  const [option, value] = words;
  if (option === "--bugs") return reportBugs(words.slice(1));
  if (option === "--seed" && value !== undefined) return one(value);
  const range = /^(\d+)\.\.(\d+)$/.exec(value ?? "");
  if (option === "--hunt") return hunt(rangesOf(value ?? ""));
  if (option === "--seeds" && range !== null) return many(Number(range[1]), Number(range[2]));
  console.error("sim --seed N | --seeds A..B | --bugs [rare | NAME …]");
  return 2;
}

process.exitCode = await main(process.argv.slice(2));
