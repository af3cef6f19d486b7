/**
 * The commands of quorum transcripts: `committed` prints the commit index of a majority, `vote` the result of a vote. Each
 * result is compared with a naive implementation and with equivalent joint majorities.
 */
import { jointIndex, jointVote, majorityIndex, majorityVote } from "../../src/raft/core/mod.ts";
import { type Command, oneValue, valuesOf } from "./datadriven.ts";

interface QuorumInput {
  readonly first: ReadonlySet<number>;
  readonly second: ReadonlySet<number>;
  readonly joint: boolean;
  /** All voters, in the order of the values. */
  readonly voters: readonly number[];
}

function parseInput(command: Command): QuorumInput {
  const list = (key: string): number[] => valuesOf(command, key).map(Number);
  const zero = oneValue(command, "cfgj") === "zero";
  const first = list("cfg");
  const second = zero ? [] : list("cfgj");
  return {
    first: new Set(first),
    second: new Set(second),
    joint: command.arguments.some((argument) => argument.key === "cfgj"),
    voters: [...new Set([...first, ...second])],
  };
}

/** Returns the values by voter. `_` means that no value is known. */
function assign<T>(
  words: readonly string[],
  voters: readonly number[],
  read: (word: string) => T,
): Map<number, T> {
  if (words.length !== voters.length) {
    throw new Error(
      `error: mismatched input (explicit or _) for voters ${voters.join(" ")}: ${words.join(" ")}`,
    );
  }
  const found = new Map<number, T>();
  for (const [at, word] of words.entries()) if (word !== "_") found.set(voters[at] as number, read(word));
  return found;
}

function committed(command: Command): string {
  const { first, second, joint, voters } = parseInput(command);
  const values = assign(valuesOf(command, "idx"), voters, Number);
  const reached = (peer: number): number | undefined => values.get(peer);
  const index = joint
    ? jointIndex({ incoming: first, outgoing: second }, reached)
    : majorityIndex(first, reached);
  const shown = (value: number): string => (value === Number.POSITIVE_INFINITY ? "∞" : String(value));
  let text = drawing(joint ? new Set([...first, ...second]) : first, values) + shown(index);
  const naive = Math.min(
    naiveIndex(first, values),
    joint ? naiveIndex(second, values) : Number.POSITIVE_INFINITY,
  );
  const check = (name: string, other: number): void => {
    if (other !== index) text += `\n${name} says ${shown(other)}`;
  };
  check("the naive implementation", naive);
  if (!joint) {
    check("joint with an empty half", jointIndex({ incoming: first, outgoing: new Set() }, reached));
    check("joint with itself", jointIndex({ incoming: first, outgoing: first }, reached));
    // A voter below the result does not change it, whether raised to just below it or lowered to 0.
    for (const peer of first) {
      const value = values.get(peer);
      if (value === undefined || value >= index || index === Number.POSITIVE_INFINITY) continue;
      for (const overlay of [index - 1, 0]) {
        check(
          `with ${peer} at ${overlay} instead`,
          majorityIndex(first, (one) => (one === peer ? overlay : values.get(one))),
        );
      }
    }
  } else check("swapped halves", jointIndex({ incoming: second, outgoing: first }, reached));
  return text;
}

/** Returns the highest value that a majority has reached, or infinity without voters. */
function naiveIndex(voters: ReadonlySet<number>, values: ReadonlyMap<number, number>): number {
  if (voters.size === 0) return Number.POSITIVE_INFINITY;
  let best = 0;
  for (const candidate of values.values()) {
    const count = [...voters].filter((peer) => (values.get(peer) ?? -1) >= candidate).length;
    if (count * 2 > voters.size) best = Math.max(best, candidate);
  }
  return best;
}

/** Draws one bar per voter. Its length is the number of voters behind it. */
function drawing(voters: ReadonlySet<number>, values: ReadonlyMap<number, number>): string {
  if (voters.size === 0) return "<empty majority quorum>";
  const width = voters.size;
  const at = (peer: number): number => values.get(peer) ?? 0;
  let text = `${" ".repeat(width)}    idx\n`;
  for (const peer of [...voters].sort((a, b) => a - b)) {
    const behind = [...voters].filter((other) => at(other) < at(peer)).length;
    const bar = values.has(peer)
      ? `${"x".repeat(behind)}>${" ".repeat(width - behind)}`
      : `?${" ".repeat(width)}`;
    text += `${bar} ${String(at(peer)).padStart(5)}    (id=${peer})\n`;
  }
  return text;
}

const results = { won: "VoteWon", lost: "VoteLost", pending: "VotePending" } as const;

function vote(command: Command): string {
  const { first, second, joint, voters } = parseInput(command);
  const values = assign(valuesOf(command, "votes"), voters, (word) => {
    if (word !== "y" && word !== "n") throw new Error(`not a vote: ${word}`);
    return word === "y";
  });
  const votes = (peer: number): boolean | undefined => values.get(peer);
  if (!joint) {
    const result = majorityVote(first, votes);
    const alone = jointVote({ incoming: first, outgoing: new Set() }, votes);
    const twice = jointVote({ incoming: first, outgoing: first }, votes);
    return results[result] + (alone === result && twice === result ? "" : "\njoint majorities disagree");
  }
  const result = jointVote({ incoming: first, outgoing: second }, votes);
  const swapped = jointVote({ incoming: second, outgoing: first }, votes);
  return results[result] + (swapped === result ? "" : `\nswapped halves: ${results[swapped]}`);
}

const handlers: Readonly<Record<string, (command: Command) => string>> = { committed, vote };

export const quorumCommands: ReadonlySet<string> = new Set(Object.keys(handlers));

export function quorum(): (command: Command) => string {
  return (command) => {
    const handler = handlers[command.name];
    if (handler === undefined) return "unknown command";
    try {
      return handler(command);
    } catch (thrown) {
      return thrown instanceof Error ? thrown.message : String(thrown);
    }
  };
}
