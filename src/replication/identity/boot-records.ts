/**
 * The boots that this node has seen of other directories, and its own boot.
 *
 *   a new boot, a copy          durable before the peer is accepted or refused
 *   a promised position         in memory at once; durable when the connection ends, and every few seconds
 *
 * Records of members of the configuration are stored. Records of others stay in memory, at most `nonMembersMax` of them.
 */
import { isDeepStrictEqual } from "node:util";
import { isNoSpace } from "../../lib/disk/disk.ts";
import type { StableState } from "../storage/stable-state.ts";
import {
  accepted,
  type BootClaim,
  type BootNumber,
  type ClaimFlaw,
  flawOf,
  furthest,
  isRolledBack,
  isSameBoot,
  merged,
  noPosition,
  type Position,
  type SeenBoot,
  withCopy,
} from "./boot.ts";

const nonMembersMax = 256;

export class BootRecords {
  /** The claim of this node in its handshakes. */
  readonly claim: BootClaim;
  readonly #state: Pick<StableState, "seenBoots" | "saveSeenBoots">;
  readonly #seen: Map<string, SeenBoot>;
  /** Directories whose stored record is older than the one in memory. */
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

  /** Returns why this claim is refused, if so. `promised` is a promise of the directory that is known from elsewhere. */
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

  /**
   * Records a claim without a flaw. Returns true for a new boot.
   * @throws what the store throws; the claim is not accepted then
   */
  accept(directory: string, claim: BootClaim): boolean {
    const seen = this.#seen.get(directory);
    if (seen !== undefined && isSameBoot(seen, claim)) return false;
    this.#put(directory, accepted(claim, seen));
    return true;
  }

  /** Records that this boot of the directory belongs to a copy. */
  addCopy(directory: string, nonce: string): void {
    const seen = this.#seen.get(directory);
    if (seen !== undefined) this.#put(directory, withCopy(seen, nonce));
  }

  /** Records a promise of a directory, in memory only; see save(). A promise of another boot is ignored. */
  notePromise(directory: string, boot: BootNumber, promised: Position): void {
    const seen = this.#seen.get(directory);
    if (seen === undefined || !isSameBoot(seen, boot)) return;
    const both = furthest(seen.promised, promised);
    if (both === seen.promised) return;
    this.#seen.set(directory, { ...seen, promised: both });
    this.#unsaved.add(directory);
  }

  /** Merges a record of another member. */
  merge(directory: string, other: SeenBoot): void {
    const seen = this.#seen.get(directory);
    const both = seen === undefined ? other : merged(seen, other);
    const isChanged = seen === undefined || !isDeepStrictEqual(both, seen);
    if (isChanged || this.#unsaved.has(directory)) this.#put(directory, both);
  }

  /** Stores the records that are not stored yet. On a full disk they stay unsaved until the next call. */
  save(): void {
    if (this.#unsaved.size === 0) return;
    try {
      this.#write(this.#unsaved);
    } catch (reason) {
      if (!isNoSpace(reason)) throw reason;
    }
  }

  /** Sets the members of the configuration. The records of members that left are deleted. */
  setMembers(directories: Iterable<string>): void {
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
    this.save();
  }

  #put(directory: string, seen: SeenBoot): void {
    if (this.#members.has(directory)) {
      this.#state.saveSeenBoots({ [directory]: seen });
      this.#unsaved.delete(directory);
    } else this.#limitNonMembers();
    this.#seen.set(directory, seen);
  }

  #limitNonMembers(): void {
    const others = [...this.#seen.keys()].filter((directory) => !this.#members.has(directory));
    if (others.length >= nonMembersMax) this.#seen.delete(others[0]!);
  }

  #write(directories: Iterable<string>): void {
    const changes: Record<string, SeenBoot | undefined> = {};
    for (const directory of directories) {
      changes[directory] = this.#members.has(directory) ? this.#seen.get(directory) : undefined;
    }
    this.#state.saveSeenBoots(changes);
    this.#unsaved.clear();
  }
}
