/**
 * How a node comes to belong to a cluster. Pure.
 *
 *   has a configuration ──────────────────────────────────────→ member, and the flags count no more
 *   a log that was never replicated, with its cluster's id ───→ begins alone, in place
 *   has an id and no configuration yet ───────────────────────→ adopted, waits to be added
 *   empty, --bootstrap-expect N ──────────────────────────────→ expects: see judge()
 *   a log of no cluster, --bootstrap-expect N ────────────────→ holds: is no founder, says so, waits to be added
 *   empty, a join list and no --bootstrap ────────────────────→ waits to be added
 *   empty otherwise ──────────────────────────────────────────→ begins alone
 *
 * Those that expect each other agree when each of them sees the same N directories, all of them empty, expects N and
 * starts at the same offset. What they begin is a function of these directories, so each begins by itself and it is
 * the same cluster; one that is late finds its own name in what the others have begun. A log that was restored is
 * nobody's yet: were it one of several founders, an empty majority could begin without its records.
 *
 * Never: begins a second cluster beside one it knows of.
 */

/** What the data directory holds, and what the flags ask for. */
export interface StartState {
  readonly configured: boolean;
  readonly clusterId: string | undefined;
  /** Is there anything in the log? */
  readonly hasEntries: boolean;
  /** Did this directory ever take part in an election? */
  readonly voted: boolean;
  readonly bootstrap: boolean;
  readonly bootstrapExpect: number | undefined;
  readonly joins: boolean;
}

export type Start = "member" | "alone" | "adopted" | "wait" | "expect" | "holds";

/** How the node starts. */
export function startOf(state: StartState): Start {
  if (state.configured) return "member";
  if (state.clusterId !== undefined) {
    const ownLog = state.hasEntries && !state.voted;
    return ownLog || (!state.joins && !state.voted) ? "alone" : "adopted";
  }
  if (state.bootstrap || state.bootstrapExpect === 1) return "alone";
  if (state.bootstrapExpect !== undefined) return state.hasEntries ? "holds" : "expect";
  return state.joins ? "wait" : "alone";
}

/** One of those who begin a cluster. */
export interface Founder {
  readonly name: string;
  readonly directory: string;
  readonly address: string;
}

/** What a node that is expected sees: itself, and every empty node that it has spoken with. */
export interface FounderView {
  readonly expect: number;
  readonly startOffset: number;
  /** --cluster-id, where it was given. */
  readonly clusterId: string | undefined;
  /** Sorted by directory. */
  readonly founders: readonly Founder[];
}

/** What a node said when it was asked how it sees the beginning. */
export type FounderAnswer =
  | { readonly kind: "view"; readonly view: FounderView }
  /** It is in no cluster and its log is not empty. */
  | { readonly kind: "holds"; readonly name: string }
  /** It belongs to a cluster; `founders` are those of its beginning, where it still knows them. */
  | { readonly kind: "begun"; readonly clusterId: string; readonly founders: readonly Founder[] };

export type Verdict =
  | { readonly kind: "begin"; readonly clusterId: string; readonly founders: readonly Founder[] }
  /** There is a cluster already: this node can only be added to it. */
  | { readonly kind: "forbidden"; readonly clusterId: string }
  | { readonly kind: "wait"; readonly why: string };

/**
 * May this node begin? `answers` are those of all others that were found, by directory; `idOf` makes an id of the
 * founders' directories, the same on every node.
 */
export function judge(
  self: Founder,
  view: FounderView,
  answers: ReadonlyMap<string, FounderAnswer>,
  idOf: (directories: readonly string[]) => string,
): Verdict {
  for (const answer of answers.values()) {
    if (answer.kind !== "begun") continue;
    const { clusterId, founders } = answer;
    const mine = founders.some(({ directory }) => directory === self.directory);
    return mine ? { kind: "begin", clusterId, founders } : { kind: "forbidden", clusterId };
  }
  for (const answer of answers.values()) {
    if (answer.kind === "holds") return { kind: "wait", why: `${answer.name} holds a log already` };
  }
  const { founders, expect } = view;
  if (founders.length < expect) {
    return { kind: "wait", why: `${founders.length} of ${expect} nodes are here to begin the cluster` };
  }
  if (founders.length > expect) {
    return {
      kind: "wait",
      why: `${expect} nodes were to begin the cluster, but there are ${founders.length}`,
    };
  }
  const names = new Set(founders.map(({ name }) => name));
  if (names.size < founders.length) return { kind: "wait", why: "two of the nodes have the same name" };
  for (const { directory, name } of founders) {
    if (directory === self.directory) continue;
    const answer = answers.get(directory);
    if (answer?.kind !== "view") return { kind: "wait", why: `${name} has not yet said whom it sees` };
    const why = differs(view, answer.view);
    if (why !== undefined) return { kind: "wait", why: `${name} ${why}` };
  }
  const clusterId = view.clusterId ?? idOf(founders.map(({ directory }) => directory));
  return { kind: "begin", clusterId, founders };
}

function differs(ours: FounderView, theirs: FounderView): string | undefined {
  if (theirs.expect !== ours.expect) return `expects ${theirs.expect} nodes, this one ${ours.expect}`;
  if (theirs.clusterId !== ours.clusterId) return "was given another --cluster-id";
  if (theirs.startOffset !== ours.startOffset) return "was given another --initial-offset";
  const text = ({ founders }: FounderView): string =>
    founders.map(({ directory, name, address }) => `${directory} ${name} ${address}`).join("\n");
  return text(theirs) === text(ours) ? undefined : "does not see the same nodes yet";
}

export const sortedFounders = (founders: readonly Founder[]): Founder[] =>
  [...founders].sort((a, b) => (a.directory < b.directory ? -1 : 1));
