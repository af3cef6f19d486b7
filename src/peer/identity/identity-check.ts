/**
 * Decides on each handshake whether a node may speak for its data directory (boot.ts has the rules), and settles with
 * the other members what they have seen.
 *
 *   claim that does not hold                    refused; the leader is told what this node has seen
 *   claim that holds, and another boot of the   "in-use" while that boot is asked: two signs of life that it gave
 *   same directory has a connection here        after the claim prove a copy; silence ends its connections
 *   claim that holds otherwise                  its boot is stored, then it is let in
 *   no claim: an earlier version                let in, unless a boot of that directory has a connection and is alive
 *   a member is lost                            the others are told what this node has seen of it
 *   a member connects again                     it is told what this node has seen of the others
 *
 * The leader's word counts where two members have seen different things.
 */
import { Fault } from "../../fault.ts";
import { fieldsOf } from "../../lib/fields.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { type Member, type Message, type PeerId, promiseIn } from "../../raft/mod.ts";
import {
  type BootClaim,
  type BootNumber,
  type BootRecords,
  type ClaimFlaw,
  flawOf,
  isCount,
  isSameBoot,
  noPosition,
  type Position,
  type SeenBoot,
  seenOf,
} from "../../replication/mod.ts";
import { type PeerHello, peerOfHello, type Refusal } from "../handshake/handshake.ts";
import type { PeerReplica } from "../options.ts";

/** What a member that has refused a claim tells others. */
export const seenVerb = "seen";

/** A connection on which a boot speaks. */
export interface BootConnection {
  readonly boot: BootClaim;
  /** How often it has answered, or asked again after an answer. */
  readonly signs: number;
  close(fault: Fault): void;
}

export interface IdentityCheckOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly replica: () => PeerReplica | undefined;
  readonly roster: () => readonly Member[];
  readonly self: () => PeerHello;
  /** Open connections of this directory, either way. */
  readonly holders: (directory: string) => readonly BootConnection[];
  readonly ask: (address: string, verb: string, body: unknown) => Promise<unknown>;
  /** How long a boot may be silent before another takes its place. */
  readonly silentMs: number;
}

interface Challenge {
  readonly sinceMs: number;
  lastMs: number;
  readonly signs: Map<BootConnection["boot"], number>;
}

/** The flaw that is told where there is none: what was seen, and nothing else. */
const news = "left";
const newsOf = (seen: SeenBoot): { refused: string; flaw: string; seen: SeenBoot } => ({
  refused: "",
  flaw: news,
  seen,
});

const challengesMax = 64;
const reportEveryMs = 1_000;
/** Signs of life after a claim that prove that two processes have one directory. */
const signsOfCopy = 2;

export class IdentityCheck {
  readonly #ports: IdentityCheckOptions;
  readonly #challenges = new Map<string, Challenge>();
  readonly #reported = new Map<string, number>();

  constructor(ports: IdentityCheckOptions) {
    this.#ports = ports;
  }

  /** Why this node may not speak for its directory, if so. Otherwise its boot is noted. */
  claimed(hello: PeerHello): Refusal | undefined {
    const { boot, directory } = hello;
    const boots = this.#boots;
    if (boots === undefined) return undefined;
    if (boot === undefined) return this.#held(boots, hello, undefined);
    const flaw = boots.flawOf(directory, boot, this.#promisedBy(hello));
    try {
      if (flaw !== undefined) return this.#refused(boots, hello, boot, flaw);
      const held = this.#held(boots, hello, boot);
      if (held !== undefined) return held;
      if (boots.accept(directory, boot)) this.#node?.forgetProgress?.(peerOfHello(hello));
      return undefined;
    } catch (reason) {
      this.#ports.logger.warn(
        { peer: hello.name, err: reason },
        "the boot number of a peer could not be stored",
      );
      return { reason: "in-use", message: "the boot number cannot be stored now" };
    }
  }

  /** Whether a node that was only asked who it is would be let in. Nothing is noted. */
  doubts(hello: PeerHello): string | undefined {
    const { boot, directory } = hello;
    const boots = this.#boots;
    if (boots === undefined) return undefined;
    const flaw = boot && boots.flawOf(directory, boot, this.#promisedBy(hello));
    if (flaw !== undefined) return sentenceOf(flaw, hello.name);
    return this.#others(directory, boot).length > 0
      ? "the member with its data directory still answers"
      : undefined;
  }

  /**
   * A connection of this member has ended: the caller stores what it has promised. The others are told: they may not
   * have heard of all of it, and may be the first, or the only ones, to judge the member when it comes back.
   */
  left(hello: PeerHello): void {
    const { boot, directory } = hello;
    if (boot === undefined) return;
    this.#boots?.heard(directory, boot, this.#promisedBy(hello));
    const seen = this.#boots?.seen(directory);
    if (seen === undefined || !this.#isMember(directory)) return;
    const { term, index } = seen.promised;
    if (!this.#isDue(`${directory} ${seen.nonce} ${term} ${index}`)) return;
    void this.#tell(this.#except(directory), directory, newsOf(seen));
  }

  /** Linked to a member: it is told what was seen of the other members, which it may have been cut off from. */
  met(directory: string, address: string): void {
    for (const other of this.#except(directory)) {
      const seen = this.#boots?.seen(other.directory);
      if (seen !== undefined) void this.#tell([{ directory, address }], other.directory, newsOf(seen));
    }
  }

  /** A message of Raft's from it: what it promises is noted, since votes and acknowledgments may be counted here. */
  received({ boot, directory }: PeerHello, message: Message): void {
    const promised = boot === undefined || boot.lossy ? undefined : promiseIn(message);
    if (boot === undefined || promised === undefined) return;
    if (isCount(promised.term) && isCount(promised.index)) this.#boots?.heard(directory, boot, promised);
  }

  /** It says how far it has promised to have the log. */
  heard({ boot, directory }: PeerHello, promised: Position): void {
    if (boot !== undefined) this.#boots?.heard(directory, boot, promised);
  }

  /** Stores how far the members have promised to have the log. */
  keep(): void {
    const boots = this.#boots;
    if (boots === undefined) return;
    const node = this.#node;
    for (const { peer, directory } of node?.isLeader === true ? this.#ports.roster() : []) {
      const seen = boots.seen(directory);
      const promised = node?.promisedBy?.(peer);
      if (seen !== undefined && promised !== undefined) boots.heard(directory, seen, promised);
    }
    boots.keep();
  }

  /** Another member has refused a claim: takes over what it has seen, and answers what this node has. */
  told(body: unknown, from: PeerHello): { readonly seen: SeenBoot | undefined } {
    const { directory, refused, flaw, seen } = fieldsOf(body);
    const record = seenOf(seen);
    if (typeof directory !== "string" || typeof refused !== "string" || record === undefined) {
      throw new Fault("bad-request", { message: `the order ${seenVerb} is malformed` });
    }
    if (!this.#isMember(from.directory) || !this.#isMember(directory)) {
      throw new Fault("failed-precondition", { message: "only members tell what they have seen of members" });
    }
    const boots = this.#boots;
    if (boots === undefined) return { seen: undefined };
    if (flaw === news) {
      this.#takeOver(boots, directory, record, from.directory);
      return { seen: boots.seen(directory) };
    }
    const holders = this.#ports.holders(directory);
    const own = boots.seen(directory);
    const isAlive = holders.some(({ boot }) => boot.nonce === refused);
    if (flaw !== "lost-entries" && isAlive && own?.nonce === refused && !own.copies.includes(refused)) {
      // What was refused there is accepted and running here: what they have seen later is of a copy.
      if (!record.copies.includes(refused)) boots.copyFound(directory, record.nonce);
      else boots.learn(directory, record);
    } else {
      for (const { boot } of holders) {
        if (flawOf(boot, record) === "lost-entries") boots.copyFound(directory, boot.nonce);
      }
      boots.learn(directory, record);
    }
    this.#recheck(directory);
    return { seen: boots.seen(directory) };
  }

  // ————— refusing

  #refused(boots: BootRecords, hello: PeerHello, boot: BootClaim, flaw: ClaimFlaw): Refusal {
    if (flaw === "lost-entries") boots.copyFound(hello.directory, boot.nonce);
    const seen = boots.seen(hello.directory);
    if (seen !== undefined) void this.#report(hello, boot, flaw, seen);
    const isHeld = this.#others(hello.directory, boot).length > 0;
    if (isHeld) return this.#refusal(hello, "copy");
    this.#node?.forgetProgress?.(peerOfHello(hello));
    const rolledBack = boots.isRolledBack(hello.directory, boot, this.#promisedBy(hello));
    return this.#refusal(hello, rolledBack ? "lost-entries" : flaw);
  }

  #refusal({ name }: PeerHello, flaw: ClaimFlaw): Refusal {
    const { name: by } = this.#ports.self();
    const message = `${by} refuses ${name}, ${sentenceOf(flaw, name)}`;
    return { reason: flaw === "copy" ? "copy" : "rolled-back", message };
  }

  /**
   * Another boot of the same directory has a connection here: is it alive? Of an earlier version, which says no boot
   * number, that is all that can be checked.
   */
  #held(boots: BootRecords, hello: PeerHello, boot: BootClaim | undefined): Refusal | undefined {
    const { clock, silentMs, logger } = this.#ports;
    const { directory, name, address } = hello;
    const others = this.#others(directory, boot);
    const key = `${directory} ${boot?.nonce ?? address}`;
    if (others.length === 0) {
      this.#challenges.delete(key);
      return undefined;
    }
    const now = clock.monotonicMs();
    const challenge = this.#challenge(key, now);
    challenge.lastMs = now;
    for (const holder of others) {
      const before = challenge.signs.get(holder.boot);
      if (before === undefined) challenge.signs.set(holder.boot, holder.signs);
      else if (holder.signs - before >= signsOfCopy) {
        if (boot !== undefined) boots.copyFound(directory, boot.nonce);
        this.#challenges.delete(key);
        logger.error({ member: name, address }, "a copy of a running member's data directory was started");
        return this.#refusal(hello, "copy");
      }
    }
    if (now - challenge.sinceMs < silentMs) {
      return {
        reason: "in-use",
        message: `another process with the data directory of ${name} is being asked`,
      };
    }
    for (const holder of others) {
      holder.close(new Fault("unavailable", { message: "a later start of this member takes its place" }));
    }
    this.#challenges.delete(key);
    return undefined;
  }

  #challenge(key: string, now: number): Challenge {
    const found = this.#challenges.get(key);
    if (found !== undefined && now - found.lastMs < 2 * this.#ports.silentMs) return found;
    if (this.#challenges.size >= challengesMax) this.#challenges.clear();
    const made: Challenge = { sinceMs: now, lastMs: now, signs: new Map() };
    this.#challenges.set(key, made);
    return made;
  }

  #others(directory: string, boot: BootClaim | undefined): readonly BootConnection[] {
    return this.#ports.holders(directory).filter((holder) => holder.boot.nonce !== boot?.nonce);
  }

  // ————— settling with the others

  /** Tells the leader, or all others where the leader is the one that was refused. */
  async #report(hello: PeerHello, { nonce }: BootClaim, flaw: ClaimFlaw, seen: SeenBoot): Promise<void> {
    const node = this.#node;
    const { directory } = hello;
    if (node?.isLeader === true || !this.#isMember(directory) || !this.#isDue(`${directory} ${nonce}`))
      return;
    const leader = node?.leader;
    const isItself = leader === undefined || leader.directory === directory;
    const asked = isItself ? this.#except(directory) : [leader];
    await this.#tell(asked, directory, { refused: nonce, flaw, seen });
  }

  /** The other members, but for this one. */
  #except(directory: string): Member[] {
    const own = this.#ports.self().directory;
    return this.#ports.roster().filter((one) => one.directory !== directory && one.directory !== own);
  }

  /** Not too often about the same. */
  #isDue(what: string): boolean {
    const now = this.#ports.clock.monotonicMs();
    const before = this.#reported.get(what);
    if (before !== undefined && now - before < reportEveryMs) return false;
    if (this.#reported.size >= challengesMax) this.#reported.clear();
    this.#reported.set(what, now);
    return true;
  }

  async #tell(
    asked: readonly Pick<Member, "directory" | "address">[],
    directory: string,
    what: { readonly refused: string; readonly flaw: string; readonly seen: SeenBoot },
  ): Promise<void> {
    const { ask } = this.#ports;
    await Promise.allSettled(
      asked.map(async (member) => {
        const answer = seenOf(fieldsOf(await ask(member.address, seenVerb, { directory, ...what }))["seen"]);
        const boots = this.#boots;
        if (answer === undefined || boots === undefined) return;
        if (what.flaw === news) this.#takeOver(boots, directory, answer, member.directory);
        else {
          boots.learn(directory, answer);
          this.#recheck(directory);
        }
      }),
    );
  }

  /**
   * What another member has seen, where nobody was refused. While a boot of the directory speaks here, another one that
   * is not earlier may be a copy's: then the leader's word alone counts.
   */
  #takeOver(boots: BootRecords, directory: string, record: SeenBoot, from: string): void {
    const own = boots.seen(directory);
    const holders = this.#ports.holders(directory);
    const isHeld = own !== undefined && holders.some(({ boot }) => isSameBoot(boot, own));
    if (isHeld && followsOrRivals(record, own) && this.#node?.leader?.directory !== from) return;
    for (const { boot } of holders) {
      if (flawOf(boot, record) === "lost-entries") boots.copyFound(directory, boot.nonce);
    }
    boots.learn(directory, record);
    this.#recheck(directory);
  }

  /** Ends the connections of boots that do not hold any more. */
  #recheck(directory: string): void {
    for (const holder of this.#ports.holders(directory)) {
      const flaw = this.#boots?.flawOf(directory, holder.boot);
      if (flaw === undefined) continue;
      holder.close(new Fault("unavailable", { message: "its claim to its data directory does not hold" }));
    }
  }

  #promisedBy(hello: Pick<PeerHello, "directory">): Position {
    const peer: PeerId = peerOfHello(hello);
    return this.#node?.promisedBy?.(peer) ?? noPosition;
  }

  #isMember(directory: string): boolean {
    return this.#ports.roster().some((member) => member.directory === directory);
  }

  get #boots(): BootRecords | undefined {
    return this.#ports.replica()?.boots;
  }

  get #node(): PeerReplica["node"] | undefined {
    const replica = this.#ports.replica();
    return replica?.started === true ? replica.node : undefined;
  }
}

/** Another boot, and not one before. */
const followsOrRivals = (one: BootNumber, own: BootNumber): boolean =>
  !isSameBoot(one, own) && (one.life === own.life ? one.count >= own.count : one.life > own.life);

/** What is wrong, without a subject, and both ways back. */
function sentenceOf(flaw: ClaimFlaw, name: string): string {
  const what = {
    "older-boot": `its data directory was rolled back to an older copy, a later start of it was seen`,
    copy: `its data directory is a copy, another process of ${name} has used it since`,
    "lost-entries": `its data directory was rolled back, acknowledged entries are gone from its log`,
  }[flaw];
  return `${what}. Stop it, then empty its data directory or run tailrace repair on it with --yes, and start it with the same flags`;
}
