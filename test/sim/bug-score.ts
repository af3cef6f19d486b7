/**
 * The score of the simulator: how many seeds it takes to find each of the bugs under bugs/, by the general
 * invariants. Each hunt is a process of its own that loads the source with one bug in it. Those under bugs/rare take
 * hours and are hunted only when they are asked for.
 *
 * Never: knows a bug.
 */
import { spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runSeed } from "./run.ts";

const here = dirname(fileURLToPath(import.meta.url));

export interface Bug {
  readonly name: string;
  /** From the root. */
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

/** Until one failed, or to the end of the range: how many seeds, how much virtual time, and what failed. */
export interface Find {
  readonly seeds: number;
  readonly virtualMs: number;
  readonly invariant?: string;
}

/** Seeds from … to …, both included. */
export type Range = readonly [first: number, last: number];

export const rangesOf = (text: string): Range[] =>
  [...text.matchAll(/(\d+)\.\.(\d+)/g)].map(([, first, last]) => [Number(first), Number(last)]);

/** What the process with the bug tells: of this range, so far; `over` when it is done with it. */
interface Told extends Find {
  readonly over: boolean;
}

/** In the process with the bug: tries seed after seed of each range until one fails, and tells a line before each. */
export async function hunt(ranges: readonly Range[]): Promise<number> {
  for (const [first, last] of ranges) {
    let virtualMs = 0;
    let found: string | undefined;
    let seeds = 0;
    while (found === undefined && seeds <= last - first) {
      seeds++;
      console.log(JSON.stringify({ seeds, virtualMs, over: false } satisfies Told));
      const result = await runSeed(String(first + seeds - 1));
      virtualMs += result.virtualMs;
      found = result.invariant;
    }
    const told: Told = { seeds, virtualMs, over: true, ...(found === undefined ? {} : { invariant: found }) };
    console.log(JSON.stringify(told));
  }
  return 0;
}

/** Hunts a bug in each of these ranges. */
async function find(bug: Bug, ranges: readonly Range[]): Promise<Find[]> {
  const finds: Find[] = [];
  while (finds.length < ranges.length) finds.push(...(await huntAside(bug, ranges.slice(finds.length))));
  return finds;
}

/** In a process of its own, of as many ranges as it lives to see the end of: one at least. */
function huntAside({ name, path }: Bug, ranges: readonly Range[]): Promise<Find[]> {
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
      const told = lines.map((line) => JSON.parse(line) as Told);
      const finds: Find[] = told.filter(({ over }) => over);
      const last = told.at(-1);
      if (code === 0 && finds.length === ranges.length) resolve(finds);
      else if (last?.over === false && /AssertionFailed|Violation/.test(err)) {
        // The source's own assertions are invariants too, and one may end the process.
        resolve([...finds, { ...last, invariant: "assertion" }]);
      } else reject(new Error(`${name}: the hunt ended with ${code}\n${err.slice(0, 2000)}`));
    });
  });
}

const ranges = 5;
/**
 * All ranges are gone through to the first of these, then to the next: the median is known as soon as most of them have
 * found the bug, and what the others would still take is of no matter.
 */
const stages = [4, 16, 64, 256, 768];
const processes = 2;

interface Score {
  readonly bug: Bug;
  readonly finds: readonly Find[];
}

const isFound = ({ invariant }: Find): boolean => invariant !== undefined;
const bySeeds = (finds: readonly Find[]): Find[] => finds.filter(isFound).sort((a, b) => a.seeds - b.seeds);

/** Hunts a bug in each of the ranges, as far as it takes to know the median. */
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

function tell({ bug, finds }: Score): string {
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
 * Prints, for each bug, the median over five ranges: of those with these names, where any are given, of the rare ones
 * for "rare", of all others for none. Answers 1 when a bug was found in none of the ranges.
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
      console.log(tell(one));
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
