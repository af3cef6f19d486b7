/** Collects garbage now. Node offers V8's gc() only to a context that was made after the flag was set. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { native } from "../../lib/disk/native.ts";

let gc: (() => void) | undefined;

/** Runs a full collection on the event loop, and returns memory that malloc caches to the system. */
export function collectGarbage(): void {
  if (gc === undefined) {
    setFlagsFromString("--expose-gc");
    gc = runInNewContext("gc") as () => void;
  }
  gc();
  native()?.trim();
}
