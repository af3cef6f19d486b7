/**
 * What an operator sees and can do. Of several nodes' answers, the one with the newest term counts.
 */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { Cluster, Log, type Server } from "../../src/gen/log/v1/log_pb.js";
import type { NodeConnections } from "./clients/node-connections.ts";
import type { Fleet, FleetNode } from "./fleet.ts";

const timeoutMs = 2_000;

export class Operator {
  readonly #fleet: Fleet;
  readonly #connections: NodeConnections;

  constructor(fleet: Fleet, connections: NodeConnections) {
    this.#fleet = fleet;
    this.#connections = connections;
  }

  /** The servers as the leader of the newest term reports them, else as another node does; empty if no node answers. */
  async servers(): Promise<readonly Server[]> {
    const settled = await Promise.allSettled(
      this.#fleet.running.map(async (node) => {
        const { servers } = await this.#log(node).getServers({}, { timeoutMs });
        const leader = servers.find(({ isLeader }) => isLeader);
        const term = servers.reduce((newest, server) => Math.max(newest, Number(server.term)), 0);
        // A removed node reports an old state.
        return { servers, leader, weight: 2 * term + (leader?.id === node.name ? 1 : 0) };
      }),
    );
    const answers = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const withLeader = answers.filter(({ leader }) => leader !== undefined);
    return withLeader.sort((a, b) => b.weight - a.weight)[0]?.servers ?? [];
  }

  async leader(): Promise<FleetNode | undefined> {
    const id = (await this.servers()).find(({ isLeader }) => isLeader)?.id;
    return this.#fleet.running.find(({ name }) => name === id);
  }

  /** The committed end of the log on this node; undefined if it does not answer. */
  async endOf(node: FleetNode): Promise<number | undefined> {
    try {
      return Number((await this.#log(node).describe({}, { timeoutMs })).nextOffset);
    } catch {
      return undefined;
    }
  }

  /** Are exactly the nodes of the fleet voters, each with all records? */
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

  /** Is this node a voter with nearly all records? */
  async isVoter(name: string): Promise<boolean> {
    const server = (await this.servers()).find(({ id }) => id === name);
    return server !== undefined && server.role !== "learner" && server.lag < 1_000n;
  }

  async transfer(to: FleetNode): Promise<void> {
    await (await this.#cluster()).transferLeadership({ to: to.name }, { timeoutMs: 5_000 });
  }

  /** Removes a node; resolves to whether it is removed. Undefined if the outcome is unknown. */
  async remove(name: string): Promise<boolean | undefined> {
    const cluster = await this.#cluster().catch(() => undefined);
    if (cluster === undefined) return undefined;
    try {
      await cluster.removeNode({ id: name }, { timeoutMs: 10_000 });
      return true;
    } catch (reason) {
      const { code } = ConnectError.from(reason);
      if (code === Code.NotFound) return true;
      return code === Code.FailedPrecondition ? false : undefined;
    }
  }

  /** The client of the leader. @throws Error if there is none */
  async #cluster() {
    const leader = await this.leader();
    if (leader === undefined) throw new Error("there is no leader to ask");
    return createClient(Cluster, this.#connections.transport(leader.addr, "grpc"));
  }

  #log(node: FleetNode) {
    return createClient(Log, this.#connections.transport(node.addr, "grpc"));
  }
}
