/**
 * How much memory this process may use, and the default sizes that follow from it.
 *
 *   limit   := the smallest of physical memory and the limits of this process's cgroups (v1 and v2)
 *   budget  := limit / 5, at most half of V8's heap and 1 GiB      requests and responses in progress (src/memory)
 *
 * The rest is for the code, the newest records and caches, the queue of appends, and garbage.
 */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { Fault } from "../../fault.ts";
import { bytes } from "../../lib/value-kind.ts";

const MiB = 2 ** 20;

/** A node with less memory does not start. */
export const memoryBytesLeast = 128 * MiB;
/** The smallest tested size. A node with less memory logs a warning at start. */
export const memoryBytesAdvised = 256 * MiB;
const budgetBytesMost = 1024 * MiB;
/** With this much memory the caches and queues of the log have their full size. */
const fullSizeBytes = 1024 * MiB;

/** Reads a text file; undefined when it cannot be read. */
export type ReadText = (path: string) => string | undefined;

export interface MachineMemory {
  /** The memory that the process may use, bytes. */
  readonly limitBytes: number;
  /** The source of the limit, for the log. */
  readonly source: "machine" | "cgroup";
  /** V8's limit of its heap, bytes. */
  readonly heapBytes: number;
}

/** Reads the limits of the machine and its cgroups. */
export function machineMemory(): MachineMemory {
  const physical = totalmem();
  const group = cgroupLimit(readText);
  const limitBytes = Math.min(physical, group ?? physical);
  const source = group !== undefined && group < physical ? "cgroup" : "machine";
  return { limitBytes, source, heapBytes: getHeapStatistics().heap_size_limit };
}

/** The default of --memory-budget-bytes. Pure. */
export function defaultBudgetBytes({ limitBytes, heapBytes }: MachineMemory): number {
  return Math.floor(Math.min(limitBytes / 5, heapBytes / 2, budgetBytesMost));
}

/** The values of absent settings that depend on the machine, as text for `config print`. Pure. */
export const derivedSettings = (memory: MachineMemory): { readonly memoryBudgetBytes: string } => ({
  memoryBudgetBytes: `${bytes(0).print(defaultBudgetBytes(memory))}, a part of ${inMiB(memory.limitBytes)}`,
});

/** The share of their full size that the log's caches and queues get on this machine, 1/8 to 1. Pure. */
export function sizeShare({ limitBytes }: MachineMemory): number {
  return Math.max(1 / 8, Math.min(1, limitBytes / fullSizeBytes));
}

/** @throws Fault "config" if the memory is too small for a node, or for its budget. Pure. */
export function checkMemory({ limitBytes }: MachineMemory, budgetBytes: number): void {
  if (limitBytes < memoryBytesLeast) {
    throw new Fault("config", {
      message: `a node needs at least ${memoryBytesLeast / MiB} MiB of memory, and this process may use ${inMiB(limitBytes)}`,
    });
  }
  if (budgetBytes > limitBytes / 2) {
    throw new Fault("config", {
      message: `--memory-budget-bytes is ${inMiB(budgetBytes)}, more than half of the ${inMiB(limitBytes)} that this process may use`,
    });
  }
}

/**
 * The smallest limit of this process's memory cgroups, from its own up to the root, in bytes; undefined without a limit.
 * In a container the paths in /proc/self/cgroup may be those of the host, so the root of the mount is read too.
 */
export function cgroupLimit(read: ReadText): number | undefined {
  let least: number | undefined;
  const take = (text: string | undefined): void => {
    const bytes = /^\d+\s*$/.test(text ?? "") ? Number(text) : Number.NaN;
    // cgroup v1 writes "no limit" as a number near 2^63.
    if (bytes < Number.MAX_SAFE_INTEGER) least = Math.min(bytes, least ?? bytes);
  };
  for (const line of (read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, hierarchy, controllers = "", path = ""] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    const isUnified = hierarchy === "0" && controllers === "";
    if (!isUnified && !controllers.split(",").includes("memory")) continue;
    for (const folder of foldersUpwards(path)) {
      if (isUnified) {
        for (const root of ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]) {
          take(read(`${root}${folder}/memory.max`));
          take(read(`${root}${folder}/memory.high`));
        }
      } else {
        take(read(`/sys/fs/cgroup/memory${folder}/memory.limit_in_bytes`));
      }
    }
  }
  return least;
}

/** `/a/b` → `/a/b`, `/a`, and the root. */
function foldersUpwards(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return parts.map((_, at) => `/${parts.slice(0, parts.length - at).join("/")}`).concat("");
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // The cgroup does not exist, or the system has no cgroups.
  }
}

const inMiB = (bytes: number): string => `${Math.floor(bytes / MiB)} MiB`;
