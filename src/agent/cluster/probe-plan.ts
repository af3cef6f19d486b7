/**
 * Which of the addresses that gossip names a leader dials now. Pure but for the time it is told.
 *
 * Gossip can be forged, so it must not make a leader dial much:
 *
 *   members that may have moved      always first, each after a pause that doubles with every failure
 *   strangers that answered last     again at once: they are being taken in
 *   other strangers                  a few at once, then one every two seconds, all of them together; those never
 *                                    tried come before those that failed
 */

export interface Probed {
  readonly address: string;
  /** Does its name or directory belong to a member? */
  readonly isMember: boolean;
}

interface Record {
  fails: number;
  dueMs: number;
}

const atOnce = 16;
const strangersBurst = 16;
const strangerEveryMs = 2_000;
const firstPauseMs = 500;
const pauseMsMax = 30_000;
const recordsMax = 4_096;

export class ProbePlan {
  /** By address, the one that was tried longest ago first. */
  readonly #records = new Map<string, Record>();
  #allowance = strangersBurst;
  #refilledMs: number | undefined;

  /** At most a few of them, those to be dialled now. */
  choose<T extends Probed>(candidates: readonly T[], nowMs: number): T[] {
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
    const earned = (nowMs - (this.#refilledMs ?? nowMs)) / strangerEveryMs;
    this.#allowance = Math.min(strangersBurst, this.#allowance + earned);
    this.#refilledMs = nowMs;
  }
}
