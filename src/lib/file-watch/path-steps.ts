/**
 * The steps in which the system resolves a path.
 *
 *   /etc/tailrace/cur/policy.csv, where cur → v2       /: etc · /etc: tailrace · /etc/tailrace: cur, v2 ·
 *                                                       /etc/tailrace/v2: policy.csv
 */
import { readlinkSync } from "node:fs";
import { dirname, join, sep } from "node:path";

export interface PathStep {
  /** Absolute, without links. */
  readonly directory: string;
  /** The name that is looked up in it. */
  readonly name: string;
}

/** Links on one path; as many as Linux follows. */
const linksMax = 40;

/** Returns the steps of an absolute path, in order, as far as they exist. The last one may be missing. */
export function pathSteps(path: string): PathStep[] {
  const steps: PathStep[] = [];
  let directory: string = sep;
  let links = 0;
  let rest = path.split(sep);
  while (rest.length > 0) {
    const [name = "", ...after] = rest;
    rest = after;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      directory = dirname(directory);
      continue;
    }
    steps.push({ directory, name });
    const here = join(directory, name);
    let target: string;
    try {
      target = readlinkSync(here);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EINVAL") return steps; // It does not exist or cannot be read.
      directory = here; // Not a link.
      continue;
    }
    if (++links > linksMax) return steps;
    if (target.startsWith(sep)) directory = sep;
    rest = [...target.split(sep), ...rest];
  }
  return steps;
}
