/** The commands of interaction transcripts, on an InteractionCluster. */
import {
  type ConfState,
  type MessageType,
  message,
  proposal,
  type Snapshot,
} from "../../src/raft/core/mod.ts";
import { type Command, oneValue, plainArguments, valuesOf } from "./datadriven.ts";
import { InteractionCluster, type NodeOptions, refusalText } from "./interaction-cluster.ts";
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

type Handler = (cluster: InteractionCluster, command: Command) => void;

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
    throw new Error(`neither true nor false: ${text}`);
  return text === "true";
}

/** Runs `perform` for each id of the command, under a title if there are several. */
function each(title: string, perform: (cluster: InteractionCluster, id: number) => void): Handler {
  return (cluster, command) => {
    const peers = ids(command);
    for (const id of peers) {
      if (peers.length === 1) {
        perform(cluster, id);
        continue;
      }
      cluster.output.line(`> ${id} ${title}`);
      cluster.output.indented(() => perform(cluster, id));
    }
  };
}

function throwIfRefused(refusal: Parameters<typeof refusalText>[0] | undefined): void {
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

function addNodes(cluster: InteractionCluster, command: Command): void {
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
  for (let at = 0; at < count; at++) cluster.addNode(options(command), snapshot);
}

function deliverMessages(cluster: InteractionCluster, command: Command): void {
  const name = oneValue(command, "type");
  const type = Object.entries(messageNames).find(([, text]) => text === name)?.[0] as MessageType | undefined;
  if (name !== undefined && type === undefined) throw new Error(`unknown message type ${name}`);
  const recipients = ids(command).map((id) => ({ id, drop: false }));
  for (const id of valuesOf(command, "drop").map((word) => number(word))) {
    if (recipients.some((one) => one.id === id)) throw new Error(`can't both deliver and drop msgs to ${id}`);
    recipients.push({ id, drop: true });
  }
  if (cluster.deliver(recipients, type) === 0) cluster.output.line("no messages");
}

function proposeChange(cluster: InteractionCluster, command: Command): void {
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
  throwIfRefused(cluster.node(firstId(command)).core.proposeChange(change));
}

function stabilize(cluster: InteractionCluster, command: Command): void {
  const peers = ids(command);
  const level = oneValue(command, "log-level");
  const before = cluster.output.level;
  if (level !== undefined) cluster.output.level = parseLevel(level);
  try {
    cluster.stabilize(peers.length > 0 ? peers : cluster.nodes.map((_, at) => at + 1));
  } finally {
    cluster.output.level = before;
  }
}

function raftState(cluster: InteractionCluster): void {
  for (const { core } of cluster.nodes) {
    const { id, role, term, leader, configuration } = core.status();
    const votes = configuration.voters.includes(id) || configuration.votersOutgoing.includes(id);
    cluster.output.line(
      `${id}: ${roleName(role)} (${votes ? "Voter" : "Non-Voter"}) Term:${term} Lead:${leader}`,
    );
  }
}

function sendSnapshot(cluster: InteractionCluster, command: Command): void {
  const [from, to] = ids(command);
  const { core, storage } = cluster.node(number(String(from)));
  const snapshot = storage.snapshot();
  if (snapshot === undefined) throw new Error("snapshot is temporarily unavailable");
  const sent = message("snapshot", number(String(to)), { from: core.id, term: core.term, snapshot });
  cluster.messages.push(sent);
  cluster.output.write(messageText(sent));
}

const ticks =
  (count: (cluster: InteractionCluster, id: number) => number): Handler =>
  (cluster, command) => {
    const id = firstId(command);
    for (let left = count(cluster, id); left > 0; left--) cluster.node(id).core.tick();
  };

const handlers: Readonly<Record<string, Handler>> = {
  _breakpoint: () => {},
  "add-nodes": addNodes,
  campaign: (cluster, command) => cluster.node(firstId(command)).core.campaign(),
  compact(cluster, command) {
    const [id, newFirst] = ids(command);
    if (!cluster.node(number(String(id))).storage.compact(number(String(newFirst)))) {
      throw new Error("requested index is unavailable due to compaction");
    }
    cluster.raftLog(number(String(id)));
  },
  "deliver-msgs": deliverMessages,
  "forget-leader": (cluster, command) => cluster.node(firstId(command)).core.forgetLeader(),
  "log-level"(cluster, command) {
    cluster.output.level = parseLevel(plainArguments(command)[0] ?? "");
  },
  "process-ready": each("handling Ready", (cluster, id) => cluster.processReady(id)),
  "process-append-thread": each("processing append thread", (cluster, id) => cluster.processAppendThread(id)),
  "process-apply-thread": each("processing apply thread", (cluster, id) => cluster.processApplyThread(id)),
  propose(cluster, command) {
    const [id, data] = plainArguments(command);
    throwIfRefused(cluster.node(number(id)).core.propose([proposal(Buffer.from(data ?? ""))]));
  },
  "propose-conf-change": proposeChange,
  "raft-log": (cluster, command) => cluster.raftLog(firstId(command)),
  "raft-state": raftState,
  "report-unreachable"(cluster, command) {
    const [at, peer] = ids(command);
    cluster.node(number(String(at))).core.reportUnreachable(number(String(peer)));
  },
  "send-snapshot": sendSnapshot,
  "set-randomized-election-timeout"(cluster, command) {
    cluster.node(firstId(command)).core.setElectionTimeout(number(oneValue(command, "timeout")));
  },
  stabilize,
  status(cluster, command) {
    cluster.output.write(progressMapText(cluster.node(firstId(command)).core.status().progress ?? new Map()));
  },
  "tick-election": ticks((cluster, id) => cluster.node(id).config.electionTicks),
  "tick-heartbeat": ticks((cluster, id) => cluster.node(id).config.heartbeatTicks),
  "transfer-leadership"(cluster, command) {
    const [from, to] = [number(oneValue(command, "from")), number(oneValue(command, "to"))];
    cluster.node(from).core.transferLeader(to);
  },
  // Commands that only our own scenes use.
  crash: (cluster, command) => cluster.crash(firstId(command)),
  "leader-connection-lost"(cluster, command) {
    const [at, leader] = ids(command);
    cluster.node(number(String(at))).core.leaderConnectionLost(number(String(leader)));
  },
  "read-index"(cluster, command) {
    const [at, context] = ids(command);
    cluster.node(number(String(at))).core.readIndex(number(String(context)));
  },
  "report-snapshot"(cluster, command) {
    const [at, peer] = ids(command);
    cluster.node(number(String(at))).core.reportSnapshot(number(String(peer)), !flag(command, "failed"));
  },
  restart: (cluster, command) => cluster.restart(firstId(command)),
  "applied-state"(cluster, command) {
    const newest = cluster.node(firstId(command)).history.at(-1) as Snapshot;
    cluster.output.line(`${snapshotText(newest)} ${Buffer.from(newest.data).toString("utf8")}`);
  },
};

export const interactionCommands: ReadonlySet<string> = new Set(Object.keys(handlers));

/** Returns a handler with its own cluster. The handler returns the output of a command. */
export function interaction(): (command: Command) => string {
  const output = new Output();
  const cluster = new InteractionCluster(output);
  return (command) => {
    output.take();
    let failure: string | undefined;
    try {
      const handler = handlers[command.name];
      if (handler === undefined) throw new Error("unknown command");
      handler(cluster, command);
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
