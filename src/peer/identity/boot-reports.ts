/**
 * Exchanges with the other members what each has seen of a data directory: its last boot and promised position.
 *
 *   a claim is refused here           the leader gets a report; all members if the leader was refused
 *   a member disconnects              the other members get a report: they may be the first to check it when it returns
 *   a member connects                 it gets a report about each other member, for the time it was disconnected
 *
 * A member answers a report with what it has seen itself. If two members have seen different boots, the leader's record
 * counts.
 */
import { Fault } from "../../fault.ts";
import { fieldsOf } from "../../lib/fields.ts";
import type { Member } from "../../raft/mod.ts";
import {
  type BootClaim,
  type BootNumber,
  type BootRecords,
  type ClaimFlaw,
  flawOf,
  isSameBoot,
  type SeenBoot,
  seenOf,
} from "../../replication/mod.ts";
import type { PeerHello } from "../handshake/introduction.ts";
import type { IdentityContext } from "./identity-context.ts";

/** The verb of a report, on the wire. */
export const reportVerb = "seen";
/** Takes the place of a flaw, on the wire, in a report without a refusal. */
const noRefusal = "left";

interface BootReport {
  /** Nonce of the refused boot; empty without a refusal. */
  readonly refused: string;
  readonly flaw: string;
  readonly seen: SeenBoot;
}

const withoutRefusal = (seen: SeenBoot): BootReport => ({ refused: "", flaw: noRefusal, seen });

const recentMax = 64;
/** Minimum milliseconds between two reports of the same content. */
const repeatMs = 1_000;

export class BootReports {
  readonly #context: IdentityContext;
  /** When a report was sent last, by its content. */
  readonly #recent = new Map<string, number>();

  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** Reports what was seen of the other members to a member that has connected. */
  memberConnected(directory: string, address: string): void {
    const { boots } = this.#context;
    for (const other of this.#context.membersExcept(directory)) {
      const seen = boots?.seen(other.directory);
      if (seen !== undefined)
        void this.#send([{ directory, address }], other.directory, withoutRefusal(seen));
    }
  }

  /** Records the promised position of a member whose connection has ended, and reports it to the others. */
  memberDisconnected(hello: PeerHello): void {
    const { boot, directory } = hello;
    const { boots } = this.#context;
    if (boot === undefined) return;
    boots?.notePromise(directory, boot, this.#context.promisedBy(hello));
    const seen = boots?.seen(directory);
    if (seen === undefined || !this.#context.isMember(directory)) return;
    const { term, index } = seen.promised;
    if (!this.#takeTurn(`${directory} ${seen.nonce} ${term} ${index}`)) return;
    void this.#send(this.#context.membersExcept(directory), directory, withoutRefusal(seen));
  }

  /** Reports a refused claim to the leader, or to all other members if the leader is the refused one. */
  claimRefused({ directory }: PeerHello, { nonce }: BootClaim, flaw: ClaimFlaw, seen: SeenBoot): void {
    const { node } = this.#context;
    if (node?.isLeader === true || !this.#context.isMember(directory)) return;
    if (!this.#takeTurn(`${directory} ${nonce}`)) return;
    const leader = node?.leader;
    const receivers =
      leader === undefined || leader.directory === directory
        ? this.#context.membersExcept(directory)
        : [leader];
    void this.#send(receivers, directory, { refused: nonce, flaw, seen });
  }

  /**
   * Takes over the report of another member, and returns what this node has seen.
   * @throws Fault "bad-request" for a malformed report, "failed-precondition" if the sender or the subject is no member
   */
  receive(body: unknown, from: PeerHello): { readonly seen: SeenBoot | undefined } {
    const { directory, refused, flaw, seen } = fieldsOf(body);
    const record = seenOf(seen);
    if (typeof directory !== "string" || typeof refused !== "string" || record === undefined) {
      throw new Fault("bad-request", { message: "the report about a boot number is malformed" });
    }
    if (!this.#context.isMember(from.directory) || !this.#context.isMember(directory)) {
      throw new Fault("failed-precondition", { message: "reports are accepted only from and about members" });
    }
    const { boots } = this.#context;
    if (boots === undefined) return { seen: undefined };
    if (flaw === noRefusal) this.#takeOver(boots, directory, record, from.directory);
    else this.#receiveRefusal(boots, directory, refused, flaw, record);
    return { seen: boots.seen(directory) };
  }

  #receiveRefusal(
    boots: BootRecords,
    directory: string,
    refused: string,
    flaw: unknown,
    record: SeenBoot,
  ): void {
    const own = boots.seen(directory);
    const isConnected = this.#context.options
      .connections(directory)
      .some(({ boot }) => boot.nonce === refused);
    if (flaw !== "lost-entries" && isConnected && own?.nonce === refused && !own.copies.includes(refused)) {
      // The refused boot is accepted and connected here: the later boot that the other member has seen is a duplicate's.
      if (!record.copies.includes(refused)) boots.addCopy(directory, record.nonce);
      else boots.merge(directory, record);
    } else this.#learn(boots, directory, record);
    this.#context.closeInvalid(directory);
  }

  /**
   * Takes over what another member has seen, without a refusal. If the boot seen here is connected, another boot that is
   * not earlier may be a duplicate's. Then only the leader's record is taken over.
   */
  #takeOver(boots: BootRecords, directory: string, record: SeenBoot, from: string): void {
    const own = boots.seen(directory);
    const isConnected =
      own !== undefined &&
      this.#context.options.connections(directory).some(({ boot }) => isSameBoot(boot, own));
    if (isConnected && isOtherNotEarlier(record, own) && this.#context.node?.leader?.directory !== from)
      return;
    this.#learn(boots, directory, record);
    this.#context.closeInvalid(directory);
  }

  /** Stores a record. A connected boot that lacks entries of its promised position counts as a duplicate's. */
  #learn(boots: BootRecords, directory: string, record: SeenBoot): void {
    for (const { boot } of this.#context.options.connections(directory)) {
      if (flawOf(boot, record) === "lost-entries") boots.addCopy(directory, boot.nonce);
    }
    boots.merge(directory, record);
  }

  /** Sends a report, and takes over what the receivers answer. A receiver that fails is ignored. */
  async #send(
    receivers: readonly Pick<Member, "directory" | "address">[],
    directory: string,
    report: BootReport,
  ): Promise<void> {
    const { ask } = this.#context.options;
    await Promise.allSettled(
      receivers.map(async (receiver) => {
        const answer = fieldsOf(await ask(receiver.address, reportVerb, { directory, ...report }));
        const record = seenOf(answer["seen"]);
        const { boots } = this.#context;
        if (record === undefined || boots === undefined) return;
        if (report.flaw === noRefusal) this.#takeOver(boots, directory, record, receiver.directory);
        else {
          boots.merge(directory, record);
          this.#context.closeInvalid(directory);
        }
      }),
    );
  }

  /** Returns false if the same report was sent within the last second. */
  #takeTurn(content: string): boolean {
    const now = this.#context.options.clock.monotonicMs();
    const before = this.#recent.get(content);
    if (before !== undefined && now - before < repeatMs) return false;
    if (this.#recent.size >= recentMax) this.#recent.clear();
    this.#recent.set(content, now);
    return true;
  }
}

const isOtherNotEarlier = (one: BootNumber, own: BootNumber): boolean =>
  !isSameBoot(one, own) && (one.life === own.life ? one.count >= own.count : one.life > own.life);
