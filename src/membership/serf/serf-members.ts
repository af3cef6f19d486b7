/**
 * Members with Serf's status: alive, leaving, left or failed. SWIM knows which members answer. Intents, ordered by a
 * Lamport clock, say which of them leave on purpose. Left and failed members are kept until they are reaped.
 *
 * Invariant: at most `membersMax` members, and at most `intentsMax` intents of unknown members. A live member is never
 * deleted.
 */
import type { Endpoint } from "../codec/address.ts";
import type { NodeRecord } from "../swim/node-table.ts";
import type { SwimContext } from "../swim/swim-context.ts";
import { LamportClock } from "./lamport-clock.ts";
import type { EventBuffer, MemberStatus, MemberView, SerfEvent } from "./serf-event.ts";
import type { Intent } from "./serf-messages.ts";
import { readTags, type Tags } from "./tags.ts";

export interface SerfMember {
  readonly name: string;
  at: Endpoint;
  tags: Tags;
  versions: Buffer;
  status: Exclude<MemberStatus, "suspect">;
  /** Lamport time of the last accepted intent. */
  statusLTime: number;
  /** True if that time came with a push/pull, which does not say whether the intent was a join or a leave. */
  isTimeMerged: boolean;
  /** Core time of the change to leaving, left or failed. */
  goneMs: number;
}

interface PendingIntent {
  readonly kind: Intent["kind"];
  readonly lTime: number;
  readonly isMerged: boolean;
  readonly sinceMs: number;
}

const intentsMax = 1_024;

export class SerfMembers {
  readonly clock: LamportClock;
  readonly #context: SwimContext;
  readonly #events: EventBuffer;
  readonly #members = new Map<string, SerfMember>();
  /** Intents of unknown members: an intent can arrive before its member. */
  readonly #intents = new Map<string, PendingIntent>();

  constructor(context: SwimContext, events: EventBuffer, time: number) {
    this.#context = context;
    this.#events = events;
    this.clock = new LamportClock(time);
  }

  get(name: string): SerfMember | undefined {
    return this.#members.get(name);
  }

  all(): IterableIterator<SerfMember> {
    return this.#members.values();
  }

  /** Returns the member for the application. */
  view(member: SerfMember): MemberView {
    const record = this.#context.table.get(member.name);
    const suspect = member.status === "alive" && record?.state === "suspect";
    return {
      name: member.name,
      host: member.at.host,
      port: member.at.port,
      status: suspect ? "suspect" : member.status,
      tags: member.tags,
    };
  }

  /** SWIM: a member that was unknown, dead or left is alive. */
  handleJoin(record: NodeRecord): void {
    const known = this.#members.get(record.name);
    if (known === undefined) {
      if (this.#members.size >= this.#context.membersMax && !this.#evict()) {
        this.#context.counters.overflow++;
        return;
      }
      this.#members.set(record.name, this.#newMember(record));
    } else {
      known.at = record.at;
      known.tags = readTags(record.meta);
      known.versions = record.versions;
      known.status = "alive";
    }
    this.#emit("joined", record.name);
  }

  /** SWIM: a member's address or meta changed. */
  handleUpdate(record: NodeRecord): void {
    const member = this.#members.get(record.name);
    if (member === undefined) return;
    member.at = record.at;
    member.tags = readTags(record.meta);
    this.#emit("updated", record.name);
  }

  /** SWIM: a member is dead or left. */
  handleLeave(name: string): void {
    const member = this.#members.get(name);
    if (member === undefined || (member.status !== "alive" && member.status !== "leaving")) return;
    member.status = member.status === "leaving" ? "left" : "failed";
    member.goneMs = this.#context.schedule.nowMs;
    this.#emit(member.status, name);
  }

  /**
   * Handles a join intent, or, with `isMerged`, the time of an unknown intent in a push/pull. As in Serf, such a time
   * counts as a join. If the member is leaving, its leave intent with the same time can follow.
   * Returns true if the intent is new. Then it is to be passed on.
   */
  handleJoinIntent(intent: Intent, isMerged = false): boolean {
    if (!this.clock.witness(intent.lTime)) return false;
    const member = this.#members.get(intent.node);
    if (member === undefined) return this.#keepIntent(intent, isMerged);
    if (intent.lTime <= member.statusLTime) return false;
    member.statusLTime = intent.lTime;
    member.isTimeMerged = isMerged;
    if (member.status === "leaving") member.status = "alive";
    return true;
  }

  /** As handleJoinIntent. The caller decides whether to refute the intent. */
  handleLeaveIntent(intent: Intent): boolean {
    if (!this.clock.witness(intent.lTime)) return false;
    const member = this.#members.get(intent.node);
    if (member === undefined) return this.#keepIntent(intent, false);
    if (isOld(intent, member.statusLTime, member.isTimeMerged)) return false;
    member.statusLTime = intent.lTime;
    member.isTimeMerged = false;
    if (member.status === "alive") {
      member.status = "leaving";
      member.goneMs = this.#context.schedule.nowMs;
    } else if (member.status === "failed") {
      member.status = "left";
      this.#emit("left", intent.node);
    }
    if (intent.prune && member.status === "left") this.#reapMember(member);
    return true;
  }

  /** Deletes members that have been gone for long, old intents, and leaves that were not carried out. */
  reap(): void {
    const now = this.#context.schedule.nowMs;
    const { deadNodeReclaimMs, recentIntentMs, tombstoneMs } = this.#context.timing;
    for (const member of [...this.#members.values()]) {
      // A leave takes about ten seconds. A forged leave may not have reached its member, which could not refute it.
      const stays = member.status === "leaving" && now - member.goneMs > deadNodeReclaimMs;
      if (stays && member.name !== this.#context.self.name) member.status = "alive";
      const isGone = member.status === "left" || member.status === "failed";
      if (isGone && now - member.goneMs > tombstoneMs) this.#reapMember(member);
    }
    for (const [name, intent] of this.#intents) {
      if (now - intent.sinceMs > recentIntentMs) this.#intents.delete(name);
    }
  }

  #newMember(record: NodeRecord): SerfMember {
    const intent = this.#intents.get(record.name);
    this.#intents.delete(record.name);
    return {
      name: record.name,
      at: record.at,
      tags: readTags(record.meta),
      versions: record.versions,
      status: intent?.kind === "leave" ? "leaving" : "alive",
      statusLTime: intent?.lTime ?? 0,
      isTimeMerged: intent?.isMerged ?? false,
      goneMs: 0,
    };
  }

  #keepIntent(intent: Intent, isMerged: boolean): boolean {
    const kept = this.#intents.get(intent.node);
    if (kept !== undefined && isOld(intent, kept.lTime, kept.isMerged)) return false;
    if (kept === undefined && this.#intents.size >= intentsMax) {
      this.#context.counters.overflow++;
      return false;
    }
    const { kind, lTime } = intent;
    this.#intents.set(intent.node, { kind, lTime, isMerged, sinceMs: this.#context.schedule.nowMs });
    return true;
  }

  #reapMember(member: SerfMember): void {
    this.#members.delete(member.name);
    this.#events.add({ kind: "reaped", member: this.view(member) });
  }

  /** Reaps the oldest member that left, or else the oldest that failed. Returns false if there is none. */
  #evict(): boolean {
    let oldest: SerfMember | undefined;
    for (const member of this.#members.values()) {
      if (member.status !== "left" && member.status !== "failed") continue;
      if (oldest === undefined || evictionRank(member) < evictionRank(oldest)) oldest = member;
    }
    if (oldest !== undefined) this.#reapMember(oldest);
    return oldest !== undefined;
  }

  #emit(kind: Extract<SerfEvent, { member: MemberView }>["kind"], name: string): void {
    const member = this.#members.get(name);
    if (member !== undefined) this.#events.add({ kind, member: this.view(member) });
  }
}

/** A leave intent may have the time that a push/pull brought first. */
function isOld({ kind, lTime }: Intent, known: number, isMerged: boolean): boolean {
  return kind === "leave" && isMerged ? lTime < known : lTime <= known;
}

function evictionRank(member: SerfMember): number {
  return member.goneMs + (member.status === "failed" ? 1e15 : 0);
}
