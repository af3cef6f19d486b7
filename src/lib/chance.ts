/**
 * The machine's own chance, in Node and in a browser: a seed for a Prng. A rim.
 *
 * Never: is drawn from more than once by its owner; what follows comes from the Prng.
 */
import { toHex } from "./bytes.ts";

/** 128 bits that nobody can foresee, as hex. */
export function systemSeed(): string {
  return toHex(globalThis.crypto.getRandomValues(new Uint8Array(16)));
}
