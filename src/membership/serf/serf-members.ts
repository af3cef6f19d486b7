/**
 * Members as Serf tells them: alive, leaving, left, failed. SWIM says who answers; intents, ordered by a Lamport
 * clock, say who meant to go. Left and failed members are remembered until they are reaped.
 *
 * Invariant: at most `membersMax` members and `intentsMax` intents of unknown members.
 *
 * Never: forgets a member that takes part.
 */
import type { Endpoint } from "../codec/address.ts";
import type { Member, MemberStatus, SerfEvent } from "../swim/duties.ts";
import type { NodeRecord } from "../swim/node-table.ts";
import type { SwimContext } from "../swim/swim-context.ts";
import { LamportClock } from "./lamport-clock.ts";
import type { Intent } from "./serf-messages.ts";
import { readTags, type Tags } from "./tags.ts";

export interface SerfMember {
  readonly name: string;
  at: Endpoint;
  tags: Tags;
  versions: Buffer;
  status: Exclude<MemberStatus, "suspect">;
  /** Lamport time of the last intent that counted. */
  statusLTime: number;
  /** Core time since when it is leaving, left or failed. */
  goneMs: number;
}

interface KeptIntent {
  readonly kind: Intent["kind"];
  readonly lTime: number;
  readonly sinceMs: number;
}

const intentsMax = 1_024;

export class SerfMembers {
  readonly clock: LamportClock;
  readonly #world: SwimContext;
  readonly #members = new Map<string, SerfMember>();
  readonly #intents = new Map<string, KeptIntent>();

  constructor(world: SwimContext, time: number) {
    this.#world = world;
    this.clock = new LamportClock(time);
  }

  get(name: string): SerfMember | undefined {
    return this.#members.get(name);
  }

  all(): IterableIterator<SerfMember> {
    return this.#members.values();
  }

  /** As the outside sees it. */
  show(member: SerfMember): Member {
    const record = this.#world.table.get(member.name);
    const suspect = member.status === "alive" && record?.state === "suspect";
    return {
      name: member.name,
      host: member.at.host,
      port: member.at.port,
      status: suspect ? "suspect" : member.status,
      tags: member.tags,
    };
  }

  arrived(record: NodeRecord): void {
    const known = this.#members.get(record.name);
    if (known === undefined) {
      if (this.#members.size >= this.#world.membersMax && !this.#makeRoom()) {
        this.#world.counters.overflow++;
        return;
      }
      this.#members.set(record.name, this.#newMember(record));
    } else {
      Object.assign(known, {
        at: record.at,
        tags: readTags(record.meta),
        versions: record.versions,
        status: "alive",
      });
    }
    this.#tell("joined", record.name);
  }

  changed(record: NodeRecord): void {
    const member = this.#members.get(record.name);
    if (member === undefined) return;
    member.at = record.at;
    member.tags = readTags(record.meta);
    this.#tell("updated", record.name);
  }

  gone(name: string): void {
    const member = this.#members.get(name);
    if (member === undefined || (member.status !== "alive" && member.status !== "leaving")) return;
    member.status = member.status === "leaving" ? "left" : "failed";
    member.goneMs = this.#world.schedule.nowMs;
    this.#tell(member.status === "left" ? "left" : "failed", name);
  }

  /** True when the intent is new: pass it on. */
  join(intent: Intent): boolean {
    if (!this.clock.witness(intent.lTime)) return false;
    const member = this.#members.get(intent.node);
    if (member === undefined) return this.#keep(intent);
    if (intent.lTime <= member.statusLTime) return false;
    member.statusLTime = intent.lTime;
    if (member.status === "leaving") member.status = "alive";
    return true;
  }

  /** As join. Whether it may be refuted is for the caller to know. */
  leave(intent: Intent): boolean {
    if (!this.clock.witness(intent.lTime)) return false;
    const member = this.#members.get(intent.node);
    if (member === undefined) return this.#keep(intent);
    if (intent.lTime <= member.statusLTime) return false;
    member.statusLTime = intent.lTime;
    if (member.status === "alive") {
      member.status = "leaving";
      member.goneMs = this.#world.schedule.nowMs;
    } else if (member.status === "failed") {
      member.status = "left";
      this.#tell("left", intent.node);
    }
    const gone = member.status === "left";
    if (intent.prune && gone) this.#forget(member);
    return true;
  }

  /** Forgets who is gone for long, intents that nobody followed, and leaves that came to nothing. */
  reap(): void {
    const now = this.#world.schedule.nowMs;
    const { recentIntentMs: intentMs, deadNodeReclaimMs: reclaimMs, tombstoneMs } = this.#world.timing;
    for (const member of [...this.#members.values()]) {
      // A leave is over in some ten seconds. One that was not meant may have passed its member by, unrefuted.
      const stays = member.status === "leaving" && now - member.goneMs > reclaimMs;
      if (stays && member.name !== this.#world.self.name) member.status = "alive";
      const gone = member.status === "left" || member.status === "failed";
      if (gone && now - member.goneMs > tombstoneMs) this.#forget(member);
    }
    for (const [name, intent] of this.#intents) {
      if (now - intent.sinceMs > intentMs) this.#intents.delete(name);
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
      goneMs: 0,
    };
  }

  /** An intent may come before its member does. */
  #keep(intent: Intent): boolean {
    const kept = this.#intents.get(intent.node);
    if (kept !== undefined && kept.lTime >= intent.lTime) return false;
    if (kept === undefined && this.#intents.size >= intentsMax) {
      this.#world.counters.overflow++;
      return false;
    }
    const { kind, lTime } = intent;
    this.#intents.set(intent.node, { kind, lTime, sinceMs: this.#world.schedule.nowMs });
    return true;
  }

  #forget(member: SerfMember): void {
    this.#members.delete(member.name);
    this.#world.tell({ kind: "reaped", member: this.show(member) });
  }

  /** Who left goes before who failed, the oldest first; never who takes part. */
  #makeRoom(): boolean {
    let oldest: SerfMember | undefined;
    for (const member of this.#members.values()) {
      if (member.status !== "left" && member.status !== "failed") continue;
      if (oldest === undefined || rank(member) < rank(oldest)) oldest = member;
    }
    if (oldest !== undefined) this.#forget(oldest);
    return oldest !== undefined;
  }

  #tell(kind: Extract<SerfEvent, { member: Member }>["kind"], name: string): void {
    const member = this.#members.get(name);
    if (member !== undefined) this.#world.tell({ kind, member: this.show(member) });
  }
}

function rank(member: SerfMember): number {
  return member.goneMs + (member.status === "failed" ? 1e15 : 0);
}
