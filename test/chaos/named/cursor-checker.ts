/** Checks the answers to clients of cursors against the committed frames. Pure. */
import type { Violation } from "../checker.ts";
import type { CursorCall, Operation } from "../history.ts";
import { type CommittedCursors, type CursorState, keyOf } from "./committed-cursors.ts";
import type { CommittedLogs } from "./committed-logs.ts";
import { numberOf } from "./known-logs.ts";

interface Facts {
  readonly calls: readonly CursorCall[];
  readonly cursors: CommittedCursors;
  readonly logs: CommittedLogs["logs"];
  /** By their metadata. */
  readonly commits: ReadonlyMap<string, CursorCall>;
  /** What clients knew of the cursor of a call when it began: a Raft index. */
  readonly floorOf: (call: CursorCall) => number;
}

type Rule = (facts: Facts) => Generator<string>;

const first: CursorState = { index: 0, version: 0, offset: 0, metadata: "" };

/** The cursor of a call. Its log is known by the id in the answer or in the request. */
const placeOf = ({ log, logId, statedId, cursor }: CursorCall): string =>
  keyOf(log === undefined ? 0 : numberOf(logId ?? statedId ?? "0-0"), cursor);

const statesOf = ({ cursors }: Facts, place: string): readonly CursorState[] =>
  cursors.states.get(place) ?? [first];

const rules: Readonly<Record<string, Rule>> = {
  /** A committed cursor is what one client asked for, in its log, once, and not reported as not written. */
  *committed({ cursors, commits }) {
    const found = new Set<string>();
    for (const [place, states] of cursors.states) {
      for (const { version, offset, metadata } of states) {
        if (version === 0) continue;
        const call = commits.get(metadata);
        if (call === undefined || placeOf(call) !== place || call.offset !== offset)
          yield `no client committed ${metadata} at ${offset} to ${place}`;
        else if (call.failure?.written === "no")
          yield `${call.client}: ${metadata} is in ${place}, but ${call.failure.kind} said not written`;
        if (found.has(metadata)) yield `${metadata} is committed twice`;
        found.add(metadata);
      }
    }
  },

  /** A commit that expects a version follows that version. */
  *compared({ cursors, commits }) {
    for (const [place, states] of cursors.states) {
      for (const [at, { metadata, version }] of states.entries()) {
        const { expected, client } = commits.get(metadata) ?? {};
        const before = states[at - 1]?.version;
        if (version > 0 && expected !== undefined && before !== expected)
          yield `${client}: ${metadata} follows version ${before} of ${place}, not ${expected}`;
      }
    }
  },

  /** An acknowledged commit has its version, and comes after what was known before it began. */
  *acknowledged(facts) {
    for (const call of facts.calls) {
      const { action, client, metadata, version, shown, failure } = call;
      if (action !== "commit" || failure !== undefined) continue;
      const state = statesOf(facts, placeOf(call)).find((one) => one.version === version);
      if (state?.metadata !== metadata || shown !== metadata)
        yield `${client}: ${metadata} was acknowledged with version ${version} and ${shown}, which is ${state?.metadata}`;
      else if (version! <= facts.floorOf(call))
        yield `${client}: ${metadata} has version ${version}, after ${facts.floorOf(call)}`;
    }
  },

  /** A read shows a version that was not replaced before it began. */
  *read(facts) {
    for (const call of facts.calls) {
      const { action, client, version = 0, shown = "", failure } = call;
      if (action !== "get" || failure !== undefined) continue;
      if (!isCurrent(facts, call, version, shown))
        yield `${client}: ${placeOf(call)} is shown with version ${version} ${shown}, after ${facts.floorOf(call)}`;
    }
  },

  /** A refusal because of the version names the present one, which is not the expected one. */
  *refused(facts) {
    for (const call of facts.calls) {
      const { client, expected, failure } = call;
      if (failure?.reason !== "CURSOR_VERSION_MISMATCH") continue;
      const { found = -1 } = failure;
      if (found === expected || !isCurrent(facts, call, found))
        yield `${client}: ${placeOf(call)} is refused for ${expected}, with version ${found}, after ${facts.floorOf(call)}`;
    }
  },

  /** An acknowledged delete is there. Only a client, or the delete of its log, deletes a cursor: no clock does. */
  *deleted(facts) {
    const { calls, cursors, logs } = facts;
    const asked = new Set(calls.filter(({ action }) => action === "delete").map(placeOf));
    for (const call of calls) {
      if (call.action !== "delete" || call.failure !== undefined) continue;
      const floor = facts.floorOf(call);
      if (!statesOf(facts, placeOf(call)).some(({ index, version }) => version === 0 && index > floor))
        yield `${call.client}: the delete of ${placeOf(call)} was acknowledged, and is not there`;
    }
    for (const { key, log, isIdle } of cursors.removals) {
      if (!isIdle && !asked.has(key)) yield `no client deleted ${key}`;
      if (isIdle && logs.get(log)?.deleted !== true) yield `${key} expired`;
    }
  },
};

/** Whether the cursor of a call had this version, and that was not replaced by what was known before the call began. */
function isCurrent(facts: Facts, call: CursorCall, version: number, metadata?: string): boolean {
  const states = statesOf(facts, placeOf(call));
  const floor = facts.floorOf(call);
  return states.some(
    (state, at) =>
      state.version === version &&
      (metadata === undefined || state.metadata === metadata) &&
      (states[at + 1]?.index ?? Number.POSITIVE_INFINITY) > floor,
  );
}

export const cursorRuleNames = Object.keys(rules);

const violationsMax = 5;

/** Returns the violations, at most five of each rule. */
export function checkCursors(
  operations: readonly Operation[],
  { cursors, logs }: Pick<CommittedLogs, "cursors" | "logs">,
): readonly Violation[] {
  const calls = operations.filter((operation) => operation.op === "cursor");
  const commits = new Map(
    calls.flatMap((call) => (call.action === "commit" ? [[call.metadata!, call]] : [])),
  );
  const facts = { calls, commits, cursors, logs, floorOf: floorsOf(calls) };
  const found: Violation[] = cursors.flaws.slice(0, violationsMax).map((text) => ({ rule: "frames", text }));
  for (const [rule, violations] of Object.entries(rules)) {
    let count = 0;
    for (const text of violations(facts)) if (++count <= violationsMax) found.push({ rule, text });
  }
  return found;
}

/** The highest version of the cursor that an earlier call, which ended before this one began, was told. */
function floorsOf(calls: readonly CursorCall[]): (call: CursorCall) => number {
  const told = new Map<string, { readonly end: number; readonly highest: number }[]>();
  for (const call of calls.toSorted((one, other) => one.end - other.end)) {
    const { version = 0, end, failure } = call;
    if (failure !== undefined || version === 0) continue;
    const place = placeOf(call);
    const known = told.get(place) ?? [];
    known.push({ end, highest: Math.max(version, known.at(-1)?.highest ?? 0) });
    told.set(place, known);
  }
  return (call) => told.get(placeOf(call))?.findLast(({ end }) => end < call.start)?.highest ?? 0;
}
