/**
 * The room's only source of chance: keys, nonces, seeds.
 *
 * Never: keeps what it drew.
 */
import { randomBytes } from "node:crypto";
import { type Prng, prng } from "../../lib/prng.ts";

/** A new gossip key, 32 bytes in base64: what `serf keygen` prints, and `tailrace keygen`. */
export function generateKey(): string {
  return randomBytes(32).toString("base64");
}

export function randomNonce(count: number): Uint8Array {
  return randomBytes(count);
}

/** A generator that nobody can foresee: sequence numbers of pings start from it. */
export function randomPrng(): Prng {
  return prng(randomBytes(16).toString("hex"));
}
