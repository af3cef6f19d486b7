/** Random bits of the machine, in Node and in a browser: the seed of a Prng. */
import { toHex } from "./bytes.ts";

/** Returns 128 unpredictable bits as hex. */
export function systemSeed(): string {
  return toHex(globalThis.crypto.getRandomValues(new Uint8Array(16)));
}
