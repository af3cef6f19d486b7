/**
 * Opens the modules that make a node part of a cluster, in order: links to peers, the replica that uses them, gossip, and
 * NodeCluster, which connects the three and starts Raft once the node's cluster is known.
 */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { type AccessControl, logObject } from "../../access/mod.ts";
import type { ClusterView } from "../../api/mod.ts";
import { Fault } from "../../fault.ts";
import { prng, systemSeed } from "../../lib/prng.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Address } from "../../lib/value-kind.ts";
import { highestLevel } from "../../log/mod.ts";
import { type PeerHello, PeerNetwork, type PeerNetworkOptions, type PeerService } from "../../peer/mod.ts";
import type { Replica } from "../../replication/mod.ts";
import type { NodeTls } from "../../server/mod.ts";
import type { NodeTelemetry } from "../../telemetry/mod.ts";
import type { Config } from "../config/settings.ts";
import type { DataDirectory } from "../data-directory.ts";
import { Gossip } from "../gossip/gossip.ts";
import type { NodeReadiness } from "../node-readiness.ts";
import { openReplica } from "../open-replica.ts";
import { peerDial } from "../peer-dial.ts";
import { TicketDesk, type TicketDeskOptions, ticketsVerb } from "../tokens/ticket-desk.ts";
import { TokenAdmin, type TokenAdminOptions, tokensVerb } from "../tokens/token-admin.ts";
import { TokenRegistry } from "../tokens/token-registry.ts";
import { version } from "../version.ts";
import { clusterViewOf, type PeerContact } from "./cluster-view.ts";
import { forwardedCalls } from "./forwarded-calls.ts";
import { NodeCluster } from "./node-cluster.ts";

export interface OpenClusterOptions {
  readonly config: Config;
  readonly nodeName: string;
  readonly directory: DataDirectory;
  /** The address on which the port listens. */
  readonly bound: Address;
  /** The address that other nodes and clients get. */
  readonly rpcAddr: string;
  readonly tls: NodeTls | undefined;
  readonly access: AccessControl;
  /** Verifies the tokens of another issuer. Undefined: there is none. */
  readonly issuer: TicketDeskOptions["issuer"];
  readonly readiness: NodeReadiness;
  readonly telemetry: NodeTelemetry;
  readonly clock: Clock;
  /** Size of the log's caches and queues, as a share of their full size: 1/8 to 1. */
  readonly sizeShare: number;
}

export interface OpenedCluster extends AsyncDisposable {
  readonly network: PeerNetwork;
  readonly replica: Replica;
  readonly gossip: Gossip;
  readonly node: NodeCluster;
  /** The keys and the revocations of tokens on this node. */
  readonly tokens: TokenRegistry;
  readonly tokenAdmin: TokenAdmin;
  readonly tickets: TicketDesk;
  /** Reports changes of gossip too. */
  readonly view: ClusterView;
}

/** @throws Fault "config", "foreign-directory", "unsupported-version" or "corrupt" */
export async function openCluster(options: OpenClusterOptions): Promise<OpenedCluster> {
  const { config, nodeName, directory, bound, rpcAddr, access, readiness, telemetry, clock } = options;
  const { log: logger } = telemetry;
  await using opening = new AsyncDisposableStack();
  // Peers that ask before the parts below exist get a retryable error.
  let answer: PeerService["ask"] = () => Promise.reject(new Fault("unavailable"));
  let disowned: NonNullable<PeerNetworkOptions["onDisowned"]> = () => undefined;
  let self: () => PeerHello = () => {
    throw new Fault("unavailable");
  };
  const network = opening.use(
    openNetwork(options, {
      self: () => self(),
      serve: { ask: (...asked) => answer(...asked) },
      onDisowned: (...why) => disowned(...why),
    }),
  );
  const links = { transport: network, forwarder: network, time: network.time };
  const { sizeShare } = options;
  const replica = opening.use(
    openReplica({
      ...{ config, directory, telemetry, clock, sizeShare },
      ...{ name: nodeName, address: rpcAddr },
      ...links,
      membersWithout: (level) => network.membersWithout(level),
    }),
  );
  self = helloOf(replica, options);
  const { clusterId } = replica.state;
  const tags = { directory: replica.identity.directory, version, clusterId, rpcAddr };
  const gossip = opening.use(
    await Gossip.open({ config, nodeName, bound, directory: directory.path, tags, telemetry, clock }),
  );
  const node = opening.use(
    new NodeCluster({
      config,
      replica,
      self,
      network,
      gossip,
      readiness,
      authorize: (...asked) => access.authorize(...asked),
      clock,
      logger,
      newClusterId: randomUUID,
      clusterIdOf,
    }),
  );
  const tokens = openTokens(options, replica, network);
  opening.use(tokens.tokens);
  answer = answersOf(tokens, node);
  disowned = (fault, by) => node.disowned(fault, by);
  const view = gossip.withGossip(viewOf(replica, node, network, rpcAddr));
  const owned = opening.move();
  const parts = { network, replica, gossip, node, ...tokens, view };
  return { ...parts, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Answers the requests of peers. */
const answersOf =
  (
    { tokenAdmin, tickets }: Pick<OpenedCluster, "tokenAdmin" | "tickets">,
    node: NodeCluster,
  ): PeerService["ask"] =>
  async (verb, body, from) => {
    if (verb === tokensVerb) return tokenAdmin.answer(body);
    if (verb === ticketsVerb) return tickets.answer(body);
    return node.ask(verb, body, from);
  };

/** What this node knows of tokens, and how it is changed. */
function openTokens(
  { access, issuer, telemetry, clock }: Pick<OpenClusterOptions, "access" | "issuer" | "telemetry" | "clock">,
  replica: Replica,
  network: PeerNetwork,
): Pick<OpenedCluster, "tokens" | "tokenAdmin" | "tickets"> {
  const ask: TokenAdminOptions["ask"] = (at, verb, body, deadlineMs) =>
    network.ask(at, verb, body, { deadlineMs });
  const tokens = new TokenRegistry({
    logs: replica.log.named,
    commitIndex: () => replica.storedLog.commitIndex,
    onChange: () => access.recheck(),
    clock,
    logger: telemetry.log,
  });
  const tokenAdmin = new TokenAdmin({
    replica,
    registry: tokens,
    audience: () => replica.state.clusterId,
    ask,
    authorize: (...asked) => access.authorize(...asked),
    clock,
  });
  const tickets = new TicketDesk({
    node: replica.identity.name,
    addressOf: (name) => addressOf(replica, name),
    ask,
    ...{ source: tokens, issuer },
    random: randomBytes,
    clock,
  });
  return { tokens, tokenAdmin, tickets };
}

/** The address of a member; undefined if this node knows none of this name. */
function addressOf({ started, node }: Replica, name: string): string | undefined {
  if (!started) return undefined;
  return node.status().configuration.roster?.members.find((member) => member.name === name)?.address;
}

function openNetwork(
  { tls, access, telemetry, clock }: OpenClusterOptions,
  callbacks: Pick<PeerNetworkOptions, "self" | "serve" | "onDisowned">,
): PeerNetwork {
  return new PeerNetwork({
    ...callbacks,
    dial: peerDial(tls),
    authorize: (caller, action, log) => access.authorize(caller, log ?? logObject, action),
    begin: forwardedCalls(telemetry),
    clock,
    random: prng(systemSeed()),
    logger: telemetry.log,
    metrics: telemetry.metrics,
  });
}

/** Returns a function that makes the node's current hello for handshakes with peers. */
function helloOf(
  replica: Replica,
  { nodeName, rpcAddr, clock }: Pick<OpenClusterOptions, "nodeName" | "rpcAddr" | "clock">,
): () => PeerHello {
  return () => ({
    directory: replica.identity.directory,
    version,
    name: nodeName,
    clusterId: replica.state.clusterId,
    configured: replica.configured,
    address: rpcAddr,
    wallMs: clock.wallMs(),
    boot: replica.boots.claim,
    level: highestLevel,
    levelOfLog: replica.storedLog.state.logs.stagedLevel,
  });
}

function viewOf(replica: Replica, node: NodeCluster, network: PeerNetwork, rpcAddr: string): ClusterView {
  return clusterViewOf({
    replica,
    clusterId: () => node.clusterId,
    rpcAddr,
    version,
    contact: (name) => contactOf(network, name),
    progress: (name) => node.progress.of(name),
    refusals: () => refusalsOf(network, replica),
    fresh: () => node.progress.fresh(),
  });
}

function contactOf(network: PeerNetwork, name: string): PeerContact | undefined {
  const peer = network.peers().find((one) => one.name === name);
  if (peer === undefined) return undefined;
  // Infinity, before the first contact, is not a number that messages can carry.
  const lastContactMs = Math.min(peer.silentMs, Number.MAX_SAFE_INTEGER);
  return { version: peer.hello?.version ?? "", lastContactMs, alive: peer.connected };
}

/** Why this node takes no part, or which members refuse it because they belong to another cluster. */
function refusalsOf(network: PeerNetwork, replica: Replica): string[] {
  if (replica.membershipFault !== undefined) return [replica.membershipFault.message];
  const others = network.peers().filter(({ refusedFor }) => refusedFor === "other-cluster");
  if (others.length === 0) return [];
  return [
    `${others.map(({ refused }) => refused).join("; ")}. If their cluster was created again, by tailrace recover or from a backup, start this node with an empty data directory and the same flags; keep the old directory until its records are found in the cluster`,
  ];
}

/** Derives a cluster id in the form of a UUID from the initial members' directories. */
function clusterIdOf(directories: readonly string[]): string {
  const hash = createHash("sha256")
    .update([...directories].sort().join("\n"))
    .digest("hex");
  return [8, 12, 16, 20, 32].map((end, at, ends) => hash.slice(ends[at - 1] ?? 0, end)).join("-");
}
