/**
 * Replicas for tests: one alone on the system's disk, or several on simulated disks over a network in memory that
 * can be cut. Time is the machine's, with short ticks.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../src/fault.ts";
import { heapMapper, systemMapper } from "../../src/lib/disk/mapped-file.ts";
import { systemDisk } from "../../src/lib/disk/system-disk.ts";
import { prng } from "../../src/lib/prng.ts";
import { delay, systemClock } from "../../src/lib/time/clock.ts";
import { defaultSettings, type LogSettings, SyncPolicy } from "../../src/log/mod.ts";
import type { Message, RaftTransport } from "../../src/raft/mod.ts";
import { Replica, type ReplicaOptions } from "../../src/replication/mod.ts";
import type { Forwarder } from "../../src/replication/replicated-log.ts";
import { openLmdbStore } from "../../src/store/lmdb-store.ts";
import { SimDisk } from "./sim-disk.ts";
import { SimStableStore } from "./sim-stable-store.ts";

const nobodyElse: Forwarder = {
  append: () => Promise.reject(new Fault("unavailable")),
  trim: () => Promise.reject(new Fault("unavailable")),
};
const nowhere: RaftTransport = { send: () => {}, members: () => {} };

export interface OpenedReplica extends AsyncDisposable {
  readonly replica: Replica;
}

/** Waits until something holds, within a generous limit. */
export async function until(what: string, holds: () => boolean, limitMs = 20_000): Promise<void> {
  const started = systemClock.monotonicMs();
  while (!holds()) {
    if (systemClock.monotonicMs() - started > limitMs) throw new Error(`waited too long until ${what}`);
    await delay(systemClock, 2);
  }
}

/** A group of one on the system's disk, ready to append. */
export async function openAlone(
  directory: string,
  settings: Partial<LogSettings> = {},
  options: Partial<ReplicaOptions> = {},
): Promise<OpenedReplica> {
  mkdirSync(join(directory, "meta"), { recursive: true });
  const store = openLmdbStore(join(directory, "meta"));
  const replica = Replica.open({
    directory,
    disk: systemDisk,
    store,
    mapper: systemMapper() ?? heapMapper(systemDisk),
    newDirectoryId: randomBytes(16),
    clock: systemClock,
    random: prng(directory),
    name: "alone",
    address: "127.0.0.1:1",
    settings: { ...defaultSettings, ...settings },
    reserveBytes: 0,
    transport: nowhere,
    forwarder: nobodyElse,
    ...options,
  });
  if (!replica.configured) replica.bootstrap([replica.member]);
  replica.start();
  await until("the only node leads", () => replica.ready);
  return {
    replica,
    async [Symbol.asyncDispose]() {
      await replica.close();
      await store.close();
    },
  };
}

/** One node of a cluster in memory: its disk outlives its process. */
export interface MemoryNode {
  readonly name: string;
  readonly disk: SimDisk;
  readonly store: SimStableStore;
  replica: Replica | undefined;
}

/** Several replicas over a network that delivers in order, late by nothing, unless it is cut. */
export class MemoryCluster implements AsyncDisposable {
  readonly nodes: MemoryNode[] = [];
  readonly #settings: LogSettings;
  readonly #options: Partial<ReplicaOptions>;
  readonly #cut = new Set<string>();
  /** Frames of this kind that were sent, for tests that count. */
  readonly sent = new Map<string, number>();

  constructor(settings: Partial<LogSettings> = {}, options: Partial<ReplicaOptions> = {}) {
    this.#settings = { ...defaultSettings, ...settings };
    this.#options = options;
  }

  /** Opens `count` nodes that begin as one cluster, and waits until one leads. */
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
    await cluster.leader();
    return cluster;
  }

  /** A new node with an empty disk, not started. */
  add(name: string): MemoryNode {
    const disk = new SimDisk(prng(name).stream("disk"));
    const node: MemoryNode = { name, disk, store: new SimStableStore(disk), replica: undefined };
    this.nodes.push(node);
    this.reopen(node);
    return node;
  }

  /** Opens the replica on this node's disk; the caller starts it. */
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

  /** Ends the process of a node; what was not synced is lost as a power cut would. */
  async crash(node: MemoryNode): Promise<void> {
    const { replica } = node;
    node.replica = undefined;
    // The process is gone for the others at once; closing only frees its timers.
    await replica?.node.close();
    node.disk.crash();
  }

  /** Nothing passes between this node and the others any more. */
  isolate(name: string): void {
    this.#cut.add(name);
  }

  heal(): void {
    this.#cut.clear();
  }

  /** The node that leads and is ready to append, once there is one among those that are not cut off. */
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
          replica?.node.receive(message);
          if (message.type === "snapshot") {
            const sender = this.nodes.find(({ name }) => name === from)?.replica;
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
          there(leader).log.append(run, { ...options, forward: false, forwarded: true }),
          signal,
        ),
      trim: async (leader, before, options, signal) =>
        unlessReplaced(there(leader).log.trim(before, { ...options, forward: false }), signal),
    };
  }
}

/** The answer, unless the caller stops waiting before. */
function unlessReplaced<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    answer.then(resolve, reject);
    signal?.addEventListener("abort", () => {
      reject(new Fault("interrupted", { message: "the leader was replaced", written: "unknown" }));
    });
  });
}
