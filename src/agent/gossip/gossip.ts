/**
 * Gossip of a node: membership on the node's port (or a port of its own), with its tags, seeds, logs and metrics.
 *
 *   const gossip = await Gossip.open(…)    binds UDP; TCP comes from the shared port, or a listener of its own
 *   gossip.start()                         joins the seeds in the background
 *   disposal                               stops without leaving: SIGTERM does not leave the cluster
 *
 * A member without the role of a node is an observer, such as an operator's `serf` agent. Nodes of other clusters are
 * refused. Gossip never makes a member a learner or a voter.
 */
import { join } from "node:path";
import type { ClusterView } from "../../api/mod.ts";
import { Fault } from "../../fault.ts";
import { systemDisk } from "../../lib/disk/system-disk.ts";
import type { Telemetry } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { type Address, isWildcard, printAddress } from "../../lib/value-kind.ts";
import { endpointText, type Membership, type MemberView, openMembership } from "../../membership/mod.ts";
import type { PortHandlers } from "../../server/mod.ts";
import type { Config } from "../config/settings.ts";
import { advertisedHost } from "./advertised-host.ts";
import { logGossip } from "./gossip-log.ts";
import { measureGossip } from "./gossip-metrics.ts";
import { clusterAdmission, encodeNodeTags, type NodeTags, parseNodeTags } from "./node-tags.ts";
import { SeedJoiner } from "./seed-joiner.ts";
import { answerStatusQuery } from "./status-query.ts";

export interface GossipOptions {
  readonly config: Pick<Config, "advertiseAddr" | "gossipAddr" | "encrypt" | "startJoinAddrs">;
  readonly nodeName: string;
  /** The address to which the shared port is bound. */
  readonly bound: Address;
  /** The data directory, locked by this process. */
  readonly directory: string;
  readonly tags: NodeTags;
  readonly telemetry: Pick<Telemetry, "log" | "metrics">;
  readonly clock: Clock;
}

/** A member and its node tags, which are undefined for an observer. They are a hint. */
export interface GossipMember extends MemberView {
  readonly node: NodeTags | undefined;
}

/** Name of the snapshot file in the data directory. */
const snapshotFile = "gossip";

export class Gossip {
  readonly membership: Membership;
  /** Accepts gossip streams on the shared port. Empty if gossip has a port of its own. */
  readonly portHandlers: Pick<PortHandlers, "gossip">;
  readonly #seedJoiner: SeedJoiner;
  readonly #stops: (() => void)[];
  readonly #own: { tags: NodeTags };

  /** @throws Fault "config" if the port cannot be bound or a setting is invalid */
  static async open(options: GossipOptions): Promise<Gossip> {
    const { config, nodeName, bound, directory, clock } = options;
    const own = { tags: options.tags };
    const sharesPort = config.gossipAddr === undefined;
    const at = config.gossipAddr ?? bound;
    const advertise = await advertised(options, at);
    try {
      const membership = await openMembership({
        name: nodeName,
        host: at.host === "" ? "::" : at.host,
        port: at.port,
        listen: !sharesPort,
        tags: encodeNodeTags(own.tags),
        admission: clusterAdmission(() => own.tags.clusterId),
        snapshot: { disk: systemDisk, path: join(directory, snapshotFile) },
        clock,
        ...(advertise === undefined ? {} : { advertise }),
        ...(config.encrypt === undefined ? {} : { keys: [config.encrypt] }),
      });
      return new Gossip(membership, options, own);
    } catch (reason) {
      const fault = Fault.from(reason);
      throw new Fault("config", { message: fault.message, facts: fault.facts, cause: reason });
    }
  }

  private constructor(membership: Membership, options: GossipOptions, own: { tags: NodeTags }) {
    const { clock, config, telemetry } = options;
    this.membership = membership;
    this.#own = own;
    this.portHandlers =
      config.gossipAddr === undefined ? { gossip: (socket) => membership.accept(socket) } : {};
    const seeds = config.startJoinAddrs.map(printAddress);
    this.#seedJoiner = new SeedJoiner({ membership, seeds, clock, log: telemetry.log });
    this.#stops = [logGossip(membership, telemetry.log, clock), measureGossip(membership, telemetry.metrics)];
  }

  /** Starts to join the seeds and the members of the snapshot, in the background. */
  start(): void {
    void this.#seedJoiner.start();
  }

  /** All known members, this node included. */
  members(): readonly GossipMember[] {
    return this.membership.members().map((member) => ({ ...member, node: parseNodeTags(member.tags) }));
  }

  /** Sets the cluster tag. From now on, nodes of other clusters are refused. */
  async setClusterId(clusterId: string): Promise<void> {
    this.#own.tags = { ...this.#own.tags, clusterId };
    await this.membership.setTags(encodeNodeTags(this.#own.tags));
  }

  /** Returns the view with gossip's changes added to its own. The node answers the status query from it. */
  withGossip(view: ClusterView): ClusterView {
    const { membership } = this;
    this.#stops.push(answerStatusQuery(membership, view));
    return {
      get nodeId() {
        return view.nodeId;
      },
      get clusterId() {
        return view.clusterId;
      },
      get term() {
        return view.term;
      },
      get leaderId() {
        return view.leaderId;
      },
      get hasQuorum() {
        return view.hasQuorum;
      },
      nodes: () => view.nodes(),
      refusals: () => view.refusals?.() ?? [],
      fresh: async () => view.fresh?.(),
      onChange(listener) {
        const stopView = view.onChange(listener);
        const stopGossip = membership.onEvent((event) => {
          if (!("member" in event)) return;
          const { member } = event;
          listener({ name: member.name, change: event.kind, addr: endpointText(member) });
        });
        return () => {
          stopView();
          stopGossip();
        };
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#seedJoiner[Symbol.dispose]();
    for (const stop of this.#stops) stop();
    await this.membership[Symbol.asyncDispose]();
  }
}

/** Returns the address to advertise, or undefined if it is the bound one. Waits until its name is known. */
async function advertised(options: GossipOptions, at: Address): Promise<string | undefined> {
  const { advertiseAddr, gossipAddr } = options.config;
  if (advertiseAddr === undefined) return undefined;
  if (gossipAddr !== undefined && !isWildcard(gossipAddr.host)) return undefined;
  const host = await advertisedHost(advertiseAddr.host, {
    clock: options.clock,
    log: options.telemetry.log,
  });
  if (gossipAddr === undefined) {
    return printAddress({ host, port: advertiseAddr.port === 0 ? at.port : advertiseAddr.port });
  }
  if (gossipAddr.port !== 0) return printAddress({ host, port: gossipAddr.port });
  // The system chooses the port later. Membership adds it to a host without a port.
  return host.includes(":") ? `[${host}]` : host;
}
