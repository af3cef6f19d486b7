/**
 * Decides which alive, suspect and dead messages to accept (memberlist's aliveNode, suspectNode, deadNode):
 *
 *   an alive message counts with a higher incarnation, a suspect or dead message with the same or a higher one;
 *   only a member itself raises its incarnation, to refute what is said about it.
 *
 * Two rules go beyond memberlist. A member is pinged before its death is accepted (death-checks.ts), and incarnations
 * that no honest member reaches are ignored (incarnation.ts).
 */
import { type Endpoint, isUnicast, sameEndpoint } from "../codec/address.ts";
import { type Alive, encodeSuspectOrDead, type SuspectOrDead } from "../codec/messages.ts";
import type { PushPullNode } from "../codec/push-pull.ts";
import type { Broadcaster } from "./broadcaster.ts";
import type { DeathChecks } from "./death-checks.ts";
import { isForged, isPlausibleAccusation, isPlausibleAlive } from "./incarnation.ts";
import type { LocalMember } from "./local-member.ts";
import type { MemberDelegate } from "./member-delegate.ts";
import { isLive, type NodeRecord } from "./node-table.ts";
import type { Suspicions } from "./suspicions.ts";
import type { SwimContext } from "./swim-context.ts";
import type { Transitions } from "./transitions.ts";
import { isCompatible } from "./versions.ts";

/** Where a claim comes from: gossip; the reply to our exchange; or that reply, about the replying member itself. */
type Origin = "gossip" | "reply" | "owner";

type AliveClaim = Omit<Alive, "kind">;

export interface MemberStatesParts {
  readonly context: SwimContext;
  readonly broadcaster: Broadcaster;
  readonly transitions: Transitions;
  readonly local: LocalMember;
  readonly deathChecks: DeathChecks;
  readonly suspicions: Suspicions;
  readonly delegate: MemberDelegate;
}

export class MemberStates {
  readonly #parts: MemberStatesParts;
  readonly #context: SwimContext;

  constructor(parts: MemberStatesParts) {
    this.#parts = parts;
    this.#context = parts.context;
  }

  alive(claim: AliveClaim, origin: Origin = "gossip"): void {
    const { local, transitions } = this.#parts;
    const { counters, self, table } = this.#context;
    if (claim.node === self.name && local.isLeaving) return;
    const known = table.get(claim.node);
    if (!this.#isAcceptable(claim, known, origin)) return;
    const record = known ?? transitions.insert(claim.node, claim.at, claim.meta, claim.versions);
    if (record === undefined) {
      counters.overflow++;
      return;
    }
    const moved = !sameEndpoint(record.at, claim.at);
    if (moved && !this.#mayReclaim(record)) {
      counters.conflicts++;
      this.#parts.delegate.notifyConflict(record.name, record.at, claim.at);
      return;
    }
    if (record.name === self.name) {
      const same = claim.incarnation === record.incarnation && claim.meta.equals(record.meta);
      if (claim.incarnation >= record.incarnation && !same) local.refute(record, claim.incarnation);
      return;
    }
    // The owner of a forged incarnation could not exceed it for long. Its own reply counts nevertheless.
    const undoesForgery = origin === "owner" && isForged(record.incarnation) && differs(record, claim);
    if (known !== undefined && !moved && claim.incarnation <= record.incarnation && !undoesForgery) return;
    transitions.markAlive(record, claim);
  }

  /** `ours`: this member's own probe failed just now. */
  suspect(claim: SuspectOrDead, ours = false): void {
    const { local, suspicions } = this.#parts;
    const record = this.#accused(claim);
    if (record === undefined || !isLive(record)) return;
    const { schedule, self } = this.#context;
    if (record.name === self.name) local.refute(record, claim.incarnation);
    else if (record.suspicion !== undefined) suspicions.confirm(record, claim);
    else if (ours || schedule.nowMs >= record.trustedUntilMs) suspicions.start(record, claim);
  }

  /** Another member says that a member is dead, or the member itself says that it leaves. */
  dead(claim: SuspectOrDead): void {
    const { broadcaster, deathChecks, delegate, local, transitions } = this.#parts;
    const record = this.#accused(claim);
    if (record === undefined || !isLive(record)) return;
    if (record.name === this.#context.self.name) {
      if (!local.isLeaving) local.refute(record, claim.incarnation);
      return;
    }
    if (record.deathCheck !== undefined) return;
    if (claim.from === record.name && delegate.isLeaving(record.name)) {
      // The member announced its leave before. The message is passed on at once.
      broadcaster.broadcast("membership", encodeSuspectOrDead(claim), record.name);
      deathChecks.checkLeave(record, claim);
      return;
    }
    deathChecks.check(record, claim, (answered) => {
      if (!answered && this.#isSuspectedLongEnough(record)) transitions.markDead(record, claim);
      // It may only be busy, so it has the time of a suspicion to refute.
      else this.suspect({ ...claim, kind: "suspect" }, !answered);
    });
  }

  /** Merges the member list of a push/pull. `replyFrom` is set if it is the reply to our request to this address. */
  merge(nodes: readonly PushPullNode[], replyFrom?: Endpoint): void {
    for (const node of nodes) {
      const origin = originOf(node, replyFrom);
      const from = node.state === "left" ? node.name : this.#context.self.name;
      const claim = { incarnation: node.incarnation, node: node.name, from };
      if (node.state === "alive") this.alive({ ...node, node: node.name }, origin);
      else if (node.state === "left") this.dead({ kind: "dead", ...claim });
      // As in memberlist, a death in a push/pull is only a suspicion: the sender may have been cut off for long.
      else this.suspect({ kind: "suspect", ...claim });
      if (origin === "owner") this.#markVerified(node);
    }
  }

  /** Returns the member list for a push/pull. */
  list(): PushPullNode[] {
    return [...this.#context.table.all()].map((record) => ({
      name: record.name,
      at: record.at,
      meta: record.meta,
      incarnation: record.incarnation,
      state: record.state,
      versions: record.versions,
    }));
  }

  /** Counts the reason if an alive message is not acceptable. */
  #isAcceptable(claim: AliveClaim, known: NodeRecord | undefined, origin: Origin): boolean {
    const { counters, self } = this.#context;
    if (!isCompatible(claim.versions)) {
      counters.incompatible++;
      return false;
    }
    // A restarted member has lost its former incarnation. What the cluster replies about it may be far ahead.
    const trusted = origin === "owner" || (origin === "reply" && claim.node === self.name);
    const comparable = trusted ? undefined : known?.incarnation;
    if (!isUnicast(claim.at.host) || !isPlausibleAlive(claim.incarnation, comparable)) {
      counters.implausible++;
      return false;
    }
    const isNew = known === undefined || !claim.meta.equals(known.meta);
    if (isNew && claim.node !== self.name) {
      if (this.#parts.delegate.refuses(claim.node, claim.at, claim.meta)) {
        counters.refused++;
        return false;
      }
    }
    return true;
  }

  /** Returns the member that a suspect or dead message is about, unless the message is old or implausible. */
  #accused(claim: SuspectOrDead): NodeRecord | undefined {
    const record = this.#context.table.get(claim.node);
    if (record === undefined || claim.incarnation < record.incarnation) return undefined;
    if (!isPlausibleAccusation(claim.incarnation, record.incarnation)) {
      this.#context.counters.implausible++;
      return undefined;
    }
    return record;
  }

  /** An honest dead message follows a suspicion that was broadcast long before. */
  #isSuspectedLongEnough({ suspicion }: NodeRecord): boolean {
    if (suspicion === undefined) return false;
    return this.#context.schedule.nowMs - suspicion.sinceMs >= suspicion.bounds.minMs / 2;
  }

  /** Returns whether the name may be used at another address. */
  #mayReclaim(record: NodeRecord): boolean {
    if (record.state === "left") return true;
    const { schedule, timing } = this.#context;
    return record.state === "dead" && schedule.nowMs - record.stateChangedMs > timing.deadNodeReclaimMs;
  }

  /** A member that replied to our exchange from the address that it claims is verified. */
  #markVerified({ name, at }: PushPullNode): void {
    const record = this.#context.table.get(name);
    if (record !== undefined && sameEndpoint(record.at, at)) record.verified = true;
  }
}

function originOf(node: PushPullNode, replyFrom: Endpoint | undefined): Origin {
  if (replyFrom === undefined) return "gossip";
  return sameEndpoint(node.at, replyFrom) ? "owner" : "reply";
}

function differs(record: NodeRecord, claim: AliveClaim): boolean {
  const same = record.incarnation === claim.incarnation && record.meta.equals(claim.meta);
  return record.state !== "alive" || !same;
}
