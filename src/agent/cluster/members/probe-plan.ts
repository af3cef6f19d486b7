/**
 * Chooses the addresses from gossip that a leader dials now. Pure; the time is an input.
 *
 * Gossip can be forged, so the number of dials is limited:
 *
 *   members that may have moved       first, each after a pause that doubles with every failure
 *   other nodes that answered last    again at once: they are being added
 *   all other nodes                   16 at once, then one every two seconds for all of them together; those that were
 *                                     never tried come before those that failed
 */

export interface ProbeTarget {
  readonly address: string;
  /** Does its name or directory belong to a member? */
  readonly isMember: boolean;
}

interface Record {
  fails: number;
  dueMs: number;
}

const atOnce = 16;
const unknownBurst = 16;
const unknownEveryMs = 2_000;
const firstPauseMs = 500;
const pauseMsMax = 30_000;
const recordsMax = 4_096;

export class ProbePlan {
  /** By address; the least recently tried first. */
  readonly #records = new Map<string, Record>();
  #allowance = unknownBurst;
  #refilledMs: number | undefined;

  /** Returns at most 16 candidates to dial now. */
  choose<T extends ProbeTarget>(candidates: readonly T[], nowMs: number): T[] {
    this.#refill(nowMs);
    const chosen: T[] = [];
    const seen = new Set<string>();
    const [members, known, fresh, failed]: [T[], T[], T[], T[]] = [[], [], [], []];
    for (const one of candidates) {
      if (seen.has(one.address)) continue;
      seen.add(one.address);
      const record = this.#records.get(one.address);
      if (record !== undefined && record.dueMs > nowMs) continue;
      if (one.isMember) members.push(one);
      else if (record?.fails === 0) known.push(one);
      else (record === undefined ? fresh : failed).push(one);
    }
    for (const one of [...members, ...known]) if (chosen.length < atOnce) chosen.push(one);
    for (const one of [...fresh, ...failed]) {
      if (chosen.length >= atOnce || this.#allowance < 1) break;
      this.#allowance--;
      chosen.push(one);
    }
    return chosen;
  }

  answered(address: string, nowMs: number): void {
    this.#put(address, { fails: 0, dueMs: nowMs });
  }

  failed(address: string, nowMs: number): void {
    const fails = (this.#records.get(address)?.fails ?? 0) + 1;
    const pauseMs = Math.min(pauseMsMax, firstPauseMs * 2 ** Math.min(fails - 1, 20));
    this.#put(address, { fails, dueMs: nowMs + pauseMs });
  }

  #put(address: string, record: Record): void {
    this.#records.delete(address);
    this.#records.set(address, record);
    if (this.#records.size <= recordsMax) return;
    const [oldest] = this.#records.keys();
    if (oldest !== undefined) this.#records.delete(oldest);
  }

  #refill(nowMs: number): void {
    const earned = (nowMs - (this.#refilledMs ?? nowMs)) / unknownEveryMs;
    this.#allowance = Math.min(unknownBurst, this.#allowance + earned);
    this.#refilledMs = nowMs;
  }
}
