/** Starts a boot of this node: its number is durable before the node contacts a peer. */
import { Fault } from "../../fault.ts";
import { isNoSpace } from "../../lib/disk/disk.ts";
import type { Prng } from "../../lib/prng.ts";
import type { Reserve, SegmentedLog } from "../../log/mod.ts";
import type { StableState } from "../storage/stable-state.ts";
import { type BootClaim, nextBoot, type StoredBoot } from "./boot.ts";

export interface BootOptions {
  readonly log: Pick<SegmentedLog, "end" | "wasUnsynced">;
  readonly state: StableState;
  readonly random: Prng;
  /** Released if the disk is full. */
  readonly reserve: Reserve | undefined;
  /** True if the node acknowledges entries before they are durable. */
  readonly unsynced: boolean;
}

/**
 * Stores the next boot number of this directory and returns the claim of this start.
 * @throws Fault "disk-full" if the number cannot be written
 */
export function startBoot({ log, state, random, reserve, unsynced }: BootOptions): BootClaim {
  const before = state.boot;
  const boot = nextBoot(before, newNonce(random.stream(`boot/${before?.count ?? 0}`)));
  try {
    state.saveBoot(boot);
  } catch (cause) {
    if (!isNoSpace(cause)) throw cause;
    reserve?.release();
    saveAgain(state, boot);
  }
  const { end, wasUnsynced } = log;
  const term = Math.max(state.vote?.term ?? 0, end.term);
  return { ...boot, start: { term, index: end.index, entryTerm: end.term }, lossy: unsynced || wasUnsynced };
}

function newNonce(random: Prng): string {
  return [random.uint32(), random.uint32()].map((half) => half.toString(16).padStart(8, "0")).join("");
}

function saveAgain(state: StableState, boot: StoredBoot): void {
  try {
    state.saveBoot(boot);
  } catch (cause) {
    if (!isNoSpace(cause)) throw cause;
    throw new Fault("disk-full", { message: "the disk is full, the boot number cannot be written", cause });
  }
}
