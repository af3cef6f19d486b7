/**
 * The commands of quorum transcripts: `committed` draws who has what and says what is committed, `vote` says how
 * a vote stands. Each answer is checked against a naive one and against what joint majorities must agree in.
 *
 * Never: keeps anything between commands.
 */
import { jointIndex, jointVote, majorityIndex, majorityVote } from "../../src/raft/core/mod.ts";
import { type Command, oneValue, valuesOf } from "./datadriven.ts";

interface Asked {
  readonly first: ReadonlySet<number>;
  readonly second: ReadonlySet<number>;
  readonly joint: boolean;
  /** Everyone, in the order in which the values are given. */
  readonly everyone: readonly number[];
}

function asked(command: Command): Asked {
  const list = (key: string): number[] => valuesOf(command, key).map(Number);
  const zero = oneValue(command, "cfgj") === "zero";
  const first = list("cfg");
  const second = zero ? [] : list("cfgj");
  return {
    first: new Set(first),
    second: new Set(second),
    joint: command.arguments.some((argument) => argument.key === "cfgj"),
    everyone: [...new Set([...first, ...second])],
  };
}

/** The given values by voter; `_` and what is not given stand for nothing known. */
function assign<T>(
  words: readonly string[],
  everyone: readonly number[],
  read: (word: string) => T,
): Map<number, T> {
  if (words.length !== everyone.length) {
    throw new Error(
      `error: mismatched input (explicit or _) for voters ${everyone.join(" ")}: ${words.join(" ")}`,
    );
  }
  const found = new Map<number, T>();
  for (const [at, word] of words.entries()) if (word !== "_") found.set(everyone[at] as number, read(word));
  return found;
}

function committed(command: Command): string {
  const { first, second, joint, everyone } = asked(command);
  const values = assign(valuesOf(command, "idx"), everyone, Number);
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
  check("the naive way", naive);
  if (!joint) {
    check("joint with nobody", jointIndex({ incoming: first, outgoing: new Set() }, reached));
    check("joint with itself", jointIndex({ incoming: first, outgoing: first }, reached));
    // Raising anyone below the result to just below it changes nothing; nor does lowering to 0 who is there.
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
  } else check("the other way round", jointIndex({ incoming: second, outgoing: first }, reached));
  return text;
}

/** The highest value that more than half have at least; nobody has everything. */
function naiveIndex(voters: ReadonlySet<number>, values: ReadonlyMap<number, number>): number {
  if (voters.size === 0) return Number.POSITIVE_INFINITY;
  let best = 0;
  for (const candidate of values.values()) {
    const count = [...voters].filter((peer) => (values.get(peer) ?? -1) >= candidate).length;
    if (count * 2 > voters.size) best = Math.max(best, candidate);
  }
  return best;
}

/** A bar a voter: as long as the number of voters that are behind it. */
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
  const { first, second, joint, everyone } = asked(command);
  const values = assign(valuesOf(command, "votes"), everyone, (word) => {
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
  return results[result] + (swapped === result ? "" : `\nthe other way round: ${results[swapped]}`);
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
