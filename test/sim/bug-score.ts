/**
 * The score of the simulator: how many seeds it takes to find each of the bugs under bugs/, by the general
 * invariants. Each hunt is a process of its own that loads the source with one bug in it.
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
  readonly about: string;
  readonly file: string;
  readonly text: string;
}

export function bugs(): Bug[] {
  return globSync("bugs/*.patch", { cwd: here })
    .sort()
    .map((path) => {
      const text = readFileSync(join(here, path), "utf8");
      const [about = "", file = ""] = text.split("\n");
      return { name: basename(path, ".patch"), about, file, text };
    });
}

/** Until one failed: how many seeds and how much virtual time it took, and what failed. */
export interface Find {
  readonly seeds: number;
  readonly virtualMs: number;
  readonly invariant: string;
}

/** In the process with the bug: tries seed after seed, a line each, and says in the last line what it found. */
export async function hunt(first: number, last: number): Promise<number> {
  let virtualMs = 0;
  for (let seed = first; seed <= last; seed++) {
    const seeds = seed - first + 1;
    console.log(JSON.stringify({ seeds, virtualMs }));
    const result = await runSeed(String(seed));
    virtualMs += result.virtualMs;
    const { invariant } = result;
    if (invariant === undefined) continue;
    console.log(JSON.stringify({ seeds, virtualMs, invariant } satisfies Find));
    return 0;
  }
  console.log("null");
  return 0;
}

export function find(bug: string, first: number, last: number): Promise<Find | undefined> {
  return new Promise((resolve, reject) => {
    const words = [
      "--import",
      join(here, "../support/bug-loader.mjs"),
      join(here, "main.ts"),
      "--hunt",
      `${first}..${last}`,
    ];
    const child = spawn(process.execPath, words, {
      env: { ...process.env, SOURCE_BUG: `test/sim/bugs/${bug}.patch`, NODE_OPTIONS: "" },
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
      const told = JSON.parse(out.trim().split("\n").at(-1) ?? "null") as Partial<Find> | null;
      if (code === 0) resolve((told as Find | null) ?? undefined);
      else if (told?.seeds !== undefined && /AssertionFailed|Violation/.test(err)) {
        // The source's own assertions are invariants too, and one may end the process.
        resolve({ seeds: told.seeds, virtualMs: told.virtualMs ?? 0, invariant: "assertion" });
      } else reject(new Error(`${bug}: the hunt ended with ${code}\n${err.slice(0, 2000)}`));
    });
  });
}

const ranges = 5;
export const rangeSeeds = 400;
const processes = 2;

interface Score {
  readonly bug: Bug;
  readonly finds: readonly (Find | undefined)[];
}

/** Hunts a bug in each of the ranges. */
async function score(bug: Bug): Promise<Score> {
  const finds: (Find | undefined)[] = [];
  for (let range = 1; range <= ranges; range++) {
    finds.push(await find(bug.name, range * 100_000, range * 100_000 + rangeSeeds - 1));
  }
  return { bug, finds };
}

function tell({ bug, finds }: Score): string {
  const found = finds.filter((one) => one !== undefined).sort((a, b) => a.seeds - b.seeds);
  const invariants = [...new Set(found.map(({ invariant }) => invariant))].join(", ");
  const median = found.length * 2 > ranges ? found[Math.floor((ranges - 1) / 2)] : undefined;
  const figures =
    median === undefined
      ? "median beyond the limit"
      : `median ${median.seeds} seeds, ${(median.virtualMs / 3_600_000).toFixed(3)} virtual hours`;
  return `${bug.name}: found in ${found.length} of ${ranges}, ${figures}, by ${invariants || "nothing"}  (${bug.about})`;
}

/**
 * Prints, for each bug, the median over five ranges of at most `rangeSeeds` seeds. Answers 1 when a bug was found in
 * none of them.
 */
export async function reportBugs(names: readonly string[]): Promise<number> {
  const waiting = bugs().filter(({ name }) => names.length === 0 || names.includes(name));
  const scores: Score[] = [];
  const work = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const one = await score(bug);
      scores.push(one);
      console.log(tell(one));
    }
  };
  await Promise.all(Array.from({ length: processes }, work));
  const missed = scores.filter(({ finds }) => finds.every((one) => one === undefined));
  const missing = missed.map(({ bug }) => bug.name);
  console.log(
    `${scores.length} bugs, ${scores.length - missed.length} found, ${missed.length} missed ${missing}`,
  );
  return missed.length > 0 ? 1 : 0;
}
