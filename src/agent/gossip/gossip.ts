/**
 * Gossip in a node: membership on the node's own port (or one of its own), its tags, its seeds, its log lines, and
 * what the rest of the node sees of it.
 *
 *   const gossip = await Gossip.open(…)    UDP is bound; TCP comes through `doors`, or a listener of its own
 *   gossip.start()                         seeds are joined, in the background
 *   disposal                               without a word: SIGTERM does not leave a cluster
 *
 * A member without our role is an observer: an operator's `serf` agent. A node of another cluster is not let in.
 *
 * Never: makes anybody a learner or a voter; waits for a seed.
 */
import { join } from "node:path";
import { Fault } from "../../fault.ts";
import { systemDisk } from "../../lib/disk/system-disk.ts";
import type { Telemetry } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { type Address, isWildcard, printAddress } from "../../lib/value-kind.ts";
import { endpointText, type Member, type Membership, openMembership } from "../../membership/mod.ts";
import type { PeerDoors } from "../../server/mod.ts";
import type { ClusterView } from "../../types.ts";
import type { Config } from "../config/settings.ts";
import { advertisedHost } from "./advertised-host.ts";
import { logGossip } from "./gossip-log.ts";
import { measureGossip } from "./gossip-metrics.ts";
import { clusterAdmission, encodeNodeTags, type NodeTags, parseNodeTags } from "./node-tags.ts";
import { SeedJoiner } from "./seed-joiner.ts";
import { answerStatus } from "./status-query.ts";

export interface GossipOptions {
  readonly config: Pick<Config, "advertiseAddr" | "gossipAddr" | "encrypt" | "startJoinAddrs">;
  readonly nodeName: string;
  /** Where the one port listens, as bound. */
  readonly bound: Address;
  /** The data directory, ours and locked. */
  readonly directory: string;
  readonly tags: NodeTags;
  readonly telemetry: Pick<Telemetry, "log" | "metrics">;
  readonly clock: Clock;
}

/** A member, and what its tags say it is: undefined for an observer. A hint, never a proof. */
export interface GossipMember extends Member {
  readonly node: NodeTags | undefined;
}

/** The snapshot's name in the data directory. */
const snapshotFile = "gossip";

export class Gossip {
  readonly membership: Membership;
  /** For the listener: what comes to the one port, unless gossip has a port of its own. */
  readonly doors: Pick<PeerDoors, "gossip">;
  readonly #seeds: SeedJoiner;
  readonly #stops: (() => void)[];
  readonly #own: { tags: NodeTags };

  /** Throws Fault "config" when the port cannot be had, or a setting is not valid. */
  static async open(options: GossipOptions): Promise<Gossip> {
    const { config, nodeName, bound, directory, clock } = options;
    const own = { tags: options.tags };
    const shared = config.gossipAddr === undefined;
    const at = config.gossipAddr ?? bound;
    const advertise = await advertised(options, at);
    try {
      const membership = await openMembership({
        name: nodeName,
        host: at.host === "" ? "::" : at.host,
        port: at.port,
        listen: !shared,
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
    this.doors = config.gossipAddr === undefined ? { gossip: (socket) => membership.accept(socket) } : {};
    const seeds = config.startJoinAddrs.map(printAddress);
    this.#seeds = new SeedJoiner({ membership, seeds, clock, log: telemetry.log });
    this.#stops = [logGossip(membership, telemetry.log, clock), measureGossip(membership, telemetry.metrics)];
  }

  /** Joins the seeds and the cluster of a former life, again and again while nobody is there. Does not wait for them. */
  start(): void {
    void this.#seeds.start();
  }

  /** Everybody, ourselves included. */
  members(): readonly GossipMember[] {
    return this.membership.members().map((member) => ({ ...member, node: parseNodeTags(member.tags) }));
  }

  /** From now on of this cluster: tells the others, and keeps nodes of other clusters out. */
  async setClusterId(clusterId: string): Promise<void> {
    this.#own.tags = { ...this.#own.tags, clusterId };
    await this.membership.setTags(encodeNodeTags(this.#own.tags));
  }

  /** The same view, whose changes are those of gossip as well; it is also what the node answers when gossip asks. */
  withGossip(view: ClusterView): ClusterView {
    const { membership } = this;
    this.#stops.push(answerStatus(membership, view));
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
    this.#seeds[Symbol.dispose]();
    for (const stop of this.#stops) stop();
    await this.membership[Symbol.asyncDispose]();
  }
}

/** The address that others are told, where it differs from the one that is bound. Its name is waited for. */
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
  // A port that is picked only now: membership puts it behind a host alone.
  return host.includes(":") ? `[${host}]` : host;
}
