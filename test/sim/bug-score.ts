/**
 * Measures the simulator: the number of seeds it takes to find each of the bugs under bugs/, by the general invariants.
 * Each bug runs in a process of its own, which loads the source with that bug. The bugs under bugs/rare take hours and run
 * only on request.
 */
import { spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runSeed } from "./run.ts";

const here = dirname(fileURLToPath(import.meta.url));

export interface Bug {
  readonly name: string;
  /** From the repository root. */
  readonly path: string;
  readonly isRare: boolean;
  readonly about: string;
  readonly text: string;
}

export function bugs(): Bug[] {
  return globSync("bugs/**/*.patch", { cwd: here })
    .sort()
    .map((path) => {
      const text = readFileSync(join(here, path), "utf8");
      const [about = ""] = text.split("\n");
      const isRare = basename(dirname(path)) === "rare";
      return { name: basename(path, ".patch"), path: `test/sim/${path}`, isRare, about, text };
    });
}

/**
 * The result of a range up to its first failing seed, or to its end: seeds, virtual time and the violated invariant.
 */
export interface Find {
  readonly seeds: number;
  readonly virtualMs: number;
  readonly invariant?: string;
}

/** The seeds from `first` to `last`, both included. */
export type Range = readonly [first: number, last: number];

export const rangesOf = (text: string): Range[] =>
  [...text.matchAll(/(\d+)\.\.(\d+)/g)].map(([, first, last]) => [Number(first), Number(last)]);

/** A line from the process with the bug: the result of a range so far. `over` is true when the range is finished. */
interface Progress extends Find {
  readonly over: boolean;
}

/** Runs in the process with the bug: tries the seeds of each range until one fails. Prints a line before each seed. */
export async function hunt(ranges: readonly Range[]): Promise<number> {
  for (const [first, last] of ranges) {
    let virtualMs = 0;
    let found: string | undefined;
    let seeds = 0;
    while (found === undefined && seeds <= last - first) {
      seeds++;
      console.log(JSON.stringify({ seeds, virtualMs, over: false } satisfies Progress));
      const result = await runSeed(String(first + seeds - 1));
      virtualMs += result.virtualMs;
      found = result.invariant;
    }
    const progress: Progress = {
      seeds,
      virtualMs,
      over: true,
      ...(found === undefined ? {} : { invariant: found }),
    };
    console.log(JSON.stringify(progress));
  }
  return 0;
}

/** Looks for a bug in each of these ranges. */
async function find(bug: Bug, ranges: readonly Range[]): Promise<Find[]> {
  const finds: Find[] = [];
  while (finds.length < ranges.length) finds.push(...(await huntInProcess(bug, ranges.slice(finds.length))));
  return finds;
}

/** Runs a process with the bug. Returns the results of the ranges that it finished, at least one. */
function huntInProcess({ name, path }: Bug, ranges: readonly Range[]): Promise<Find[]> {
  return new Promise((resolve, reject) => {
    const words = [
      "--import",
      join(here, "../support/bug-loader.mjs"),
      join(here, "main.ts"),
      "--hunt",
      ranges.map((range) => range.join("..")).join(),
    ];
    const child = spawn(process.execPath, words, {
      env: { ...process.env, SOURCE_BUG: path, NODE_OPTIONS: "" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk;
    });
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      const lines = out.split("\n").filter((line) => line !== "");
      const progress = lines.map((line) => JSON.parse(line) as Progress);
      const finds: Find[] = progress.filter(({ over }) => over);
      const last = progress.at(-1);
      if (code === 0 && finds.length === ranges.length) resolve(finds);
      else if (last?.over === false && /AssertionFailed|Violation/.test(err)) {
        // The source's own assertions are invariants too. A failed assertion can end the process.
        resolve([...finds, { ...last, invariant: "assertion" }]);
      } else
        reject(new Error(`${name}: the process with the bug exited with ${code}\n${err.slice(0, 2000)}`));
    });
  });
}

const ranges = 5;
/**
 * Every range runs to the first of these numbers of seeds, then to the next. The median is known when most of the ranges
 * have found the bug. Then the rest is skipped.
 */
const stages = [4, 16, 64, 256, 768];
const processes = 2;

interface Score {
  readonly bug: Bug;
  readonly finds: readonly Find[];
}

const isFound = ({ invariant }: Find): boolean => invariant !== undefined;
const bySeeds = (finds: readonly Find[]): Find[] => finds.filter(isFound).sort((a, b) => a.seeds - b.seeds);

/** Looks for a bug in each of the ranges until the median is known. */
async function score(bug: Bug): Promise<Score> {
  const finds: Find[] = Array.from({ length: ranges }, () => ({ seeds: 0, virtualMs: 0 }));
  for (const stage of stages) {
    const open = [...finds.entries()].filter(([, before]) => !isFound(before));
    const rest = open.map(([range, { seeds }]): Range => {
      const base = (range + 1) * 100_000;
      return [base + seeds, base + stage - 1];
    });
    for (const [at, more] of (await find(bug, rest)).entries()) {
      const [range, before] = open[at] as [number, Find];
      const [seeds, virtualMs] = [before.seeds + more.seeds, before.virtualMs + more.virtualMs];
      finds[range] = { ...more, seeds, virtualMs };
    }
    if (bySeeds(finds).length * 2 > ranges) break;
  }
  return { bug, finds };
}

function format({ bug, finds }: Score): string {
  const found = bySeeds(finds);
  const invariants = [...new Set(found.map(({ invariant }) => invariant))].join(", ");
  const median = found[Math.floor(ranges / 2)];
  const figures =
    median === undefined
      ? `found in ${found.length} of ${ranges}, median beyond ${stages.at(-1)}`
      : `median ${median.seeds} seeds, ${(median.virtualMs / 3_600_000).toFixed(3)} virtual hours`;
  return `${bug.name}: ${figures}, by ${invariants || "nothing"}  (${bug.about})`;
}

/**
 * Prints the median over five ranges for each bug: the bugs with these names, the rare ones for "rare", or all others if
 * there are no names. Returns 1 if no range found some bug.
 */
export async function reportBugs(names: readonly string[]): Promise<number> {
  const waiting = bugs().filter(({ name, isRare }) =>
    names.length === 0 ? !isRare : names.includes(name) || (isRare && names.includes("rare")),
  );
  const scores: Score[] = [];
  const work = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const one = await score(bug);
      scores.push(one);
      console.log(format(one));
    }
  };
  await Promise.all(Array.from({ length: processes }, work));
  const missed = scores.filter(({ finds }) => !finds.some(isFound));
  const missing = missed.map(({ bug }) => bug.name);
  console.log(
    `${scores.length} bugs, ${scores.length - missed.length} found, ${missed.length} missed ${missing}`,
  );
  return missed.length > 0 ? 1 : 0;
}
