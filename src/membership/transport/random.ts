/** The randomness of membership: keys, nonces and seeds. */
import { randomBytes } from "node:crypto";
import { type Prng, prng } from "../../lib/prng.ts";

/** Returns a new gossip key: 32 bytes in base64, as `serf keygen` prints it. */
export function generateKey(): string {
  return randomBytes(32).toString("base64");
}

export function randomNonce(count: number): Uint8Array {
  return randomBytes(count);
}

/** Returns a generator with an unpredictable seed. The sequence numbers of pings start from it. */
export function randomPrng(): Prng {
  return prng(randomBytes(16).toString("hex"));
}
