/**
 * Boot numbers: peers use them to detect a data directory that was rolled back to an older copy or exists twice. Pure.
 *
 * Each start of a node writes a boot number durably before it contacts a peer: a counter and a unique random nonce. Each
 * peer stores the newest boot it has accepted of each member, and the furthest position that the member has promised to
 * it. Every handshake carries the node's claim about its own directory.
 *
 *   boot     := life, count, nonce         life rises with each repair that keeps the identity, count with each start
 *   claim    := boot, nonces of the earlier boots, log position at the start
 *   seen     := boot, furthest promised position, nonces of known copies
 *   position := term, index, entry term    the log up to `index` is durable and equals that of the leader of `term`; the
 *                                          entry at `index` has the entry term or a later one
 *
 * A claim is accepted if its boot is the seen one or a later one that follows from it, and if its log at the start
 * contained everything that was promised. The entry term tells a log that has the promised entry from one that was copied
 * in the same term before the leader replaced its end: that one can be longer, but its last entry is older (the log
 * matching property, Raft paper, section 5.3). DESIGN.md, "Identity", says what this detects and what it cannot detect.
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
  /** The least term that the entry at `index` can have. Undefined: not known, as with nodes of earlier versions. */
  readonly entryTerm?: Term | undefined;
}

export interface BootClaim extends BootNumber {
  /** Nonces of the earlier boots in this life, the latest first; at most `earlierMax`. */
  readonly earlier: readonly string[];
  /** The term of the node, the end of its log and the term of the last entry, all at the start of this boot. */
  readonly start: Position;
  /** The node acknowledges entries before they are durable (--sync other than always): a crash may lose promised ones. */
  readonly lossy: boolean;
}

export interface SeenBoot extends BootNumber {
  readonly promised: Position;
  /** Nonces of boots that are known to belong to copies, the latest last; at most `copiesMax`. */
  readonly copies: readonly string[];
}

/** The last boot of a directory, as stored in it. */
export interface StoredBoot extends BootNumber {
  readonly earlier: readonly string[];
}

export const earlierMax = 64;
const copiesMax = 16;
export const noPosition: Position = { term: 0, index: 0 };

/**
 *   older-boot     a later start of this directory was seen: the directory was rolled back
 *   copy           another boot follows from the same one: the directory exists twice
 *   lost-entries   the log ends before the position that was promised
 */
export type ClaimFlaw = "older-boot" | "copy" | "lost-entries";

/** Returns true if a log that is known up to `one` can lack something of `other`. */
export const isBefore = (one: Position, other: Position): boolean =>
  one.term < other.term ||
  (one.term === other.term &&
    (one.index < other.index || (one.entryTerm ?? Number.MAX_SAFE_INTEGER) < (other.entryTerm ?? 0)));

/** Returns the position that says what both say: `one` itself if it says everything. */
export function furthest(one: Position, other: Position): Position {
  if (one.term !== other.term) return one.term < other.term ? other : one;
  const index = Math.max(one.index, other.index);
  // In the log of one leader, terms do not fall from one index to the next.
  const entryTerm = Math.max(one.entryTerm ?? 0, other.entryTerm ?? 0);
  if (index === one.index && entryTerm === (one.entryTerm ?? 0)) return one;
  return { term: one.term, index, ...(entryTerm === 0 ? {} : { entryTerm }) };
}

/** Returns the next boot. `before` is undefined at the first start of a directory. */
export function nextBoot(before: StoredBoot | undefined, nonce: string): StoredBoot {
  if (before === undefined) return { life: 0, count: 1, nonce, earlier: [] };
  const { life, count } = before;
  const earlier = before.nonce === "" ? [] : [before.nonce, ...before.earlier].slice(0, earlierMax);
  return { life, count: count + 1, nonce, earlier };
}

/** The stored boot after a repair that keeps the identity and may have cut promised entries: a new life without boots. */
export const nextLife = (before: StoredBoot | undefined): StoredBoot => ({
  life: (before?.life ?? 0) + 1,
  count: 0,
  nonce: "",
  earlier: [],
});

export const isSameBoot = (one: BootNumber, other: BootNumber): boolean =>
  one.life === other.life && one.count === other.count && one.nonce === other.nonce;

/** Returns why this claim is refused, if so. */
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
 * Returns true for a later boot of the seen directory that lacks promised entries, also after its nonce was recorded as
 * a copy: the reason for the refusal stays "lost-entries".
 */
export const isRolledBack = (claim: BootClaim, seen: SeenBoot): boolean =>
  claim.life === seen.life && claim.count > seen.count && follows(claim, seen) && lacksPromised(claim, seen);

/** Returns true if the claim follows from the seen boot. True also if that is too many boots ago to compare nonces. */
function follows(claim: BootClaim, seen: SeenBoot): boolean {
  const behind = claim.count - seen.count;
  const nonce = behind === 0 ? claim.nonce : claim.earlier[behind - 1];
  return nonce === undefined || nonce === seen.nonce;
}

const lacksPromised = ({ lossy, start }: BootClaim, { promised }: SeenBoot): boolean =>
  !lossy && isBefore(start, promised);

/** Returns the record after a claim without a flaw was accepted. */
export function accepted(claim: BootClaim, seen: SeenBoot | undefined): SeenBoot {
  if (seen !== undefined && isSameBoot(claim, seen)) return seen;
  const { life, count, nonce, start, lossy } = claim;
  const startsOver = seen === undefined || life > seen.life || lossy;
  const has = keptBy(start);
  const promised = startsOver ? has : furthest(seen.promised, has);
  return { life, count, nonce, promised, copies: seen?.copies ?? [] };
}

/**
 * What a log at a start still has later: it equals that of the leader of its last entry. The leader of the present term may
 * replace its end.
 */
const keptBy = (start: Position): Position =>
  start.entryTerm === undefined ? start : { ...start, term: start.entryTerm };

/** Returns the record with the nonce added to the known copies. */
export function withCopy(seen: SeenBoot, nonce: string): SeenBoot {
  if (seen.copies.includes(nonce)) return seen;
  return { ...seen, copies: [...seen.copies, nonce].slice(-copiesMax) };
}

/** Merges the records that two peers have of one directory. */
export function merged(own: SeenBoot, other: SeenBoot): SeenBoot {
  if (own.life !== other.life) return own.life > other.life ? own : other;
  const copies = [...new Set([...own.copies, ...other.copies])].slice(-copiesMax);
  if (copies.includes(other.nonce)) return { ...own, copies };
  if (copies.includes(own.nonce)) return { ...other, copies };
  const newer = other.count > own.count ? other : own;
  return { ...newer, promised: furthest(own.promised, other.promised), copies };
}

const noncePattern = /^[0-9a-f]{16}$/;
export const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= 2 ** 48;
const isNonce = (value: unknown): value is string => typeof value === "string" && noncePattern.test(value);
const areNonces = (value: unknown, max: number): value is readonly string[] =>
  Array.isArray(value) && value.length <= max && value.every(isNonce);

function positionOf(value: unknown): Position | undefined {
  const { term, index, entryTerm } = fieldsOf(value);
  if (!isCount(term) || !isCount(index)) return undefined;
  if (entryTerm === undefined) return { term, index };
  return isCount(entryTerm) ? { term, index, entryTerm } : undefined;
}

/** Validates a claim from a peer. Returns undefined for a malformed one. */
export function claimOf(value: unknown): BootClaim | undefined {
  const { life, count, nonce, earlier, start, lossy } = fieldsOf(value);
  const position = positionOf(start);
  if (!isCount(life) || !isCount(count) || !isNonce(nonce) || typeof lossy !== "boolean") return undefined;
  if (position === undefined || !areNonces(earlier, earlierMax)) return undefined;
  return { life, count, nonce, earlier, start: position, lossy };
}

/** Validates a record from a peer or from the store. Returns undefined for a malformed one. */
export function seenOf(value: unknown): SeenBoot | undefined {
  const { life, count, nonce, promised, copies } = fieldsOf(value);
  const position = positionOf(promised);
  if (!isCount(life) || !isCount(count) || !isNonce(nonce)) return undefined;
  if (position === undefined || !areNonces(copies, copiesMax)) return undefined;
  return { life, count, nonce, promised: position, copies };
}

/**
 * Validates a stored boot.
 * @throws Fault "corrupt" for a malformed one
 */
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
