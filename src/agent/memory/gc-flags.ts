/**
 * When V8 collects garbage. Left alone it starts a full collection for every 64 MiB of Buffers, however small the
 * heap: a node that takes 100 MB/s in reads from sockets and write groups spent a third of its processor on that.
 * Counted like other memory, Buffers may grow to twice what is alive before they are looked for.
 *
 * Measured, µs of processor a record: ProduceBulk 0.70 → 0.52, ConsumeBatches 0.41 → 0.24; 50 → 16 collections.
 *
 * Never: changes what is kept, only when it is looked for.
 */
import { setFlagsFromString } from "node:v8";
import type { MachineMemory } from "./machine-memory.ts";

/** With less memory, garbage is collected as early as V8 does by itself. */
const seldomBytesLeast = 1024 * 2 ** 20;
/** The first Node whose V8 knows the flags; an unknown one is complained of on standard error. */
const nodeMin = 26;

export function collectSeldom({ limitBytes }: MachineMemory): void {
  if (limitBytes < seldomBytesLeast) return;
  if (Number(process.versions.node.split(".")[0]) < nodeMin) return;
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  setFlagsFromString("--external-memory-max-growing-factor=2");
}
