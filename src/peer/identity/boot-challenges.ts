/**
 * Finds out whether another process with the same data directory is alive, when a boot of that directory connects.
 *
 * The other process is alive if it completes two round trips after the new boot connected first. Then the directory
 * exists twice. If it is silent for `silentMs`, its connections are ended, and the new boot takes its place.
 */
import { Fault } from "../../fault.ts";
import type { BootClaim } from "../../replication/mod.ts";
import type { PeerHello } from "../handshake/introduction.ts";
import type { IdentityContext } from "./identity-context.ts";

interface Challenge {
  readonly startedMs: number;
  lastMs: number;
  /** The round trips of each other boot when it was seen first. */
  readonly roundTrips: Map<BootClaim, number>;
}

const challengesMax = 64;
/** The first round trip may belong to a ping that was sent before the challenge began. */
const aliveRoundTrips = 2;

/**
 *   free        no other boot of the directory is connected
 *   pending     another one is connected, and may be alive
 *   duplicate   another one is alive
 */
export type ChallengeResult = "free" | "pending" | "duplicate";

export class BootChallenges {
  readonly #context: IdentityContext;
  readonly #challenges = new Map<string, Challenge>();

  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** Called for each attempt of a node to connect. A node of an earlier version has no boot number. */
  check({ boot, directory, address }: PeerHello): ChallengeResult {
    const { clock, silentMs } = this.#context.options;
    const others = this.#context.otherConnections(directory, boot);
    const key = `${directory} ${boot?.nonce ?? address}`;
    if (others.length === 0) {
      this.#challenges.delete(key);
      return "free";
    }
    const now = clock.monotonicMs();
    const challenge = this.#challenge(key, now);
    challenge.lastMs = now;
    for (const other of others) {
      const before = challenge.roundTrips.get(other.boot);
      if (before === undefined) challenge.roundTrips.set(other.boot, other.roundTrips);
      else if (other.roundTrips - before >= aliveRoundTrips) {
        this.#challenges.delete(key);
        return "duplicate";
      }
    }
    if (now - challenge.startedMs < silentMs) return "pending";
    for (const other of others) {
      other.close(
        new Fault("unavailable", { message: "a later boot of this member replaces the connection" }),
      );
    }
    this.#challenges.delete(key);
    return "free";
  }

  #challenge(key: string, now: number): Challenge {
    const found = this.#challenges.get(key);
    if (found !== undefined && now - found.lastMs < 2 * this.#context.options.silentMs) return found;
    if (this.#challenges.size >= challengesMax) this.#challenges.clear();
    const challenge: Challenge = { startedMs: now, lastMs: now, roundTrips: new Map() };
    this.#challenges.set(key, challenge);
    return challenge;
  }
}
