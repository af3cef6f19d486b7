/**
 * The members as SWIM sees them, and the shuffled round in which they are probed.
 *
 * Invariant: at most `membersMax` records; one more takes the place of the member that left or died first, never of a
 * live one.
 *
 * Never: decides about a state.
 */
import type { Prng } from "../../lib/prng.ts";
import type { Endpoint } from "../codec/address.ts";
import type { NodeState } from "../codec/push-pull.ts";
import type { Alarm } from "./schedule.ts";

/** A doubt about one member: who shares it, and until when. */
export interface Suspicion {
  readonly from: Set<string>;
  readonly sinceMs: number;
  readonly bounds: { readonly minMs: number; readonly maxMs: number; readonly confirmations: number };
  alarm: Alarm;
}

export interface NodeRecord {
  readonly name: string;
  at: Endpoint;
  meta: Buffer;
  versions: Buffer;
  incarnation: number;
  state: NodeState;
  /** Core time of the last change of state. */
  stateChangedMs: number;
  suspicion: Suspicion | undefined;
  /** It answered a ping or an exchange of ours, or pinged us from its own address: no mere name. */
  verified: boolean;
  /** Until then (core time) only our own doubts count: it answered us when its time as a suspect was over. */
  trustedUntilMs: number;
  /** Set while another's claim that it is dead is being checked. */
  deathCheck: Alarm | undefined;
}

export class NodeTable {
  readonly #records = new Map<string, NodeRecord>();
  #round: NodeRecord[] = [];
  #next = 0;
  readonly #prng: Prng;
  readonly #membersMax: number;

  constructor(prng: Prng, membersMax: number) {
    this.#prng = prng;
    this.#membersMax = membersMax;
  }

  get(name: string): NodeRecord | undefined {
    return this.#records.get(name);
  }

  all(): IterableIterator<NodeRecord> {
    return this.#records.values();
  }

  get size(): number {
    return this.#records.size;
  }

  /** Members that take part: alive or suspect, ourselves included. */
  get liveCount(): number {
    let count = 0;
    for (const record of this.#records.values()) if (isLive(record)) count++;
    return count;
  }

  /** Adds a record at a random place of the round; false when the table is full of the living. */
  add(record: NodeRecord): boolean {
    if (this.#records.size >= this.#membersMax && !this.#makeRoom()) return false;
    this.#records.set(record.name, record);
    const place = this.#prng.between(0, this.#round.length);
    this.#round.splice(place, 0, record);
    if (place < this.#next) this.#next++;
    return true;
  }

  /** The next member to probe for which `fit` holds; a new round is shuffled after the dead were taken out. */
  nextInRound(
    fit: (record: NodeRecord) => boolean,
    forget: (record: NodeRecord) => boolean,
  ): NodeRecord | undefined {
    for (let seen = 0; seen <= this.#round.length; seen++) {
      if (this.#next >= this.#round.length) {
        for (const record of this.#round) if (forget(record)) this.#records.delete(record.name);
        this.#round = this.#prng.shuffle([...this.#records.values()]);
        this.#next = 0;
      }
      const record = this.#round[this.#next++];
      if (record !== undefined && fit(record)) return record;
    }
    return undefined;
  }

  /** Up to `count` different members for which `fit` holds, chosen by chance. */
  sample(count: number, fit: (record: NodeRecord) => boolean): NodeRecord[] {
    const fitting = this.#round.filter(fit);
    for (let place = 0; place < Math.min(count, fitting.length); place++) {
      const other = this.#prng.between(place, fitting.length - 1);
      const kept = fitting[place] as NodeRecord;
      fitting[place] = fitting[other] as NodeRecord;
      fitting[other] = kept;
    }
    return fitting.slice(0, count);
  }

  #makeRoom(): boolean {
    let oldest: NodeRecord | undefined;
    for (const record of this.#records.values()) {
      if (!isLive(record) && (oldest === undefined || record.stateChangedMs < oldest.stateChangedMs))
        oldest = record;
    }
    if (oldest === undefined) return false;
    this.#records.delete(oldest.name);
    const place = this.#round.indexOf(oldest);
    this.#round.splice(place, 1);
    if (place < this.#next) this.#next--;
    return true;
  }
}

export function isLive(record: NodeRecord): boolean {
  return record.state === "alive" || record.state === "suspect";
}
