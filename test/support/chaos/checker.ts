/**
 * The judge of a history: what clients were told, held against what the log holds in the end. Pure. Values are unique
 * and the log says in which order they came, so one pass over them decides; nothing is searched.
 *
 * Never: is satisfied by an absent answer: an operation that was cut off may have happened or not.
 */
import type { Append, End, Operation, Read } from "./history.ts";

/** A record of the log as it is in the end. */
export interface StoredRecord {
  readonly offset: number;
  readonly value: string;
}

export interface Violation {
  readonly rule: string;
  readonly text: string;
}

/** What the rules look at. */
interface Facts {
  readonly operations: readonly Operation[];
  readonly appends: readonly Append[];
  readonly final: readonly StoredRecord[];
  /** Value → all its offsets in the end, ascending. */
  readonly offsets: ReadonlyMap<string, readonly number[]>;
  readonly lowest: number;
  /** The value at an offset in the end. */
  at(offset: number): string | undefined;
  /** The end of the log that somebody had been told or shown before that time. */
  floor(time: number): number;
}

type Rule = (facts: Facts) => Generator<string>;

/** Rule → what broke it. The names are those of the tests. */
const rules: Readonly<Record<string, Rule>> = {
  /** Offsets are dense. */
  *dense({ final }) {
    for (const [place, { offset }] of final.entries()) {
      const expected = final[0]!.offset + place;
      if (offset !== expected) yield `the log goes on at ${offset} where ${expected} is next`;
    }
  },

  /** What was acknowledged is where it was said to be, unchanged. */
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

  /** Nothing is there that nobody appended. */
  *invented({ final, appends }) {
    const known = new Set(appends.flatMap(({ values }) => values));
    for (const { offset, value } of final)
      if (!known.has(value)) yield `${value} at ${offset} was never appended`;
  },

  /** Nothing is there twice, however often its client tried. */
  *once({ offsets }) {
    for (const [value, found] of offsets) if (found.length > 1) yield `${value} is at ${found.join(" and ")}`;
  },

  /** What was said not to be written is not there, nor ever was. */
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

  /** What was appended together is there together, or not at all. */
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

  /** An append that began after somebody knew of a record comes behind that record. */
  *realTime({ appends, offsets, floor }) {
    for (const { client, values, start } of appends) {
      for (const value of values) {
        const offset = offsets.get(value)?.[0];
        if (offset !== undefined && offset < floor(start))
          yield `${client}: ${value} is at ${offset}, but the end was known to be ${floor(start)} when it began`;
      }
    }
  },

  /** Whatever anybody was shown stays: it was committed. */
  *committed({ operations, at, lowest }) {
    for (const operation of operations) {
      for (const [place, value] of seenBy(operation).entries()) {
        const offset = (operation as Read).offset + place;
        if (offset >= lowest && at(offset) !== value)
          yield `${operation.client} was shown ${value} at ${offset}, where ${at(offset) ?? "nothing"} is`;
      }
    }
  },

  /** A tail begins where it was asked to and goes on without gap, repetition or step back. */
  *tails({ operations }) {
    const positions = new Map<string, number>();
    for (const operation of operations) {
      if (operation.op === "tail") positions.set(operation.client, operation.from);
      if (operation.op !== "shown") continue;
      const { client, offset, values } = operation;
      const expected = positions.get(client);
      if (expected !== offset) yield `${client} was shown ${offset} where ${expected} was next`;
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

  /** What was to be appended at one offset only is there or nowhere. */
  *conditional({ appends, offsets }) {
    for (const { client, values, expectedOffset } of appends) {
      if (expectedOffset === undefined) continue;
      const found = offsets.get(values[0]!)?.[0];
      if (found !== undefined && found !== expectedOffset)
        yield `${client}: ${values[0]} was wanted at ${expectedOffset} only and is at ${found}`;
    }
  },

  /** A linearizable read misses nothing that anybody knew of before it began. */
  *linearizable({ operations, floor }) {
    for (const read of readsOf(operations, "linearizable")) yield* falling(read, floor(read.start));
  },

  /** A session read misses nothing that its client has seen. */
  *session({ operations }) {
    for (const read of readsOf(operations, "session"))
      if (read.seen !== undefined) yield* falling(read, read.seen + 1);
  },

  /** A bounded read misses nothing that was known so long ago. */
  *bounded({ operations, floor }) {
    for (const read of readsOf(operations, "bounded"))
      if (read.op === "end" && read.stalenessMs !== undefined)
        yield* falling(read, floor(read.start - read.stalenessMs));
  },
};

export const ruleNames = Object.keys(rules);

/** Breaches told of one rule; more say nothing new. */
const breachesMax = 5;

/** Everything that is wrong; empty when all is well. */
export function check(operations: readonly Operation[], final: readonly StoredRecord[]): readonly Violation[] {
  const facts = factsOf(operations, final);
  const found: Violation[] = [];
  for (const [rule, breaches] of Object.entries(rules)) {
    let count = 0;
    for (const text of breaches(facts)) {
      if (++count <= breachesMax) found.push({ rule, text });
    }
    if (count > breachesMax) found.push({ rule, text: `… ${count - breachesMax} more` });
  }
  return found;
}

function factsOf(operations: readonly Operation[], final: readonly StoredRecord[]): Facts {
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
    lowest: final[0]?.offset ?? 0,
    at: (offset) => values.get(offset),
    floor: floorOf(operations),
  };
}

/** Sorts all news of the end by time; what was known before a time is then found by halving. */
function floorOf(operations: readonly Operation[]): (time: number) => number {
  const news = operations
    .map((operation) => ({ time: operation.end, next: endToldBy(operation) }))
    .filter(({ next }) => next > 0)
    .sort((a, b) => a.time - b.time);
  let highest = 0;
  const known = news.map(({ next }) => {
    highest = Math.max(highest, next);
    return highest;
  });
  return (time) => {
    let [low, high] = [0, news.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (news[middle]!.time < time) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : known[low - 1]!;
  };
}

/** The end of the log must at least be this, once the operation has ended. */
function endToldBy(operation: Operation): number {
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

/** Says so when a read shows less than `floor` records. */
function* falling(read: Read | End, floor: number): Generator<string> {
  const { client, mode } = read;
  if (read.op === "end" && read.next !== undefined && read.next < floor)
    yield `${client}: a ${mode} read showed the end ${read.next}, below ${floor}`;
  if (read.op === "read" && read.failure?.kind === "out-of-range" && read.offset < floor)
    yield `${client}: a ${mode} read missed ${read.offset}, below ${floor}`;
}
