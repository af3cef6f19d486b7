/**
 * Checks a history of clients against the final log. Pure. Values are unique and the log has their order, so one pass per
 * rule decides without a search. An operation without a result may have happened or not.
 */
import type { Append, End, Operation, Read } from "./history.ts";

/** A record of the final log. */
export interface StoredRecord {
  readonly offset: number;
  readonly value: string;
}

export interface Violation {
  readonly rule: string;
  readonly text: string;
}

/** The input of the rules. */
interface Facts {
  readonly operations: readonly Operation[];
  readonly appends: readonly Append[];
  readonly final: readonly StoredRecord[];
  /** Value → all its offsets in the final log, ascending. */
  readonly offsets: ReadonlyMap<string, readonly number[]>;
  readonly lowest: number;
  /** Records below are those of another log. */
  readonly inherited: number;
  /** The value at an offset in the final log. */
  at(offset: number): string | undefined;
  /** The highest end of the log that any client knew before that time. */
  floor(time: number): number;
}

type Rule = (facts: Facts) => Generator<string>;

/** Rule → its violations. The names are those of the tests. */
const rules: Readonly<Record<string, Rule>> = {
  /** Offsets are dense. */
  *dense({ final }) {
    for (const [place, { offset }] of final.entries()) {
      const expected = final[0]!.offset + place;
      if (offset !== expected) yield `the log continues at ${offset}, expected ${expected}`;
    }
  },

  /** Acknowledged records are at their offsets, unchanged. */
  *acked({ appends, at, lowest }) {
    for (const { client, values, offset } of appends) {
      if (offset === undefined) continue;
      for (const [place, value] of values.entries()) {
        const where = offset + place;
        if (where >= lowest && at(where) !== value)
          yield `${client}: ${value} was acknowledged at ${where}, where ${at(where) ?? "nothing"} is`;
      }
    }
  },

  /** The log has no record that no client appended. */
  *invented({ final, appends, inherited }) {
    const known = new Set(appends.flatMap(({ values }) => values));
    for (const { offset, value } of final)
      if (offset >= inherited && !known.has(value)) yield `${value} at ${offset} was never appended`;
  },

  /** No record is there twice. */
  *once({ offsets }) {
    for (const [value, found] of offsets) if (found.length > 1) yield `${value} is at ${found.join(" and ")}`;
  },

  /** Records reported as not written are not in the log. */
  *notWritten({ appends, offsets }) {
    for (const { client, values, failure } of appends) {
      if (failure?.written !== "no") continue;
      for (const value of values) {
        const found = offsets.get(value);
        if (found !== undefined)
          yield `${client}: ${value} is at ${found[0]}, but ${failure.kind} said not written`;
      }
    }
  },

  /** Records of one append are together in the log, or absent. */
  *atomic({ appends, offsets }) {
    for (const { client, values } of appends) {
      if (values.length < 2) continue;
      const found = values.map((value) => offsets.get(value)?.[0]);
      const [first] = found;
      const whole = first === undefined ? undefined : found.map((_, place) => first + place);
      if (found.some((offset, place) => offset !== whole?.[place]))
        yield `${client}: ${values.join(" ")} were appended together and are at ${found.join(" ")}`;
    }
  },

  /** An append that starts after a client knew of a record is behind that record. */
  *realTime({ appends, offsets, floor }) {
    for (const { client, values, start } of appends) {
      for (const value of values) {
        const offset = offsets.get(value)?.[0];
        if (offset !== undefined && offset < floor(start))
          yield `${client}: ${value} is at ${offset}, but the end was known to be ${floor(start)} when it started`;
      }
    }
  },

  /** Records that a client was shown are committed: they stay in the log. */
  *committed({ operations, at, lowest }) {
    for (const operation of operations) {
      for (const [place, value] of seenBy(operation).entries()) {
        const offset = (operation as Read).offset + place;
        if (offset >= lowest && at(offset) !== value)
          yield `${operation.client} was shown ${value} at ${offset}, where ${at(offset) ?? "nothing"} is`;
      }
    }
  },

  /** A tail starts at its offset and continues without gap, duplicate or step back. */
  *tails({ operations }) {
    const positions = new Map<string, number>();
    for (const operation of operations) {
      if (operation.op === "tail") positions.set(operation.client, operation.from);
      if (operation.op !== "shown") continue;
      const { client, offset, values } = operation;
      const expected = positions.get(client);
      if (expected !== offset) yield `${client} was shown ${offset}, expected ${expected}`;
      positions.set(client, offset + values.length);
    }
  },

  /** The records of one producer are in the order of its calls. */
  *producerOrder({ appends, offsets }) {
    const last = new Map<string, { readonly value: string; readonly offset: number }>();
    for (const { producer, values } of appends.toSorted((a, b) => a.start - b.start)) {
      if (producer === undefined) continue;
      for (const value of values) {
        const offset = offsets.get(value)?.[0];
        if (offset === undefined) continue;
        const before = last.get(producer);
        if (before !== undefined && before.offset > offset)
          yield `${producer}: ${value} at ${offset} was sent after ${before.value} at ${before.offset}`;
        last.set(producer, { value, offset });
      }
    }
  },

  /** A conditional append is at its expected offset or absent. */
  *conditional({ appends, offsets }) {
    for (const { client, values, expectedOffset } of appends) {
      if (expectedOffset === undefined) continue;
      const found = offsets.get(values[0]!)?.[0];
      if (found !== undefined && found !== expectedOffset)
        yield `${client}: ${values[0]} was expected at ${expectedOffset} and is at ${found}`;
    }
  },

  /** A linearizable read sees all records that any client knew before it started. */
  *linearizable({ operations, floor }) {
    for (const read of readsOf(operations, "linearizable")) yield* violationsOf(read, floor(read.start));
  },

  /** A session read sees all records that its client has seen. */
  *session({ operations }) {
    for (const read of readsOf(operations, "session"))
      if (read.seen !== undefined) yield* violationsOf(read, read.seen + 1);
  },

  /** A bounded read sees all records that any client knew that long ago. */
  *bounded({ operations, floor }) {
    for (const read of readsOf(operations, "bounded"))
      if (read.op === "end" && read.stalenessMs !== undefined)
        yield* violationsOf(read, floor(read.start - read.stalenessMs));
  },
};

export const ruleNames = Object.keys(rules);

/** The largest number of reported violations per rule. */
const violationsMax = 5;

/**
 * Returns all violations. Nothing is known of records below `lowest`; default: the first one of `final`. Those below `inherited`
 * are of another log, of which this one is a fork.
 */
export function check(
  operations: readonly Operation[],
  final: readonly StoredRecord[],
  lowest: number = final[0]?.offset ?? 0,
  inherited = 0,
): readonly Violation[] {
  const facts = factsOf(operations, final, lowest, inherited);
  const found: Violation[] = [];
  for (const [rule, violations] of Object.entries(rules)) {
    let count = 0;
    for (const text of violations(facts)) {
      if (++count <= violationsMax) found.push({ rule, text });
    }
    if (count > violationsMax) found.push({ rule, text: `… ${count - violationsMax} more` });
  }
  return found;
}

function factsOf(
  operations: readonly Operation[],
  final: readonly StoredRecord[],
  lowest: number,
  inherited: number,
): Facts {
  const offsets = new Map<string, number[]>();
  const values = new Map<number, string>();
  for (const { offset, value } of final) {
    const known = offsets.get(value);
    if (known === undefined) offsets.set(value, [offset]);
    else known.push(offset);
    values.set(offset, value);
  }
  return {
    operations,
    appends: operations.filter((operation) => operation.op === "append"),
    final,
    offsets,
    lowest,
    inherited,
    at: (offset) => values.get(offset),
    floor: floorOf(operations),
  };
}

/** Sorts all known ends of the log by time. The highest end before a time is then found by binary search. */
function floorOf(operations: readonly Operation[]): (time: number) => number {
  const ends = operations
    .map((operation) => ({ time: operation.end, next: endKnownFrom(operation) }))
    .filter(({ next }) => next > 0)
    .sort((a, b) => a.time - b.time);
  let highest = 0;
  const known = ends.map(({ next }) => {
    highest = Math.max(highest, next);
    return highest;
  });
  return (time) => {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ends[middle]!.time < time) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : known[low - 1]!;
  };
}

/** The end of the log is at least this when the operation has ended. */
function endKnownFrom(operation: Operation): number {
  if (operation.op === "append") {
    return operation.offset === undefined ? 0 : operation.offset + operation.values.length;
  }
  if (operation.op === "end") return operation.next ?? 0;
  const seen = seenBy(operation).length;
  return seen === 0 ? 0 : (operation as Read).offset + seen;
}

function seenBy(operation: Operation): readonly string[] {
  if (operation.op === "shown") return operation.values;
  return operation.op === "read" && operation.value !== undefined ? [operation.value] : [];
}

function readsOf(operations: readonly Operation[], mode: string): (Read | End)[] {
  return operations.filter(
    (operation): operation is Read | End =>
      (operation.op === "read" || operation.op === "end") && operation.mode === mode,
  );
}

/** Reports a read that shows fewer than `floor` records. */
function* violationsOf(read: Read | End, floor: number): Generator<string> {
  const { client, mode } = read;
  if (read.op === "end" && read.next !== undefined && read.next < floor)
    yield `${client}: a ${mode} read showed the end ${read.next}, below ${floor}`;
  if (read.op === "read" && read.failure?.kind === "out-of-range" && read.offset < floor)
    yield `${client}: a ${mode} read missed ${read.offset}, below ${floor}`;
}
