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

/** The seeds until one failed, and what failed; undefined when none did. */
export interface Find {
  readonly seeds: number;
  readonly invariant: string;
}

/** In the process with the bug: counts the seeds it tries, a line each, and says in the last what it found. */
export async function hunt(first: number, last: number): Promise<number> {
  for (let seed = first; seed <= last; seed++) {
    console.log(seed - first + 1);
    const { invariant } = await runSeed(String(seed));
    if (invariant === undefined) continue;
    console.log(JSON.stringify({ seeds: seed - first + 1, invariant } satisfies Find));
    return 0;
  }
  console.log("null");
  return 0;
}

export function find(bug: string, first: number, last: number): Promise<Find | undefined> {
  return new Promise((resolve, reject) => {
    const words = [
      "--import",
      join(here, "bug-loader.mjs"),
      join(here, "main.ts"),
      "--hunt",
      `${first}..${last}`,
    ];
    const child = spawn(process.execPath, words, {
      env: { ...process.env, SIM_BUG: bug, NODE_OPTIONS: "" },
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
      const last = out.trim().split("\n").at(-1) ?? "";
      // The source's own assertions are invariants too, and a world may break one while it is being taken down.
      const broken = /(AssertionFailed|Violation \[Error\]): ([a-z-]+)/.exec(err);
      const invariant = broken?.[1] === "AssertionFailed" ? "assertion" : (broken?.[2] ?? "");
      if (code !== 0 && broken !== null)
        resolve({ seeds: Number(/(\d+)\n?[^\d]*$/.exec(out.replace(/^[^\d\n].*$/gm, ""))?.[1]), invariant });
      else if (code !== 0) reject(new Error(`${bug}: the hunt ended with ${code}\n${err.slice(0, 2000)}`));
      else resolve((JSON.parse(last) as Find | null) ?? undefined);
    });
  });
}

const ranges = 5;
export const rangeSeeds = 400;

/** Prints, for each bug, the median over five ranges of seeds. Answers 1 when one was not found in one of them. */
export async function reportBugs(names: readonly string[]): Promise<number> {
  const missed: string[] = [];
  const all = bugs().filter(({ name }) => names.length === 0 || names.includes(name));
  for (const { name, about } of all) {
    const finds: (Find | undefined)[] = [];
    for (let range = 1; range <= ranges; range++) {
      const first = range * 100_000;
      finds.push(await find(name, first, first + rangeSeeds - 1));
    }
    const seeds = finds.map((one) => one?.seeds ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
    if (seeds.includes(Number.POSITIVE_INFINITY)) missed.push(name);
    const by = [...new Set(finds.map((one) => one?.invariant ?? "not found"))].join(", ");
    console.log(`${name}: median ${seeds[2]}, worst ${seeds[4]} seeds, by ${by}  (${about})`);
  }
  console.log(
    `${all.length} bugs, ${missed.length} not found in every range${missed.length > 0 ? `: ${missed}` : ""}`,
  );
  return missed.length > 0 ? 1 : 0;
}
