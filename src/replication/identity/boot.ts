/**
 * Boot numbers: how peers tell that a data directory was rolled back to an older copy, or exists twice. Pure.
 *
 * Each start of a node writes a boot number durably before it speaks to anyone: a counter, and a random nonce that no
 * other start has. Each peer keeps the newest boot it has accepted of each member, and the furthest position the member
 * has promised to it. A claim is what a node says of its own directory in every handshake.
 *
 *   boot     := life, count, nonce         life rises with each repair that keeps the identity, count with each start
 *   claim    := boot, nonces of the boots before, log position at the start
 *   seen     := boot, furthest promised position, nonces that are known to be of copies
 *   position := term, index                all of the log up to `index` is durable, as the leader of `term` has it
 *
 * A claim holds against `seen` when its boot is the same or a later one that follows from it, and when its log at the
 * start had everything that was promised. DESIGN.md, "Identity", says what this detects and what it cannot.
 */
import { Fault } from "../../fault.ts";
import { fieldsOf } from "../../lib/fields.ts";
import type { RaftIndex, Term } from "../../types.ts";

export interface BootNumber {
  readonly life: number;
  readonly count: number;
  /** 16 hexadecimal digits. */
  readonly nonce: string;
}

export interface Position {
  readonly term: Term;
  readonly index: RaftIndex;
}

export interface BootClaim extends BootNumber {
  /** Nonces of the boots before in this life, the last one first; at most `earlierMax`. */
  readonly earlier: readonly string[];
  /** The term and the end of the log when this boot began. */
  readonly start: Position;
  /** It acknowledges before it is durable (--sync other than always): a crash may take back what it promised. */
  readonly lossy: boolean;
}

export interface SeenBoot extends BootNumber {
  readonly promised: Position;
  /** The last ones, at most `copiesMax`. */
  readonly copies: readonly string[];
}

/** A stored boot: the next one follows it. */
export interface StoredBoot extends BootNumber {
  readonly earlier: readonly string[];
}

export const earlierMax = 64;
const copiesMax = 16;
export const noPosition: Position = { term: 0, index: 0 };

/**
 *   older-boot     a later start of this directory was seen: it was rolled back
 *   copy           another boot follows from the same one: the directory exists twice
 *   lost-entries   its log ends before what it had promised
 */
export type ClaimFlaw = "older-boot" | "copy" | "lost-entries";

export const isBefore = (one: Position, other: Position): boolean =>
  one.term < other.term || (one.term === other.term && one.index < other.index);
export const furthest = (one: Position, other: Position): Position => (isBefore(one, other) ? other : one);

/** The boot that follows; `before` is undefined in a directory that has none. */
export function nextBoot(before: StoredBoot | undefined, nonce: string): StoredBoot {
  if (before === undefined) return { life: 0, count: 1, nonce, earlier: [] };
  const { life, count } = before;
  const earlier = before.nonce === "" ? [] : [before.nonce, ...before.earlier].slice(0, earlierMax);
  return { life, count: count + 1, nonce, earlier };
}

/** What a repair writes that keeps the identity and may have cut what was promised: a new life, from no boot. */
export const nextLife = (before: StoredBoot | undefined): StoredBoot => ({
  life: (before?.life ?? 0) + 1,
  count: 0,
  nonce: "",
  earlier: [],
});

export const isSameBoot = (one: BootNumber, other: BootNumber): boolean =>
  one.life === other.life && one.count === other.count && one.nonce === other.nonce;

/** Why this claim does not hold, if so. */
export function flawOf(claim: BootClaim, seen: SeenBoot): ClaimFlaw | undefined {
  if (claim.life !== seen.life) return claim.life > seen.life ? undefined : "older-boot";
  if (seen.copies.includes(claim.nonce)) return "copy";
  if (isSameBoot(claim, seen)) return undefined;
  if (claim.earlier.some((nonce) => seen.copies.includes(nonce))) return "copy";
  if (claim.count < seen.count) return "older-boot";
  if (!follows(claim, seen)) return "copy";
  return lacksPromised(claim, seen) ? "lost-entries" : undefined;
}

/**
 * Returns true for the next boot of the one that was seen, without entries that were promised. Once refused for that, it
 * is among the copies; the reason stays this one.
 */
export const isRolledBack = (claim: BootClaim, seen: SeenBoot): boolean =>
  claim.life === seen.life && claim.count > seen.count && follows(claim, seen) && lacksPromised(claim, seen);

/** Compares the boot with the number that was seen last. Its nonce is not known if that is too long ago. */
function follows(claim: BootClaim, seen: SeenBoot): boolean {
  const behind = claim.count - seen.count;
  const nonce = behind === 0 ? claim.nonce : claim.earlier[behind - 1];
  return nonce === undefined || nonce === seen.nonce;
}

const lacksPromised = ({ lossy, start }: BootClaim, { promised }: SeenBoot): boolean =>
  !lossy && isBefore(start, promised);

/** What is kept once a claim was accepted that holds. */
export function accepted(claim: BootClaim, seen: SeenBoot | undefined): SeenBoot {
  if (seen !== undefined && isSameBoot(claim, seen)) return seen;
  const { life, count, nonce, start, lossy } = claim;
  const isFresh = seen === undefined || life > seen.life || lossy;
  const promised = isFresh ? start : furthest(start, seen.promised);
  return { life, count, nonce, promised, copies: seen?.copies ?? [] };
}

/** The same, with a boot that is known to be of a copy. */
export function withCopy(seen: SeenBoot, nonce: string): SeenBoot {
  if (seen.copies.includes(nonce)) return seen;
  return { ...seen, copies: [...seen.copies, nonce].slice(-copiesMax) };
}

/** What two peers have seen of one directory, put together. */
export function merged(own: SeenBoot, other: SeenBoot): SeenBoot {
  if (own.life !== other.life) return own.life > other.life ? own : other;
  const copies = [...new Set([...own.copies, ...other.copies])].slice(-copiesMax);
  if (copies.includes(other.nonce)) return { ...own, copies };
  if (copies.includes(own.nonce)) return { ...other, copies };
  const newer = other.count > own.count ? other : own;
  return { ...newer, promised: furthest(own.promised, other.promised), copies };
}

// ————— what comes from elsewhere

const noncePattern = /^[0-9a-f]{16}$/;
export const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= 2 ** 48;
const isNonce = (value: unknown): value is string => typeof value === "string" && noncePattern.test(value);
const areNonces = (value: unknown, max: number): value is readonly string[] =>
  Array.isArray(value) && value.length <= max && value.every(isNonce);

function positionOf(value: unknown): Position | undefined {
  const { term, index } = fieldsOf(value);
  return isCount(term) && isCount(index) ? { term, index } : undefined;
}

/** A claim as a peer sent it; undefined for a malformed one. */
export function claimOf(value: unknown): BootClaim | undefined {
  const { life, count, nonce, earlier, start, lossy } = fieldsOf(value);
  const position = positionOf(start);
  if (!isCount(life) || !isCount(count) || !isNonce(nonce) || typeof lossy !== "boolean") return undefined;
  if (position === undefined || !areNonces(earlier, earlierMax)) return undefined;
  return { life, count, nonce, earlier, start: position, lossy };
}

/** What was seen, as a peer sent it or as it was stored; undefined for a malformed one. */
export function seenOf(value: unknown): SeenBoot | undefined {
  const { life, count, nonce, promised, copies } = fieldsOf(value);
  const position = positionOf(promised);
  if (!isCount(life) || !isCount(count) || !isNonce(nonce)) return undefined;
  if (position === undefined || !areNonces(copies, copiesMax)) return undefined;
  return { life, count, nonce, promised: position, copies };
}

/** A boot as it was stored. Throws Fault "corrupt". */
export function storedBootOf(value: unknown): StoredBoot | undefined {
  if (value === undefined) return undefined;
  const { life, count, nonce, earlier } = fieldsOf(value);
  if (
    !isCount(life) ||
    !isCount(count) ||
    !(nonce === "" || isNonce(nonce)) ||
    !areNonces(earlier, earlierMax)
  ) {
    throw new Fault("corrupt", { message: "the boot number in the stable store is damaged" });
  }
  return { life, count, nonce, earlier };
}
