/**
 * Decides how a node becomes a member of a cluster. Pure.
 *
 *   has a configuration ──────────────────────────────────────→ member; the bootstrap flags have no effect
 *   a log without elections, with its cluster's id ───────────→ bootstrap: a cluster of this node alone
 *   has a cluster id and no configuration yet ────────────────→ adopted: waits until the leader adds it
 *   empty, --bootstrap-expect N ──────────────────────────────→ expect: see decideBootstrap()
 *   a log of no cluster, --bootstrap-expect N ────────────────→ has-log: reports its log and waits to be added
 *   empty, a join list and no --bootstrap ────────────────────→ wait: waits to be added
 *   empty otherwise ──────────────────────────────────────────→ bootstrap
 *
 * The nodes of a --bootstrap-expect agree if each of them sees the same N directories, all are empty, and all have the
 * same flags. The new cluster is a function of these directories. So each node bootstraps on its own and the result is
 * the same cluster; a node that is late finds itself among the initial members of the existing cluster. A node with a restored
 * log is no initial member: an empty majority could otherwise start the cluster without its records. A node that knows of a
 * cluster never starts a second one.
 */

/** The state of the data directory, and the flags. */
export interface StartState {
  readonly configured: boolean;
  readonly clusterId: string | undefined;
  /** Does the log have entries? */
  readonly hasEntries: boolean;
  /** Has this directory ever voted in an election? */
  readonly voted: boolean;
  readonly bootstrap: boolean;
  readonly bootstrapExpect: number | undefined;
  /** Is there a join list? */
  readonly joins: boolean;
}

export type StartMode = "member" | "bootstrap" | "adopted" | "wait" | "expect" | "has-log";

/** How the node starts. */
export function startModeOf(state: StartState): StartMode {
  if (state.configured) return "member";
  if (state.clusterId !== undefined) {
    const ownLog = state.hasEntries && !state.voted;
    return ownLog || (!state.joins && !state.voted) ? "bootstrap" : "adopted";
  }
  if (state.bootstrap || state.bootstrapExpect === 1) return "bootstrap";
  if (state.bootstrapExpect !== undefined) return state.hasEntries ? "has-log" : "expect";
  return state.joins ? "wait" : "bootstrap";
}

/** A first member of a cluster. Part of the peer protocol. */
export interface InitialMember {
  readonly name: string;
  readonly directory: string;
  readonly address: string;
}

/** What a node with --bootstrap-expect sees: itself, and every empty node it has talked to. Part of the peer protocol. */
export interface BootstrapView {
  readonly expect: number;
  readonly startOffset: number;
  /** --cluster-id, if given. */
  readonly clusterId: string | undefined;
  /** Sorted by directory. */
  readonly founders: readonly InitialMember[];
}

/** The answer of a node to "founders". Part of the peer protocol. */
export type BootstrapAnswer =
  | { readonly kind: "view"; readonly view: BootstrapView }
  /** It is in no cluster and its log is not empty. */
  | { readonly kind: "holds"; readonly name: string }
  /** It belongs to a cluster. `founders` is empty if it does not know them any more. */
  | { readonly kind: "begun"; readonly clusterId: string; readonly founders: readonly InitialMember[] };

export type BootstrapDecision =
  | { readonly kind: "bootstrap"; readonly clusterId: string; readonly founders: readonly InitialMember[] }
  /** A cluster exists already: this node can only be added to it. */
  | { readonly kind: "join"; readonly clusterId: string }
  | { readonly kind: "wait"; readonly why: string };

/**
 * Decides whether this node may bootstrap now. `answers` are those of all other nodes that were found, by directory.
 * `idOf` derives the cluster's id from the initial members' directories, the same on every node.
 */
export function decideBootstrap(
  self: InitialMember,
  view: BootstrapView,
  answers: ReadonlyMap<string, BootstrapAnswer>,
  idOf: (directories: readonly string[]) => string,
): BootstrapDecision {
  for (const answer of answers.values()) {
    if (answer.kind !== "begun") continue;
    const { clusterId, founders } = answer;
    const isInitialMember = founders.some(({ directory }) => directory === self.directory);
    return isInitialMember ? { kind: "bootstrap", clusterId, founders } : { kind: "join", clusterId };
  }
  for (const answer of answers.values()) {
    if (answer.kind === "holds") return { kind: "wait", why: `${answer.name} has a log already` };
  }
  const { founders, expect } = view;
  if (founders.length < expect) {
    return { kind: "wait", why: `${founders.length} of ${expect} nodes are here to bootstrap the cluster` };
  }
  if (founders.length > expect) {
    return {
      kind: "wait",
      why: `--bootstrap-expect is ${expect}, but there are ${founders.length} nodes`,
    };
  }
  const names = new Set(founders.map(({ name }) => name));
  if (names.size < founders.length) return { kind: "wait", why: "two of the nodes have the same name" };
  for (const { directory, name } of founders) {
    if (directory === self.directory) continue;
    const answer = answers.get(directory);
    if (answer?.kind !== "view") return { kind: "wait", why: `${name} has not reported which nodes it sees` };
    const why = differenceOf(view, answer.view);
    if (why !== undefined) return { kind: "wait", why: `${name} ${why}` };
  }
  const clusterId = view.clusterId ?? idOf(founders.map(({ directory }) => directory));
  return { kind: "bootstrap", clusterId, founders };
}

function differenceOf(ours: BootstrapView, theirs: BootstrapView): string | undefined {
  if (theirs.expect !== ours.expect) return `expects ${theirs.expect} nodes, this one ${ours.expect}`;
  if (theirs.clusterId !== ours.clusterId) return "has another --cluster-id";
  if (theirs.startOffset !== ours.startOffset) return "has another --initial-offset";
  const text = ({ founders }: BootstrapView): string =>
    founders.map(({ directory, name, address }) => `${directory} ${name} ${address}`).join("\n");
  return text(theirs) === text(ours) ? undefined : "does not see the same nodes yet";
}

export const sortedMembers = (founders: readonly InitialMember[]): InitialMember[] =>
  [...founders].sort((a, b) => (a.directory < b.directory ? -1 : 1));
