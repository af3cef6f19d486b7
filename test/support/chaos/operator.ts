/**
 * What an operator of the cluster sees and can do, asked of whatever node answers.
 *
 * Never: believes a node that has not heard of a newer term.
 */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Cluster, Log, type Server } from "../../../src/gen/log/v1/log_pb.js";
import type { Fleet, FleetNode } from "./fleet.ts";

const timeoutMs = 2_000;

export class Operator {
  readonly #fleet: Fleet;
  readonly #transports = new Map<string, ReturnType<typeof createGrpcTransport>>();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** The cluster as the node with the newest term tells it; empty when none answers. */
  async servers(): Promise<readonly Server[]> {
    const told = await Promise.allSettled(
      this.#fleet.running.map(async (node) => (await this.#log(node).getServers({}, { timeoutMs })).servers),
    );
    const answers = told.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const termOf = (servers: readonly Server[]): bigint =>
      servers.reduce((term, server) => (server.term > term ? server.term : term), 0n);
    const withLeader = answers.filter((servers) => servers.some(({ isLeader }) => isLeader));
    return withLeader.sort((a, b) => Number(termOf(b) - termOf(a)))[0] ?? [];
  }

  async leader(): Promise<FleetNode | undefined> {
    const id = (await this.servers()).find(({ isLeader }) => isLeader)?.id;
    return this.#fleet.running.find(({ name }) => name === id);
  }

  /** The committed end as this node has it; undefined when it does not answer. */
  async endOf(node: FleetNode): Promise<number | undefined> {
    try {
      return Number((await this.#log(node).describe({}, { timeoutMs })).nextOffset);
    } catch {
      return undefined;
    }
  }

  /** Are exactly the nodes of the fleet voters, and has each everything? */
  async isWhole(): Promise<boolean> {
    const servers = await this.servers();
    const { nodes } = this.#fleet;
    const named = servers.map(({ id }) => id).sort();
    if (
      named.join() !==
      nodes
        .map(({ name }) => name)
        .sort()
        .join()
    )
      return false;
    if (servers.some(({ role }) => role !== "leader" && role !== "follower")) return false;
    const ends = await Promise.all(nodes.map((node) => this.endOf(node)));
    return ends.every((end) => end !== undefined && end === ends[0]);
  }

  /** Is this node a voter that has nearly everything? */
  async isVoter(name: string): Promise<boolean> {
    const server = (await this.servers()).find(({ id }) => id === name);
    return server !== undefined && server.role !== "learner" && server.lag < 1_000n;
  }

  async transfer(to: FleetNode): Promise<void> {
    await (await this.#cluster()).transferLeadership({ to: to.name }, { timeoutMs: 5_000 });
  }

  async remove(name: string): Promise<void> {
    await (await this.#cluster()).removeNode({ id: name }, { timeoutMs: 10_000 });
  }

  /** The leader's; throws when there is none. */
  async #cluster() {
    const leader = await this.leader();
    if (leader === undefined) throw new Error("there is no leader to ask");
    return createClient(Cluster, this.#transport(leader));
  }

  #log(node: FleetNode) {
    return createClient(Log, this.#transport(node));
  }

  #transport({ addr }: FleetNode): ReturnType<typeof createGrpcTransport> {
    let transport = this.#transports.get(addr);
    if (transport === undefined) {
      transport = createGrpcTransport({
        baseUrl: `http://${addr}`,
        pingIntervalMs: 3_000,
        pingTimeoutMs: 2_000,
      });
      this.#transports.set(addr, transport);
    }
    return transport;
  }
}
