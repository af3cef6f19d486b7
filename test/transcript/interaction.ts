/**
 * The commands of interaction transcripts, over a World.
 *
 * Never: keeps state but in its world and output.
 */
import {
  type ConfState,
  type MessageType,
  message,
  proposal,
  type Snapshot,
} from "../../src/raft/core/mod.ts";
import { type Command, oneValue, plainArguments, valuesOf } from "./datadriven.ts";
import { Output, parseLevel } from "./output.ts";
import {
  messageNames,
  messageText,
  parseChanges,
  progressMapText,
  roleName,
  snapshotText,
  type TranscriptChange,
} from "./render.ts";
import { type NodeOptions, refusalText, World } from "./world.ts";

type Handler = (world: World, command: Command) => void;

const ids = (command: Command): number[] => plainArguments(command).map((word) => number(word));

function number(text: string | undefined): number {
  const value = Number(text);
  if (text === undefined || text === "" || !Number.isSafeInteger(value) || value < 0) {
    throw new Error(`not a number: ${text}`);
  }
  return value;
}

function firstId(command: Command): number {
  return number(plainArguments(command)[0]);
}

function flag(command: Command, key: string): boolean {
  const text = oneValue(command, key);
  if (text !== undefined && text !== "true" && text !== "false")
    throw new Error(`not a truth value: ${text}`);
  return text === "true";
}

/** Runs it for each id, under a title where there are several. */
function each(title: string, perform: (world: World, id: number) => void): Handler {
  return (world, command) => {
    const asked = ids(command);
    for (const id of asked) {
      if (asked.length === 1) {
        perform(world, id);
        continue;
      }
      world.output.line(`> ${id} ${title}`);
      world.output.indented(() => perform(world, id));
    }
  };
}

function say(refusal: Parameters<typeof refusalText>[0] | undefined): void {
  if (refusal !== undefined) throw new Error(refusalText(refusal));
}

const knownOptions = new Set(
  (
    "voters learners index content inflight prevote checkquorum async-storage-writes " +
    "max-committed-size-per-ready disable-conf-change-validation read-only step-down-on-removal " +
    "connection-lost-ticks max-uncommitted-size disable-proposal-forwarding"
  ).split(" "),
);

function options(command: Command): NodeOptions {
  for (const { key, values } of command.arguments) {
    if (values.length > 0 && !knownOptions.has(key)) throw new Error(`unknown option ${key}`);
  }
  const optional = <K extends keyof NodeOptions>(key: K, name: string): Partial<NodeOptions> => {
    const text = oneValue(command, name);
    return text === undefined ? {} : ({ [key]: number(text) } as Partial<NodeOptions>);
  };
  const reads = oneValue(command, "read-only") ?? "safe";
  if (reads !== "safe" && reads !== "lease-based") throw new Error(`invalid read-only option "${reads}"`);
  return {
    electionTicks: 3,
    heartbeatTicks: 1,
    inflightMessagesMax: number(oneValue(command, "inflight") ?? String(2 ** 31 - 1)),
    preVote: flag(command, "prevote"),
    checkQuorum: flag(command, "checkquorum"),
    asyncStorage: flag(command, "async-storage-writes"),
    disableConfChangeValidation: flag(command, "disable-conf-change-validation"),
    stepDownOnRemoval: flag(command, "step-down-on-removal"),
    disableProposalForwarding: flag(command, "disable-proposal-forwarding"),
    reads: reads === "safe" ? "safe" : "lease",
    ...optional("applyingBytesMax", "max-committed-size-per-ready"),
    ...optional("uncommittedBytesMax", "max-uncommitted-size"),
    ...optional("connectionLostTicks", "connection-lost-ticks"),
  };
}

function addNodes(world: World, command: Command): void {
  const peers = (key: string): number[] => valuesOf(command, key).map((word) => number(word));
  const configuration: ConfState = {
    voters: peers("voters").sort((a, b) => a - b),
    votersOutgoing: [],
    learners: peers("learners").sort((a, b) => a - b),
    learnersNext: [],
    autoLeave: false,
  };
  const index = number(oneValue(command, "index") ?? "0");
  const data = Buffer.from(oneValue(command, "content") ?? "");
  const bootstrap =
    configuration.voters.length > 0 || configuration.learners.length > 0 || index > 0 || data.length > 0;
  if (bootstrap && index <= 1) throw new Error("index must be specified as > 1 due to bootstrap");
  const snapshot: Snapshot | undefined = bootstrap ? { index, term: 1, configuration, data } : undefined;
  const count = number(plainArguments(command)[0]);
  for (let at = 0; at < count; at++) world.addNode(options(command), snapshot);
}

function deliverMessages(world: World, command: Command): void {
  const wanted = oneValue(command, "type");
  const type = Object.entries(messageNames).find(([, name]) => name === wanted)?.[0] as
    | MessageType
    | undefined;
  if (wanted !== undefined && type === undefined) throw new Error(`unknown message type ${wanted}`);
  const recipients = ids(command).map((id) => ({ id, drop: false }));
  for (const id of valuesOf(command, "drop").map((word) => number(word))) {
    if (recipients.some((one) => one.id === id)) throw new Error(`can't both deliver and drop msgs to ${id}`);
    recipients.push({ id, drop: true });
  }
  if (world.deliver(recipients, type) === 0) world.output.line("no messages");
}

function proposeChange(world: World, command: Command): void {
  const transition = oneValue(command, "transition") ?? "auto";
  if (transition !== "auto" && transition !== "implicit" && transition !== "explicit") {
    throw new Error(`unknown transition ${transition}`);
  }
  const v1 = flag(command, "v1");
  const changes = parseChanges(command.input);
  if (v1 && (changes.length > 1 || transition !== "auto")) {
    throw new Error("v1 conf change can only have one operation and no transition");
  }
  const change: TranscriptChange = { transition, changes, ...(v1 ? { v1 } : {}) };
  say(world.node(firstId(command)).core.proposeChange(change));
}

function stabilize(world: World, command: Command): void {
  const asked = ids(command);
  const level = oneValue(command, "log-level");
  const before = world.output.level;
  if (level !== undefined) world.output.level = parseLevel(level);
  try {
    world.stabilize(asked.length > 0 ? asked : world.nodes.map((_, at) => at + 1));
  } finally {
    world.output.level = before;
  }
}

function raftState(world: World): void {
  for (const { core } of world.nodes) {
    const { id, role, term, leader, configuration } = core.status();
    const votes = configuration.voters.includes(id) || configuration.votersOutgoing.includes(id);
    world.output.line(
      `${id}: ${roleName(role)} (${votes ? "Voter" : "Non-Voter"}) Term:${term} Lead:${leader}`,
    );
  }
}

function sendSnapshot(world: World, command: Command): void {
  const [from, to] = ids(command);
  const { core, storage } = world.node(number(String(from)));
  const snapshot = storage.snapshot();
  if (snapshot === undefined) throw new Error("snapshot is temporarily unavailable");
  const sent = message("snapshot", number(String(to)), { from: core.id, term: core.term, snapshot });
  world.messages.push(sent);
  world.output.write(messageText(sent));
}

const ticks =
  (count: (world: World, id: number) => number): Handler =>
  (world, command) => {
    const id = firstId(command);
    for (let left = count(world, id); left > 0; left--) world.node(id).core.tick();
  };

const handlers: Readonly<Record<string, Handler>> = {
  _breakpoint: () => {},
  "add-nodes": addNodes,
  campaign: (world, command) => world.node(firstId(command)).core.campaign(),
  compact(world, command) {
    const [id, newFirst] = ids(command);
    if (!world.node(number(String(id))).storage.compact(number(String(newFirst)))) {
      throw new Error("requested index is unavailable due to compaction");
    }
    world.raftLog(number(String(id)));
  },
  "deliver-msgs": deliverMessages,
  "forget-leader": (world, command) => world.node(firstId(command)).core.forgetLeader(),
  "log-level"(world, command) {
    world.output.level = parseLevel(plainArguments(command)[0] ?? "");
  },
  "process-ready": each("handling Ready", (world, id) => world.processReady(id)),
  "process-append-thread": each("processing append thread", (world, id) => world.processAppendThread(id)),
  "process-apply-thread": each("processing apply thread", (world, id) => world.processApplyThread(id)),
  propose(world, command) {
    const [id, data] = plainArguments(command);
    say(world.node(number(id)).core.propose([proposal(Buffer.from(data ?? ""))]));
  },
  "propose-conf-change": proposeChange,
  "raft-log": (world, command) => world.raftLog(firstId(command)),
  "raft-state": raftState,
  "report-unreachable"(world, command) {
    const [at, peer] = ids(command);
    world.node(number(String(at))).core.reportUnreachable(number(String(peer)));
  },
  "send-snapshot": sendSnapshot,
  "set-randomized-election-timeout"(world, command) {
    world.node(firstId(command)).core.setElectionTimeout(number(oneValue(command, "timeout")));
  },
  stabilize,
  status(world, command) {
    world.output.write(progressMapText(world.node(firstId(command)).core.status().progress ?? new Map()));
  },
  "tick-election": ticks((world, id) => world.node(id).config.electionTicks),
  "tick-heartbeat": ticks((world, id) => world.node(id).config.heartbeatTicks),
  "transfer-leadership"(world, command) {
    const [from, to] = [number(oneValue(command, "from")), number(oneValue(command, "to"))];
    world.node(from).core.transferLeader(to);
  },
  // Ours, beyond the language of the given files.
  crash: (world, command) => world.crash(firstId(command)),
  "leader-connection-lost"(world, command) {
    const [at, leader] = ids(command);
    world.node(number(String(at))).core.leaderConnectionLost(number(String(leader)));
  },
  "read-index"(world, command) {
    const [at, context] = ids(command);
    world.node(number(String(at))).core.readIndex(number(String(context)));
  },
  "report-snapshot"(world, command) {
    const [at, peer] = ids(command);
    world.node(number(String(at))).core.reportSnapshot(number(String(peer)), !flag(command, "failed"));
  },
  restart: (world, command) => world.restart(firstId(command)),
  "applied-state"(world, command) {
    const newest = world.node(firstId(command)).history.at(-1) as Snapshot;
    world.output.line(`${snapshotText(newest)} ${Buffer.from(newest.data).toString("utf8")}`);
  },
};

export const interactionCommands: ReadonlySet<string> = new Set(Object.keys(handlers));

/** A fresh world; answers what a command prints. */
export function interaction(): (command: Command) => string {
  const output = new Output();
  const world = new World(output);
  return (command) => {
    output.take();
    let failure: string | undefined;
    try {
      const handler = handlers[command.name];
      if (handler === undefined) throw new Error("unknown command");
      handler(world, command);
    } catch (thrown) {
      failure = thrown instanceof Error ? thrown.message : String(thrown);
    }
    if (failure !== undefined) {
      if (output.quiet) return failure;
      output.write(failure);
    }
    return output.take() || "ok";
  };
}
