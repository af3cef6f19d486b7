/**
 * A memory cgroup for a process that a test starts, where this user may make one (v1 or v2).
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";

export interface MemoryCgroup {
  /** The file that a process writes its id to, to be in it. */
  readonly processes: string;
  /** The most memory that was in use, bytes; undefined where the kernel does not say. */
  peakBytes(): number | undefined;
  remove(): void;
}

/** Makes a cgroup with this limit; undefined where that is not possible. */
export function memoryCgroup(name: string, limitBytes: number): MemoryCgroup | undefined {
  const kinds = [
    { root: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes" },
    { root: "/sys/fs/cgroup", limit: "memory.max", peak: "memory.peak" },
  ];
  for (const { root, limit, peak } of kinds) {
    const folder = `${root}/${name}-${process.pid}`;
    try {
      mkdirSync(folder);
    } catch {
      continue; // not mounted, or not ours
    }
    try {
      writeFileSync(`${folder}/${limit}`, String(limitBytes));
    } catch {
      rmdirSync(folder);
      continue;
    }
    return {
      processes: `${folder}/cgroup.procs`,
      peakBytes() {
        try {
          return Number(readFileSync(`${folder}/${peak}`, "utf8"));
        } catch {
          return undefined;
        }
      },
      remove: () => rmdirSync(folder),
    };
  }
  return undefined;
}
