/**
 * Sets how V8 collects garbage in a command that moves gigabytes.
 *
 * Buffers that become garbage count for V8, so it collects about once for each 10 MB. It would mark the small heap of a command
 * in small steps and in other threads each time, which took a third of the processor time of a restore. In one step it takes 2 to
 * 10 ms. A node does not do this: its heap can be large, and it must answer meanwhile.
 */
import { setFlagsFromString } from "node:v8";

/** For the whole process. Call it before the work begins. */
export function collectInOneStep(): void {
  setFlagsFromString("--no-incremental-marking");
}
