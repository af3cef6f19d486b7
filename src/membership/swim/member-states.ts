/**
 * What is said about members, and what of it is believed: alive, suspect, dead, left. The states of SWIM with the
 * suspicion of Lifeguard, on memberlist's rules:
 *
 *   an alive claim counts with a higher incarnation; an accusation with the same or a higher one;
 *   only a member itself raises its incarnation, to refute what is said about it.
 *
 * Two rules are our own, so that a forged or mistaken word does not evict a live member: before a death is believed,
 * however it came about, the accused is pinged and told of it, who answers us is not dead, and who does not has the time
 * of a suspicion; and incarnations that no honest member reaches are ignored.
 *
 * Never: sends a probe of its own accord; knows Serf.
 */
import { type Endpoint, isUnicast, sameEndpoint } from "../codec/address.ts";
import {
  type Alive,
  encodeAlive,
  encodeSuspectOrDead,
  protocolVersions,
  type SuspectOrDead,
} from "../codec/messages.ts";
import type { NodeState, PushPullNode } from "../codec/push-pull.ts";
import type { Awareness } from "./awareness.ts";
import type { Broadcaster } from "./broadcaster.ts";
import { incarnationMax, isForged, plausibleAccusation, plausibleClaim } from "./incarnation.ts";
import { isLive, type NodeRecord } from "./node-table.ts";
import type { SwimContext } from "./swim-context.ts";
import { suspicionBounds, suspicionTimeoutMs } from "./timing.ts";

/** What the layer above learns, and what it is asked. */
export interface RumourListener {
  /** A member that was not there, or was dead or left, takes part. */
  arrived(record: NodeRecord): void;
  /** Its address or meta changed. */
  changed(record: NodeRecord): void;
  /** It is dead or left. */
  gone(record: NodeRecord): void;
  conflict(name: string, known: Endpoint, claimed: Endpoint): void;
  /** True when nobody of this name and meta may be a member. */
  refuses(name: string, at: Endpoint, meta: Buffer): boolean;
  /** Has this member said that it is about to leave? */
  isLeaving(name: string): boolean;
}

/** Who says so: anybody; whom we asked for all that it knows; or the member itself, where we asked at its address. */
type Source = "gossip" | "asked" | "own";

/** Who said that it leaves is asked so often whether it still answers: an agent does for some seconds. */
const farewellChecks = 6;

export class MemberStates {
  readonly #world: SwimContext;
  readonly #gossiper: Broadcaster;
  readonly #awareness: Awareness;
  readonly #listener: RumourListener;
  /**
   * Pings a member and reports whether it answered; with `patient` not before the time for an answer is over. Set once
   * by the core.
   */
  check: (
    record: NodeRecord,
    accusation: Buffer,
    done: (answered: boolean) => void,
    patient: boolean,
  ) => void = () => {};
  #incarnation = 0;
  #leaving = false;

  constructor(world: SwimContext, gossiper: Broadcaster, awareness: Awareness, listener: RumourListener) {
    this.#world = world;
    this.#gossiper = gossiper;
    this.#awareness = awareness;
    this.#listener = listener;
  }

  get left(): boolean {
    return this.#leaving;
  }

  /** Says that we are here, with this meta: at the start, and whenever it changes. */
  announce(meta: Buffer, onDone?: () => void): void {
    const { self, table } = this.#world;
    const record = table.get(self.name) ?? this.#insert(self.name, self, meta, protocolVersions);
    if (record === undefined || this.#leaving) return;
    const first = this.#incarnation === 0;
    record.incarnation = ++this.#incarnation;
    record.meta = meta;
    this.#become(record, "alive");
    if (first) this.#listener.arrived(record);
    else this.#listener.changed(record);
    this.#spreadAlive(record, onDone);
  }

  /** Says that we leave; `onDone` once that was told often enough. */
  leave(onDone: () => void): void {
    this.#leaving = true;
    const { name } = this.#world.self;
    const record = this.#world.table.get(name);
    if (record === undefined || !isLive(record)) {
      onDone();
      return;
    }
    this.#become(record, "left");
    const accusation: SuspectOrDead = {
      kind: "dead",
      incarnation: record.incarnation,
      node: name,
      from: name,
    };
    this.#gossiper.broadcast("membership", encodeSuspectOrDead(accusation), name, onDone);
  }

  alive(claim: Omit<Alive, "kind">, source: Source = "gossip"): void {
    const { counters, self, table } = this.#world;
    if (claim.node === self.name && this.#leaving) return;
    if (!compatible(claim.versions)) {
      counters.incompatible++;
      return;
    }
    const known = table.get(claim.node);
    // Of ourselves we may have forgotten all: whom we asked must not be outbid by a former life of ours.
    const trusted = source === "own" || (source === "asked" && claim.node === self.name);
    const { host } = claim.at;
    if (!isUnicast(host) || !plausibleClaim(claim.incarnation, trusted ? undefined : known?.incarnation)) {
      counters.implausible++;
      return;
    }
    const unseen = known === undefined || !claim.meta.equals(known.meta);
    if (unseen && claim.node !== self.name && this.#listener.refuses(claim.node, claim.at, claim.meta)) {
      counters.refused++;
      return;
    }
    const record = known ?? this.#insert(claim.node, claim.at, claim.meta, claim.versions);
    if (record === undefined) {
      counters.overflow++;
      return;
    }
    const moved = record.at.host !== claim.at.host || record.at.port !== claim.at.port;
    if (moved && !this.#mayReclaim(record)) {
      counters.conflicts++;
      this.#listener.conflict(record.name, record.at, claim.at);
      return;
    }
    if (record.name === self.name) {
      const same = claim.incarnation === record.incarnation && claim.meta.equals(record.meta);
      if (claim.incarnation >= record.incarnation && !same) this.#refute(record, claim.incarnation);
      return;
    }
    // Where it could not be outbid for long, a forged incarnation falls to its owner's own word.
    const undone = source === "own" && isForged(record.incarnation) && differs(record, claim);
    if (known !== undefined && !moved && claim.incarnation <= record.incarnation && !undone) return;
    this.#believeAlive(record, claim);
  }

  /** Somebody got no answer from a member; `ours`: we did ourselves, just now. */
  suspect(accusation: SuspectOrDead, ours = false): void {
    const record = this.#accused(accusation);
    if (record === undefined || !isLive(record)) return;
    const { schedule, self } = this.#world;
    if (record.name === self.name) this.#refute(record, accusation.incarnation);
    else if (record.suspicion !== undefined) this.#confirm(record, accusation);
    else if (ours || schedule.nowMs >= record.trustedUntilMs) this.#doubt(record, accusation);
  }

  #doubt(record: NodeRecord, accusation: SuspectOrDead): void {
    this.#world.counters.suspicions++;
    const { schedule, table, timing } = this.#world;
    record.incarnation = accusation.incarnation;
    this.#become(record, "suspect");
    const bounds = suspicionBounds(timing, table.size);
    record.suspicion = {
      from: new Set([accusation.from]),
      sinceMs: schedule.nowMs,
      bounds,
      alarm: schedule.after(this.#untilExpiry(suspicionTimeoutMs(bounds, 0)), () => this.#expire(record)),
    };
    this.#gossiper.broadcast(
      "membership",
      encodeSuspectOrDead({ ...accusation, kind: "suspect" }),
      record.name,
    );
  }

  /** Somebody says that a member is dead, or the member itself that it leaves. */
  dead(accusation: SuspectOrDead): void {
    const record = this.#accused(accusation);
    if (record === undefined || !isLive(record)) return;
    if (record.name === this.#world.self.name) {
      if (!this.#leaving) this.#refute(record, accusation.incarnation);
      return;
    }
    if (record.deathCheck !== undefined) return;
    if (accusation.from === record.name && this.#listener.isLeaving(record.name)) {
      // Said by the member itself, after it announced it: the others hear of it at once.
      this.#gossiper.broadcast("membership", encodeSuspectOrDead(accusation), record.name);
      this.#farewell(record, accusation, farewellChecks);
      return;
    }
    this.#examine(record, accusation, false, (answered) => {
      if (!answered && this.#isRipe(record)) this.#bury(record, accusation);
      // Who is silent for us as well has the time of a suspicion to refute it, like everybody: it may only be busy.
      else this.suspect({ ...accusation, kind: "suspect" }, !answered);
    });
  }

  /** Those who honestly found it dead had told of their suspicion long before. */
  #isRipe({ suspicion }: NodeRecord): boolean {
    if (suspicion === undefined) return false;
    return this.#world.schedule.nowMs - suspicion.sinceMs >= suspicion.bounds.minMs / 2;
  }

  /** Who leaves soon answers no more; who goes on answering was slandered, and takes it back as soon as it hears. */
  #farewell(record: NodeRecord, accusation: SuspectOrDead, checks: number): void {
    this.#examine(record, accusation, true, (answered) => {
      if (!answered) this.#bury(record, accusation);
      else if (checks > 1) {
        const { schedule, timing } = this.#world;
        const next = schedule.after(timing.probeIntervalMs, () => {
          record.deathCheck = undefined;
          this.#farewell(record, accusation, checks - 1);
        });
        record.deathCheck = {
          cancel: () => {
            next.cancel();
            record.deathCheck = undefined;
          },
        };
      }
    });
  }

  /** Asks the accused itself. `then` is not called when meanwhile it refuted or changed its state. */
  #examine(
    record: NodeRecord,
    accusation: SuspectOrDead,
    patient: boolean,
    then: (answered: boolean) => void,
  ): void {
    const incarnation = Math.max(record.incarnation, accusation.incarnation);
    const burial = {
      cancel: (): void => {
        record.deathCheck = undefined;
      },
    };
    record.deathCheck = burial;
    const done = (answered: boolean): void => {
      if (record.deathCheck !== burial || this.#world.table.get(record.name) !== record) return;
      record.deathCheck = undefined;
      if (isLive(record) && record.incarnation <= incarnation) then(answered);
    };
    this.check(record, encodeSuspectOrDead(accusation), done, patient);
  }

  /** Takes in another's whole view; `asked` is where we asked for it. */
  merge(nodes: readonly PushPullNode[], asked?: Endpoint): void {
    for (const node of nodes) {
      const from = node.state === "left" ? node.name : this.#world.self.name;
      const accusation = { incarnation: node.incarnation, node: node.name, from };
      const source =
        asked === undefined ? "gossip" : sameEndpoint(node.at, asked) ? ("own" as const) : ("asked" as const);
      if (node.state === "alive") this.alive({ ...node, node: node.name }, source);
      else if (node.state === "left") this.dead({ kind: "dead", ...accusation });
      // A death heard of so is only a suspicion: who told may have been cut off for long.
      else this.suspect({ kind: "suspect", ...accusation });
      if (source === "own") this.#answered(node);
    }
  }

  /** Who answered an exchange of ours at the address where it says it is. */
  #answered({ name, at }: PushPullNode): void {
    const record = this.#world.table.get(name);
    if (record !== undefined && sameEndpoint(record.at, at)) record.verified = true;
  }

  /** Our view for others. */
  view(): PushPullNode[] {
    return [...this.#world.table.all()].map((record) => ({
      name: record.name,
      at: record.at,
      meta: record.meta,
      incarnation: record.incarnation,
      state: record.state,
      versions: record.versions,
    }));
  }

  #accused(accusation: SuspectOrDead): NodeRecord | undefined {
    const record = this.#world.table.get(accusation.node);
    if (record === undefined || accusation.incarnation < record.incarnation) return undefined;
    if (!plausibleAccusation(accusation.incarnation, record.incarnation)) {
      this.#world.counters.implausible++;
      return undefined;
    }
    return record;
  }

  #insert(name: string, at: Endpoint, meta: Buffer, versions: Buffer): NodeRecord | undefined {
    const record: NodeRecord = {
      name,
      at: { host: at.host, port: at.port },
      meta: Buffer.from(meta),
      versions: Buffer.from(versions),
      incarnation: 0,
      state: "dead",
      stateChangedMs: this.#world.schedule.nowMs,
      suspicion: undefined,
      verified: name === this.#world.self.name,
      trustedUntilMs: 0,
      deathCheck: undefined,
    };
    return this.#world.table.add(record) ? record : undefined;
  }

  #mayReclaim(record: NodeRecord): boolean {
    if (record.state === "left") return true;
    const deadMs = this.#world.schedule.nowMs - record.stateChangedMs;
    return record.state === "dead" && deadMs > this.#world.timing.deadNodeReclaimMs;
  }

  #believeAlive(record: NodeRecord, claim: Omit<Alive, "kind">): void {
    const back = !isLive(record);
    const meta = Buffer.from(claim.meta);
    const changed = !meta.equals(record.meta);
    record.at = { host: claim.at.host, port: claim.at.port };
    record.meta = meta;
    record.versions = Buffer.from(claim.versions);
    record.incarnation = claim.incarnation;
    this.#become(record, "alive");
    this.#spreadAlive(record);
    if (back) this.#listener.arrived(record);
    else if (changed) this.#listener.changed(record);
  }

  #spreadAlive(record: NodeRecord, onDone?: () => void): void {
    this.#gossiper.broadcast(
      "membership",
      encodeAlive({ ...record, node: record.name }),
      record.name,
      onDone,
    );
  }

  #refute(record: NodeRecord, accused: number): void {
    this.#world.counters.refutations++;
    this.#awareness.apply(1);
    this.#incarnation = Math.min(incarnationMax, Math.max(this.#incarnation, accused) + 1);
    record.incarnation = this.#incarnation;
    this.#spreadAlive(record);
  }

  /** One more independent voice shortens the suspicion. */
  #confirm(record: NodeRecord, accusation: SuspectOrDead): void {
    const { schedule, table } = this.#world;
    const suspicion = record.suspicion;
    if (suspicion === undefined || suspicion.from.has(accusation.from)) return;
    if (suspicion.from.size > suspicion.bounds.confirmations || table.get(accusation.from) === undefined)
      return;
    suspicion.from.add(accusation.from);
    suspicion.alarm.cancel();
    const lifeMs = suspicionTimeoutMs(suspicion.bounds, suspicion.from.size - 1);
    const left = suspicion.sinceMs + lifeMs - schedule.nowMs;
    suspicion.alarm = schedule.after(this.#untilExpiry(left), () => this.#expire(record));
    this.#gossiper.broadcast("membership", encodeSuspectOrDead(accusation), record.name);
  }

  /** The suspicion's time is nearly over: whoever answers us now is alive, whatever is said about it. */
  #expire(record: NodeRecord): void {
    if (record.state !== "suspect" || this.#world.table.get(record.name) !== record) return;
    const { name: from } = this.#world.self;
    const accusation = { kind: "dead", incarnation: record.incarnation, node: record.name, from } as const;
    record.deathCheck?.cancel();
    this.#examine(record, { ...accusation, kind: "suspect" }, false, (answered) => {
      if (!answered) {
        this.#bury(record, accusation);
        return;
      }
      // Without a pause in which we do not listen, members would pass one unrefuted word on to each other for ever.
      record.trustedUntilMs = this.#world.schedule.nowMs + this.#world.timing.gossipToTheDeadMs;
      this.#become(record, "alive");
    });
  }

  /** Room at the end of a suspicion for one last ping. */
  #untilExpiry(lifeMs: number): number {
    return Math.max(0, lifeMs - this.#world.timing.probeTimeoutMs);
  }

  #bury(record: NodeRecord, accusation: SuspectOrDead): void {
    record.incarnation = accusation.incarnation;
    this.#become(record, accusation.from === record.name ? "left" : "dead");
    this.#gossiper.broadcast("membership", encodeSuspectOrDead(accusation), record.name);
    this.#listener.gone(record);
  }

  #become(record: NodeRecord, state: NodeState): void {
    record.suspicion?.alarm.cancel();
    record.suspicion = undefined;
    record.deathCheck?.cancel();
    if (record.state !== state) record.stateChangedMs = this.#world.schedule.nowMs;
    record.state = state;
  }
}

function differs(record: NodeRecord, claim: Omit<Alive, "kind">): boolean {
  const same = record.incarnation === claim.incarnation && record.meta.equals(claim.meta);
  return record.state !== "alive" || !same;
}

/**
 * Do we speak their versions, and they ours? A cluster has one version of the protocol. Whoever lets in a member of
 * another, or of none, is refused by every agent with whom it exchanges its view.
 */
function compatible(versions: Buffer): boolean {
  if (versions.length !== protocolVersions.length) return false;
  const [pmin = 0, pmax = 0, pcur = 0, dmin = 0, dmax = 0, dcur = 0] = versions;
  const [, , ourPcur = 0, ourDmin = 0, ourDmax = 0, ourDcur = 0] = protocolVersions;
  const protocol = pmin <= pcur && pcur <= pmax && pcur === ourPcur;
  const delegate = dmin <= dcur && dcur <= dmax && ourDmin <= dcur && dcur <= ourDmax;
  return protocol && delegate && dmin <= ourDcur && ourDcur <= dmax;
}
