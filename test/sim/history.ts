/**
 * What clients did and were told, and what must be true of it. Values are unique, so one pass over offsets does.
 *
 * Never: sees more of a node than a client does.
 */
import { Violation } from "./watch.ts";

export interface Write {
  readonly value: string;
  readonly invoked: number;
  answered: number | undefined;
  outcome: "open" | "acked" | "not-written" | "unknown";
  offset: number | undefined;
}

/** The records of one stream, in the order in which they were sent. */
export interface StreamHistory {
  readonly writes: readonly Write[];
  /** With a producer's sequences: none may be left out. */
  readonly isNumbered: boolean;
}

export class History {
  readonly streams: StreamHistory[] = [];
  readonly #writes = new Map<string, Write>();
  /** Order of calls and answers: virtual time is too coarse. */
  #clock = 0;
  /** The highest end that any acknowledgement or read has shown, and when. */
  #shown = 0;
  readonly counts = { acked: 0, notWritten: 0, unknown: 0, reads: 0 };

  invoke(value: string): Write {
    const write: Write = {
      value,
      invoked: ++this.#clock,
      answered: undefined,
      outcome: "open",
      offset: undefined,
    };
    this.#writes.set(value, write);
    return write;
  }

  acked(write: Write, offset: number): void {
    if (write.outcome === "acked" && write.offset !== offset) {
      throw new Violation(
        "two-answers",
        `${write.value} was acknowledged at ${write.offset} and at ${offset}`,
      );
    }
    write.outcome = "acked";
    write.answered = ++this.#clock;
    write.offset = offset;
    this.#shown = Math.max(this.#shown, offset + 1);
    this.counts.acked++;
  }

  failed(write: Write, written: "no" | "unknown"): void {
    write.outcome = written === "no" ? "not-written" : "unknown";
    write.answered = ++this.#clock;
    this.counts[written === "no" ? "notWritten" : "unknown"]++;
  }

  /** How many writes there were. */
  get invoked(): number {
    return this.#writes.size;
  }

  /** The end that a linearizable read asked now must at least show. */
  get shown(): number {
    return this.#shown;
  }

  /** A linearizable read that had to show `floor` showed this end. */
  read(end: number, floor: number): void {
    this.counts.reads++;
    if (end < floor) {
      throw new Violation(
        "linearizable-read",
        `a read showed the end ${end}, but ${floor} had been shown before`,
      );
    }
    this.#shown = Math.max(this.#shown, end);
  }

  /** Checks everything against the committed values, offset by offset, from `lowest` on. */
  check(values: readonly string[], lowest: number): void {
    const at = new Map<string, number>();
    for (const [place, value] of values.entries()) {
      const offset = lowest + place;
      const before = at.get(value);
      if (before !== undefined) throw new Violation("duplicate", `${value} is at ${before} and at ${offset}`);
      at.set(value, offset);
      const write = this.#writes.get(value);
      if (write === undefined) throw new Violation("invented", `${value} at ${offset} was never written`);
      if (write.outcome === "not-written") {
        throw new Violation(
          "not-written-appears",
          `${value} is at ${offset}, but was said not to be written`,
        );
      }
    }
    for (const { value, outcome, offset } of this.#writes.values()) {
      if (outcome !== "acked" || offset === undefined || offset < lowest) continue;
      if (at.get(value) !== offset) {
        throw new Violation(
          "acked-lost",
          `${value} was acknowledged at ${offset}, and is at ${at.get(value)}`,
        );
      }
    }
    this.#checkOrder(at);
    for (const stream of this.streams) checkStream(stream, at, lowest);
  }

  /** Who was acknowledged before another was invoked has the lower offset. */
  #checkOrder(at: ReadonlyMap<string, number>): void {
    const found = [...this.#writes.values()].filter(({ value }) => at.has(value));
    const byOffset = found.sort((a, b) => (at.get(a.value) as number) - (at.get(b.value) as number));
    // Going down from the end, nobody may have been answered before someone with a lower offset was invoked.
    let earliestAnswer = Number.POSITIVE_INFINITY;
    for (const { value, invoked, answered, outcome } of byOffset.reverse()) {
      if (invoked > earliestAnswer) {
        throw new Violation(
          "real-time-order",
          `${value} was written after one that has a higher offset was answered`,
        );
      }
      if (outcome === "acked") earliestAnswer = Math.min(earliestAnswer, answered ?? earliestAnswer);
    }
  }
}

/** The order of a stream is its order in the log, and of a numbered one nothing is left out before what is there. */
function checkStream(
  { writes, isNumbered }: StreamHistory,
  at: ReadonlyMap<string, number>,
  lowest: number,
): void {
  let last: { readonly value: string; readonly offset: number } | undefined;
  let missing: string | undefined;
  for (const { value, offset: acked } of writes) {
    const offset = at.get(value);
    const isTrimmed = acked !== undefined && acked < lowest;
    if (offset === undefined) {
      if (!isTrimmed && lowest === 0) missing ??= value;
      continue;
    }
    if (last !== undefined && offset < last.offset) {
      throw new Violation(
        "stream-order",
        `${value} is at ${offset}, ${last.value} before it at ${last.offset}`,
      );
    }
    if (isNumbered && missing !== undefined) {
      throw new Violation("stream-gap", `${value} is at ${offset}, but ${missing} before it is not there`);
    }
    last = { value, offset };
  }
}
