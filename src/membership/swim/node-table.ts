/**
 * The members as SWIM sees them, and the shuffled order in which they are probed.
 *
 * Invariant: at most `membersMax` records. When the table is full, a new record replaces the member that has been dead
 * or left for longest, never a live one.
 */
import type { Prng } from "../../lib/prng.ts";
import type { Timer } from "../../lib/time/clock.ts";
import type { Endpoint } from "../codec/address.ts";
import type { NodeState } from "../codec/push-pull.ts";
import type { SuspicionBounds } from "./timing.ts";

/** The suspicion of one member. */
export interface Suspicion {
  /** Names of the members that suspect it. */
  readonly from: Set<string>;
  readonly sinceMs: number;
  readonly bounds: SuspicionBounds;
  timer: Timer;
}

export interface NodeRecord {
  readonly name: string;
  at: Endpoint;
  meta: Buffer;
  versions: Buffer;
  incarnation: number;
  state: NodeState;
  /** Core time of the last change of `state`. */
  stateChangedMs: number;
  suspicion: Suspicion | undefined;
  /**
   * The member has answered a ping or an exchange of ours, or has pinged us from its own address. Otherwise only others
   * say that it exists.
   */
  verified: boolean;
  /** Until this core time only our own probes can make it suspect, because it answered at the end of a suspicion. */
  trustedUntilMs: number;
  /** Set while a claim that the member is dead is checked. */
  deathCheck: Timer | undefined;
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

  /** Adds a record at a random place of the probe round. Returns false if the table is full of live members. */
  add(record: NodeRecord): boolean {
    if (this.#records.size >= this.#membersMax && !this.#evict()) return false;
    this.#records.set(record.name, record);
    const index = this.#prng.between(0, this.#round.length);
    this.#round.splice(index, 0, record);
    if (index < this.#next) this.#next++;
    return true;
  }

  /**
   * Returns the next member to probe that satisfies `isCandidate`. At the end of a round it deletes the records that
   * satisfy `isExpired` and shuffles the rest.
   */
  nextInRound(
    isCandidate: (record: NodeRecord) => boolean,
    isExpired: (record: NodeRecord) => boolean,
  ): NodeRecord | undefined {
    for (let seen = 0; seen <= this.#round.length; seen++) {
      if (this.#next >= this.#round.length) {
        for (const record of this.#round) if (isExpired(record)) this.#records.delete(record.name);
        this.#round = this.#prng.shuffle([...this.#records.values()]);
        this.#next = 0;
      }
      const record = this.#round[this.#next++];
      if (record !== undefined && isCandidate(record)) return record;
    }
    return undefined;
  }

  /** Returns up to `count` different random members that satisfy `isCandidate`. */
  sample(count: number, isCandidate: (record: NodeRecord) => boolean): NodeRecord[] {
    const candidates = this.#round.filter(isCandidate);
    for (let index = 0; index < Math.min(count, candidates.length); index++) {
      const other = this.#prng.between(index, candidates.length - 1);
      const swapped = candidates[index] as NodeRecord;
      candidates[index] = candidates[other] as NodeRecord;
      candidates[other] = swapped;
    }
    return candidates.slice(0, count);
  }

  #evict(): boolean {
    let oldest: NodeRecord | undefined;
    for (const record of this.#records.values()) {
      if (isLive(record)) continue;
      if (oldest === undefined || record.stateChangedMs < oldest.stateChangedMs) oldest = record;
    }
    if (oldest === undefined) return false;
    this.#records.delete(oldest.name);
    const index = this.#round.indexOf(oldest);
    this.#round.splice(index, 1);
    if (index < this.#next) this.#next--;
    return true;
  }
}

/** A live member is alive or suspect. */
export function isLive(record: NodeRecord): boolean {
  return record.state === "alive" || record.state === "suspect";
}
