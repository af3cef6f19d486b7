/**
 * A cluster of Raft nodes in memory and virtual time, with fixed seeds.
 */
import { prng } from "../../../src/lib/prng.ts";
import { type ConfState, emptyConfState, RaftNode, type RaftNodeOptions } from "../../../src/raft/mod.ts";
import { type VirtualClock, VirtualTime } from "../time/virtual-clock.ts";
import { MemoryHub, MemoryRaft } from "./memory-raft.ts";

export interface ClusterNode {
  node: RaftNode;
  raft: MemoryRaft;
  clock: VirtualClock;
  failure: unknown;
}

export class RaftCluster {
  readonly time = new VirtualTime();
  readonly hub = new MemoryHub(this.time.clock());
  readonly nodes = new Map<number, ClusterNode>();
  readonly options: Partial<RaftNodeOptions>;
  readonly configuration: ConfState;

  constructor(voters: number, options: Partial<RaftNodeOptions> = {}) {
    this.options = options;
    const peers = Array.from({ length: voters }, (_, at) => at + 1);
    this.configuration = {
      ...emptyConfState,
      voters: peers,
      roster: { members: peers.map(memberOf), nextPeer: voters + 1 },
    };
    for (const peer of peers) this.start(peer, this.configuration);
  }

  /** Starts a node, with its old storage if it had one. */
  start(peer: number, configuration: ConfState = emptyConfState): ClusterNode {
    const clock = this.time.clock();
    const raft = this.nodes.get(peer)?.raft.crashed(clock) ?? new MemoryRaft(clock, configuration);
    const made: ClusterNode = { raft, clock, failure: undefined, node: undefined as never };
    made.node = new RaftNode({
      peer,
      clock,
      random: prng(`cluster/${peer}/${this.time.now}`),
      storage: raft,
      machine: raft,
      transport: this.hub.transport(),
      onFailure: (cause) => {
        made.failure = cause;
      },
      ...this.options,
    });
    this.nodes.set(peer, made);
    this.hub.receivers.set(peer, (message) => made.node.receive(message, `directory-${message.from}`));
    made.node.start();
    return made;
  }

  /** Ends the process of a node. Its storage keeps what is durable. */
  crash(peer: number): void {
    this.at(peer).clock.stop();
    this.hub.receivers.delete(peer);
  }

  at(peer: number): ClusterNode {
    const found = this.nodes.get(peer);
    if (found === undefined) throw new Error(`no node ${peer}`);
    return found;
  }

  /** Advances the time, and lets promises settle. */
  async run(ms: number): Promise<void> {
    const end = this.time.now + ms;
    while (this.time.next !== undefined && this.time.next <= end) {
      this.time.step();
      await Promise.resolve();
      await Promise.resolve();
    }
    this.time.now = end;
  }

  /** Advances the time until `holds`; fails after a minute of virtual time. */
  async until(what: string, holds: () => boolean): Promise<void> {
    for (const end = this.time.now + 60_000; !holds(); ) {
      if (this.time.now > end) throw new Error(`not within a minute: ${what}`);
      await this.run(5);
    }
  }

  leader(): ClusterNode | undefined {
    const terms = [...this.nodes.values()].filter(({ node }) => node.isLeader);
    return terms.sort((a, b) => b.node.term - a.node.term)[0];
  }

  async elect(peer?: number): Promise<ClusterNode> {
    if (peer !== undefined) this.at(peer).node.campaign();
    await this.until("a leader that has committed", () => this.leader()?.node.committedInTerm === true);
    return this.leader() as ClusterNode;
  }
}

export const memberOf = (
  peer: number,
): { peer: number; name: string; directory: string; address: string } => ({
  peer,
  name: `node-${peer}`,
  directory: `directory-${peer}`,
  address: `127.0.0.1:${8000 + peer}`,
});
