/**
 * The rooms that make a node one of a cluster, opened in order: links to peers, the replica over them, gossip, and what
 * binds the three.
 *
 * Never: starts Raft (NodeCluster does, once it is known in which cluster).
 */
import { createHash, randomUUID } from "node:crypto";
import { type AccessControl, logObject } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import { systemSeed } from "../../lib/chance.ts";
import { prng } from "../../lib/prng.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Address } from "../../lib/value-kind.ts";
import { type PeerHello, PeerNetwork, type PeerNetworkOptions, type PeerService } from "../../peer/mod.ts";
import type { Replica } from "../../replication/mod.ts";
import type { NodeTls } from "../../server/mod.ts";
import type { NodeTelemetry } from "../../telemetry/mod.ts";
import type { ClusterView } from "../../types.ts";
import type { Config } from "../config/settings.ts";
import type { DataDirectory } from "../data-directory.ts";
import { Gossip } from "../gossip/gossip.ts";
import type { NodeReadiness } from "../node-readiness.ts";
import { openReplica } from "../open-replica.ts";
import { peerDial } from "../peer-dial.ts";
import { version } from "../version.ts";
import { type Acquaintance, clusterViewOf } from "./cluster-view.ts";
import { forwardedCalls } from "./forwarded-calls.ts";
import { NodeCluster } from "./node-cluster.ts";

export interface OpenClusterOptions {
  readonly config: Config;
  readonly nodeName: string;
  readonly directory: DataDirectory;
  /** Where the one port listens, and what others are told. */
  readonly bound: Address;
  readonly rpcAddr: string;
  readonly tls: NodeTls | undefined;
  readonly access: AccessControl;
  readonly readiness: NodeReadiness;
  readonly telemetry: NodeTelemetry;
  readonly clock: Clock;
  /** Of the log's caches and queues, as a part of their full size. */
  readonly sizeShare: number;
}

export interface OpenedCluster extends AsyncDisposable {
  readonly network: PeerNetwork;
  readonly replica: Replica;
  readonly gossip: Gossip;
  readonly node: NodeCluster;
  /** Whose changes are those of gossip as well. */
  readonly view: ClusterView;
}

/** Throws Fault "config", "foreign-directory", "unsupported-version" and "corrupt". */
export async function openCluster(options: OpenClusterOptions): Promise<OpenedCluster> {
  const { config, nodeName, directory, bound, rpcAddr, access, readiness, telemetry, clock } = options;
  const { log: logger, metrics } = telemetry;
  await using opening = new AsyncDisposableStack();
  // Whoever asks before there is a cluster to answer for is told to come back.
  let answer: PeerService["ask"] = () => Promise.reject(new Fault("unavailable"));
  let disowned: NonNullable<PeerNetworkOptions["onDisowned"]> = () => undefined;
  let self: () => PeerHello = () => {
    throw new Fault("unavailable");
  };
  const network = opening.use(
    new PeerNetwork({
      self: () => self(),
      dial: peerDial(options.tls),
      serve: { ask: (...asked) => answer(...asked) },
      authorize: (caller, action) => access.authorize(caller, logObject, action),
      begin: forwardedCalls(telemetry),
      onDisowned: (...why) => disowned(...why),
      clock,
      random: prng(systemSeed()),
      logger,
      metrics,
    }),
  );
  const links = { transport: network, forwarder: network, time: network.time };
  const replica = opening.use(
    openReplica({
      config,
      directory,
      telemetry,
      clock,
      sizeShare: options.sizeShare,
      name: nodeName,
      address: rpcAddr,
      ...links,
    }),
  );
  const { state, identity } = replica;
  const own = { directory: identity.directory, version };
  self = () => ({
    ...own,
    name: nodeName,
    clusterId: state.clusterId,
    configured: replica.configured,
    address: rpcAddr,
    wallMs: clock.wallMs(),
    boot: replica.boots.claim,
  });
  const tags = { ...own, clusterId: state.clusterId, rpcAddr };
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
  answer = (verb, body, from) => node.ask(verb, body, from);
  disowned = (fault, by) => node.disowned(fault, by);
  const view = clusterViewOf({
    replica,
    clusterId: () => node.clusterId,
    rpcAddr,
    version,
    acquaintance: (name) => acquaintanceOf(network, name),
    told: (name) => node.extents.of(name),
    refusals: () => refusalsOf(network, replica),
    fresh: () => node.extents.fresh(),
  });
  const watched = gossip.withGossip(view);
  const owned = opening.move();
  return {
    network,
    replica,
    gossip,
    node,
    view: watched,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function acquaintanceOf(network: PeerNetwork, name: string): Acquaintance | undefined {
  const peer = network.peers().find((one) => one.name === name);
  if (peer === undefined) return undefined;
  // A number that messages can carry, where nothing was heard ever.
  const lastContactMs = Math.min(peer.silentMs, Number.MAX_SAFE_INTEGER);
  return { version: peer.hello?.version ?? "", lastContactMs, alive: peer.connected };
}

/** Why this node takes no part, or which members do not speak with it because they belong to another cluster. */
function refusalsOf(network: PeerNetwork, replica: Replica): string[] {
  if (replica.outside !== undefined) return [replica.outside.message];
  const others = network.peers().filter(({ refusedFor }) => refusedFor === "other-cluster");
  if (others.length === 0) return [];
  return [
    `${others.map(({ refused }) => refused).join("; ")}. When their cluster was made anew, by tailrace recover or of a backup, start this node with an empty data directory and the same flags; keep the old directory until its records are found there`,
  ];
}

/** One id, of the form of a UUID, wherever the same directories begin a cluster. */
function clusterIdOf(directories: readonly string[]): string {
  const hash = createHash("sha256")
    .update([...directories].sort().join("\n"))
    .digest("hex");
  return [8, 12, 16, 20, 32].map((end, at, ends) => hash.slice(ends[at - 1] ?? 0, end)).join("-");
}
