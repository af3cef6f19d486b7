/**
 * A cluster of replicas in memory: simulated disks, a network whose nodes can be isolated, and the system clock with
 * short ticks.
 */
import { Fault } from "../../../src/fault.ts";
import { heapMapper } from "../../../src/lib/disk/mapped-file.ts";
import { prng } from "../../../src/lib/prng.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { defaultSettings, type LogSettings, SyncPolicy } from "../../../src/log/mod.ts";
import type { Message, RaftTransport } from "../../../src/raft/mod.ts";
import type { Forwarder } from "../../../src/replication/forwarder.ts";
import { Replica, type ReplicaOptions } from "../../../src/replication/mod.ts";
import { SimDisk } from "../disk/sim-disk.ts";
import { SimStableStore } from "../disk/sim-stable-store.ts";
import { until } from "../until.ts";

/** One node of a cluster in memory. Its disk and store survive a crash. */
export interface MemoryNode {
  readonly name: string;
  readonly disk: SimDisk;
  readonly store: SimStableStore;
  replica: Replica | undefined;
}

/** Replicas over a network that delivers messages in order and without delay. */
export class MemoryCluster implements AsyncDisposable {
  readonly nodes: MemoryNode[] = [];
  readonly #settings: LogSettings;
  readonly #options: Partial<ReplicaOptions>;
  readonly #cut = new Set<string>();
  /** The number of sent messages by type. */
  readonly sent = new Map<string, number>();
  /** Called when the leader has done a forwarded append. If it rejects, the caller gets that instead of the answer. */
  afterForward: () => Promise<void> = async () => {};

  constructor(settings: Partial<LogSettings> = {}, options: Partial<ReplicaOptions> = {}) {
    this.#settings = { ...defaultSettings, ...settings };
    this.#options = options;
  }

  /** Opens `count` nodes as one cluster and waits for a leader. */
  static async open(
    count: number,
    settings: Partial<LogSettings> = {},
    options: Partial<ReplicaOptions> = {},
  ): Promise<MemoryCluster> {
    const cluster = new MemoryCluster(settings, options);
    for (let n = 0; n < count; n++) cluster.add(`n${n}`);
    const members = cluster.nodes.map((node) => node.replica!.member);
    for (const { replica } of cluster.nodes) replica!.bootstrap(members);
    for (const { replica } of cluster.nodes) replica!.start();
    // Saves an election timeout.
    cluster.nodes[0]!.replica!.node.campaign();
    await cluster.leader();
    return cluster;
  }

  /** Adds a node with an empty disk and opens its replica. The caller starts it. */
  add(name: string): MemoryNode {
    const disk = new SimDisk(prng(name).stream("disk"));
    const node: MemoryNode = { name, disk, store: new SimStableStore(disk), replica: undefined };
    this.nodes.push(node);
    this.reopen(node);
    return node;
  }

  /** Opens a replica on this node's disk. The caller starts it. */
  reopen(node: MemoryNode): Replica {
    const replica = Replica.open({
      directory: "/data",
      disk: node.disk,
      store: node.store,
      mapper: heapMapper(node.disk),
      newDirectoryId: Buffer.from(node.name.padEnd(16, "·").slice(0, 16), "latin1"),
      clock: systemClock,
      random: prng(`${node.name}${this.nodes.length}`),
      name: node.name,
      address: `${node.name}:1`,
      settings: this.#settings,
      reserveBytes: 0,
      syncPolicy: new SyncPolicy(true),
      transport: this.#transport(node.name),
      forwarder: this.#forwarder(node.name),
      raft: { tickMs: 5, electionTicks: 20, heartbeatTicks: 4 },
      ...this.#options,
    });
    node.replica = replica;
    return replica;
  }

  /** Crashes a node. Unsynced data is lost, as in a power failure. */
  async crash(node: MemoryNode): Promise<void> {
    const { replica } = node;
    node.replica = undefined;
    // The node is unreachable at once. close() only frees its timers.
    await replica?.node.close();
    node.disk.crash();
  }

  /** Drops all messages between this node and the others. */
  isolate(name: string): void {
    this.#cut.add(name);
  }

  heal(): void {
    this.#cut.clear();
  }

  /** Waits for a leader that is ready and not isolated. */
  async leader(): Promise<MemoryNode> {
    const find = (): MemoryNode | undefined =>
      this.nodes.find(({ name, replica }) => replica?.ready === true && !this.#cut.has(name));
    await until("there is a leader", () => find() !== undefined);
    return find()!;
  }

  followers(leader: MemoryNode): MemoryNode[] {
    return this.nodes.filter((node) => node !== leader && node.replica !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { replica } of this.nodes) await replica?.close();
  }

  #reachable(from: string, to: string): Replica | undefined {
    if (this.#cut.has(from) || this.#cut.has(to)) return undefined;
    return this.nodes.find(({ name }) => name === to)?.replica;
  }

  #transport(from: string): RaftTransport {
    return {
      members: () => {},
      send: (message: Message) => {
        this.sent.set(message.type, (this.sent.get(message.type) ?? 0) + 1);
        systemClock.soon(() => {
          const to = this.nodes.find(({ replica }) => replica?.identity.peer === message.to);
          const replica = to === undefined ? undefined : this.#reachable(from, to.name);
          const sender = this.nodes.find(({ name }) => name === from)?.replica;
          if (message.snapshot === undefined) replica?.node.receive(message);
          else
            void replica?.rows
              .fetch(
                message.snapshot,
                async (range) => sender!.rows.read(range),
                () => {
                  replica.node.receive(message);
                  return replica.node.status().pendingSnapshot;
                },
              )
              .catch(() => undefined);
          if (message.type === "snapshot") {
            sender?.node.reportSnapshot(message.to, replica !== undefined);
          }
        });
      },
    };
  }

  #forwarder(from: string): Forwarder {
    const there = (leader: string): Replica => {
      const replica = this.#reachable(from, leader);
      if (replica === undefined) throw new Fault("unavailable", { message: "the leader cannot be reached" });
      return replica;
    };
    return {
      append: async (leader, run, { order: _, ...options }, signal) =>
        unlessReplaced(
          there(leader)
            .log.append(run, { ...options, forward: false, forwarded: true })
            .then((appended) => this.afterForward().then(() => appended)),
          signal,
        ),
      trim: async (leader, before, options, signal) =>
        unlessReplaced(there(leader).log.trim(before, { ...options, forward: false }), signal),
      changeLog: async (leader, change, options, signal) =>
        unlessReplaced(there(leader).log.named.change(change, { ...options, forward: false }), signal),
    };
  }
}

/** Returns the result, or rejects as interrupted when `signal` is aborted before. */
function unlessReplaced<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    answer.then(resolve, reject);
    signal?.addEventListener("abort", () => {
      reject(new Fault("interrupted", { message: "the leader was replaced", written: "unknown" }));
    });
  });
}
