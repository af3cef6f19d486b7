/**
 * Which sequence is at which offset, for one log, in little memory: records with consecutive offsets and sequences are one run.
 */
export interface Run {
  readonly offset: number;
  readonly sequence: number;
  readonly count: number;
}

export class RunList {
  /** In the order of their offsets. */
  readonly #runs: { offset: number; sequence: number; count: number }[] = [];

  get runs(): readonly Run[] {
    return this.#runs;
  }

  /** The offset after the last record; 0 if there is none. */
  get next(): number {
    const last = this.#runs.at(-1);
    return last === undefined ? 0 : last.offset + last.count;
  }

  /** Adds a record, mostly behind all others. Returns false if its offset is in the list already. */
  add(offset: number, sequence: number): boolean {
    let at = this.#runs.length;
    while (at > 0 && this.#runs[at - 1]!.offset > offset) at--;
    const before = this.#runs[at - 1];
    if (before !== undefined && offset < before.offset + before.count) return false;
    const follows = before !== undefined && joins(before, { offset, sequence, count: 1 });
    if (follows) before.count++;
    else this.#runs.splice(at, 0, { offset, sequence, count: 1 });
    const here = follows ? before : this.#runs[at]!;
    const next = this.#runs[follows ? at : at + 1];
    if (next !== undefined && joins(here, next)) {
      here.count += next.count;
      this.#runs.splice(this.#runs.indexOf(next), 1);
    }
    return true;
  }

  /** Which records of this list, from offset `from` on, are not in the other one: at most ten runs. */
  missingIn(other: RunList, from = 0): Run[] {
    const missing: Run[] = [];
    for (const run of this.#runs) {
      const skipped = Math.min(run.count, Math.max(0, from - run.offset));
      let { offset, sequence } = { offset: run.offset + skipped, sequence: run.sequence + skipped };
      let count = run.count - skipped;
      while (count > 0 && missing.length < 10) {
        const found = other.#runs.find((one) => offset >= one.offset && offset < one.offset + one.count);
        const isSame = found !== undefined && found.sequence - found.offset === sequence - offset;
        const end = found === undefined ? other.#nextRun(offset) : found.offset + found.count;
        const covered = Math.min(count, end - offset);
        if (!isSame) missing.push({ offset, sequence, count: covered });
        offset += covered;
        sequence += covered;
        count -= covered;
      }
    }
    return missing;
  }

  #nextRun(offset: number): number {
    return this.#runs.find((one) => one.offset > offset)?.offset ?? Number.POSITIVE_INFINITY;
  }
}

const joins = (one: Run, next: Run): boolean =>
  one.offset + one.count === next.offset && one.sequence + one.count === next.sequence;
