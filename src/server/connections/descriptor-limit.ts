/** Reads how many file descriptors this process may open (RLIMIT_NOFILE, `ulimit -n`). */
import { readFileSync } from "node:fs";

/** The soft limit; undefined if there is none or it is unknown. */
export function descriptorLimit(): number | undefined {
  try {
    return limitIn(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    // Only Linux has this file.
    return undefined;
  }
}

/** The soft limit in the text of /proc/PID/limits. */
export function limitIn(text: string): number | undefined {
  const [, soft] = /^Max open files +(\d+|unlimited) /m.exec(text) ?? [];
  const limit = Number(soft);
  return Number.isSafeInteger(limit) ? limit : undefined;
}
