/**
 * A memory cgroup (v1 or v2) for a process that a test starts, if this user may create one.
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";

export interface MemoryCgroup {
  /** A process enters the cgroup when it writes its id to this file. */
  readonly processes: string;
  /** The peak of the used memory, bytes; undefined if the kernel does not report it. */
  peakBytes(): number | undefined;
  remove(): void;
}

/** Creates a cgroup with this limit; undefined if that is not possible. */
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
      continue; // Not mounted, or no permission.
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
