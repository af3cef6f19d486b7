/**
 * The history of client operations and the checks on it: acknowledged, unknown and rejected writes, reads, and the order
 * of operations. Values are unique, so one pass over the offsets is enough.
 */
import { Fault } from "../../../src/fault.ts";
import { Violation } from "./violation.ts";

export interface Write {
  readonly value: string;
  readonly invoked: number;
  completed: number | undefined;
  outcome: "open" | "acked" | "not-written" | "unknown";
  offset: number | undefined;
}

/** The records of one stream, in send order. */
export interface StreamHistory {
  readonly writes: readonly Write[];
  /** The records carry a producer's sequences, so a gap is a violation. */
  readonly isNumbered: boolean;
}

export class History {
  readonly streams: StreamHistory[] = [];
  readonly #writes = new Map<string, Write>();
  /** Order of invocations and responses. Virtual time is too coarse for it. */
  #clock = 0;
  /** The highest end of the log that any acknowledgment or read has returned. */
  #shown = 0;
  readonly counts = { acked: 0, notWritten: 0, unknown: 0, reads: 0 };

  invoke(value: string): Write {
    const write: Write = {
      value,
      invoked: ++this.#clock,
      completed: undefined,
      outcome: "open",
      offset: undefined,
    };
    this.#writes.set(value, write);
    return write;
  }

  acked(write: Write, offset: number): void {
    if (write.outcome === "acked" && write.offset !== offset) {
      throw new Violation(
        "two-offsets",
        `${write.value} was acknowledged at ${write.offset} and at ${offset}`,
      );
    }
    write.outcome = "acked";
    write.completed = ++this.#clock;
    write.offset = offset;
    this.#shown = Math.max(this.#shown, offset + 1);
    this.counts.acked++;
  }

  failed(write: Write, written: "no" | "unknown"): void {
    write.outcome = written === "no" ? "not-written" : "unknown";
    write.completed = ++this.#clock;
    this.counts[written === "no" ? "notWritten" : "unknown"]++;
  }

  /** Number of invoked writes. */
  get invoked(): number {
    return this.#writes.size;
  }

  /** The lowest end that a linearizable read may return if it is invoked now. */
  get shown(): number {
    return this.#shown;
  }

  /** Records a linearizable read that returned `end`. `floor` is the value of `shown` at its invocation. */
  read(end: number, floor: number): void {
    this.counts.reads++;
    if (end < floor) {
      throw new Violation(
        "linearizable-read",
        `a read returned the end ${end}, but ${floor} was returned before`,
      );
    }
    this.#shown = Math.max(this.#shown, end);
  }

  /** Checks the whole history against the committed values, offset by offset from `lowest`. */
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
          `${value} is at ${offset}, but was reported as not written`,
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

  /** If a write was acknowledged before another write was invoked, it has the lower offset. */
  #checkOrder(at: ReadonlyMap<string, number>): void {
    const found = [...this.#writes.values()].filter(({ value }) => at.has(value));
    const byOffset = found.sort((a, b) => (at.get(a.value) as number) - (at.get(b.value) as number));
    // Scanned from the highest offset down: no write may have been invoked after one with a higher offset was acknowledged.
    let earliestCompleted = Number.POSITIVE_INFINITY;
    for (const { value, invoked, completed, outcome } of byOffset.reverse()) {
      if (invoked > earliestCompleted) {
        throw new Violation(
          "real-time-order",
          `${value} was invoked after a write with a higher offset was acknowledged`,
        );
      }
      if (outcome === "acked")
        earliestCompleted = Math.min(earliestCompleted, completed ?? earliestCompleted);
    }
  }
}

/**
 * Records of a stream are in send order in the log. A stream with sequences has no gap before a record that is present.
 */
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
      throw new Violation("stream-gap", `${value} is at ${offset}, but ${missing} before it is missing`);
    }
    last = { value, offset };
  }
}

/** Returns whether a client knows that its failed write was not written. */
export const writtenOf = (fault: Error): "no" | "unknown" =>
  fault instanceof Fault ? fault.written : "unknown";
