/**
 * What this node has seen of the boots of the others, and its own.
 *
 *   a new boot, a copy            durable before the peer is let in or refused
 *   how far a member promised     in memory at once; durable when its connection ends, and every few seconds
 *
 * Kept for members of the configuration only; of others for as long as the process lives, and not of many.
 */
import { isDeepStrictEqual } from "node:util";
import { isNoSpace } from "../../lib/disk/disk.ts";
import type { StableState } from "../stable-state.ts";
import {
  accepted,
  type BootClaim,
  type BootNumber,
  type ClaimFlaw,
  flawOf,
  furthest,
  isBefore,
  isRolledBack,
  isSameBoot,
  merged,
  noPosition,
  type Position,
  type SeenBoot,
  withCopy,
} from "./boot.ts";

const guestsMax = 256;

export class BootRecords {
  /** What this node says of itself. */
  readonly claim: BootClaim;
  readonly #state: Pick<StableState, "seenBoots" | "saveSeenBoots">;
  readonly #seen: Map<string, SeenBoot>;
  /** Directories whose record is not stored as it is. */
  readonly #unsaved = new Set<string>();
  #members: ReadonlySet<string> = new Set();

  constructor(claim: BootClaim, state: Pick<StableState, "seenBoots" | "saveSeenBoots">) {
    this.claim = claim;
    this.#state = state;
    this.#seen = state.seenBoots();
  }

  seen(directory: string): SeenBoot | undefined {
    return this.#seen.get(directory);
  }

  /** Why this claim to a directory does not hold, if so. `promised`: what else is known of its promises. */
  flawOf(directory: string, claim: BootClaim, promised: Position = noPosition): ClaimFlaw | undefined {
    const seen = this.#seen.get(directory);
    if (seen === undefined) return undefined;
    return flawOf(claim, { ...seen, promised: furthest(seen.promised, promised) });
  }

  /** Returns true if the claim lacks entries that were promised, also where it was refused before for that. */
  isRolledBack(directory: string, claim: BootClaim, promised: Position): boolean {
    const seen = this.#seen.get(directory);
    return (
      seen !== undefined && isRolledBack(claim, { ...seen, promised: furthest(seen.promised, promised) })
    );
  }

  /** Takes in a claim that holds. True for a new boot. Throws what the store threw; nothing is accepted then. */
  accept(directory: string, claim: BootClaim): boolean {
    const seen = this.#seen.get(directory);
    if (seen !== undefined && isSameBoot(seen, claim)) return false;
    this.#put(directory, accepted(claim, seen));
    return true;
  }

  /** A boot of this directory is one of a copy. */
  copyFound(directory: string, nonce: string): void {
    const seen = this.#seen.get(directory);
    if (seen !== undefined) this.#put(directory, withCopy(seen, nonce));
  }

  /** A member in this boot has promised so much. In memory only; see keep(). */
  heard(directory: string, boot: BootNumber, promised: Position): void {
    const seen = this.#seen.get(directory);
    if (seen === undefined || !isSameBoot(seen, boot) || !isBefore(seen.promised, promised)) return;
    this.#seen.set(directory, { ...seen, promised });
    this.#unsaved.add(directory);
  }

  /** What another member has seen. */
  learn(directory: string, other: SeenBoot): void {
    const seen = this.#seen.get(directory);
    const both = seen === undefined ? other : merged(seen, other);
    const isNews = seen === undefined || !isDeepStrictEqual(both, seen);
    if (isNews || this.#unsaved.has(directory)) this.#put(directory, both);
  }

  /** Stores what is not stored yet. Without room on the disk it is left for the next time. */
  keep(): void {
    if (this.#unsaved.size === 0) return;
    try {
      this.#save(this.#unsaved);
    } catch (reason) {
      if (!isNoSpace(reason)) throw reason;
    }
  }

  /** Who belongs now: these are kept, others forgotten. */
  members(directories: Iterable<string>): void {
    const before = this.#members;
    this.#members = new Set(directories);
    for (const directory of this.#members) {
      if (!before.has(directory) && this.#seen.has(directory)) this.#unsaved.add(directory);
    }
    const gone = [...before].filter((directory) => !this.#members.has(directory));
    for (const directory of gone) {
      this.#seen.delete(directory);
      this.#unsaved.add(directory);
    }
    this.keep();
  }

  #put(directory: string, seen: SeenBoot): void {
    if (this.#members.has(directory)) {
      this.#state.saveSeenBoots({ [directory]: seen });
      this.#unsaved.delete(directory);
    } else this.#makeRoom();
    this.#seen.set(directory, seen);
  }

  #makeRoom(): void {
    const guests = [...this.#seen.keys()].filter((directory) => !this.#members.has(directory));
    if (guests.length >= guestsMax) this.#seen.delete(guests[0]!);
  }

  #save(directories: Iterable<string>): void {
    const changes: Record<string, SeenBoot | undefined> = {};
    for (const directory of directories) {
      changes[directory] = this.#members.has(directory) ? this.#seen.get(directory) : undefined;
    }
    this.#state.saveSeenBoots(changes);
    this.#unsaved.clear();
  }
}
