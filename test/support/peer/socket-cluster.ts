/**
 * Replicas over real sockets on loopback. Each node has a port, peer links and a simulated disk that outlives its process.
 * A test can kill and restart nodes and reset their connections.
 */
import { mkdirSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { heapMapper, systemMapper } from "../../../src/lib/disk/mapped-file.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { prng } from "../../../src/lib/prng.ts";
import type { Logger } from "../../../src/lib/telemetry.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { defaultSettings, highestLevel, type LogSettings, SyncPolicy } from "../../../src/log/mod.ts";
import {
  type PeerHello,
  PeerNetwork,
  type PeerNetworkOptions,
  type PeerService,
} from "../../../src/peer/mod.ts";
import { directoryText, Replica, type ReplicaOptions } from "../../../src/replication/mod.ts";
import { openStableStore } from "../../../src/store/mod.ts";
import { SimDisk } from "../disk/sim-disk.ts";
import { SimStableStore } from "../disk/sim-stable-store.ts";
import { until } from "../until.ts";

/** The running parts of a node, as in one process. */
export interface SocketProcess {
  readonly server: Server;
  readonly sockets: Set<Socket>;
  readonly network: PeerNetwork;
  readonly replica: Replica;
}

export interface SocketNode {
  readonly name: string;
  readonly port: number;
  readonly address: string;
  readonly disk: SimDisk;
  readonly store: SimStableStore;
  clusterId: string | undefined;
  /** Undefined while it is down. */
  up: SocketProcess | undefined;
  /** Offset of its wall clock, milliseconds. */
  clockOffMs: number;
}

export interface SocketClusterOptions {
  /** Directory for real disks of the nodes. Default: simulated disks. */
  readonly directory?: string;
  readonly settings?: Partial<LogSettings>;
  readonly replica?: Partial<ReplicaOptions>;
  readonly network?: Partial<PeerNetworkOptions>;
  readonly logger?: (name: string) => Logger;
  readonly serve?: (name: string) => PeerService;
}

const echo: PeerService = { ask: (verb, body) => Promise.resolve({ verb, body }) };

/** Starts a server on loopback that calls `onSocket` for each connection. */
export async function listen(port: number, onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, onSocket);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return server;
}

export const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** Connects to `host:port` like an agent in plaintext. */
export function dialPlain(address: string): Socket {
  const [host, port] = address.split(":") as [string, string];
  const socket = connect({ host, port: Number(port), noDelay: true });
  socket.write(Uint8Array.of(0xa7));
  return socket;
}

export class SocketCluster implements AsyncDisposable {
  readonly nodes: SocketNode[] = [];
  readonly #options: SocketClusterOptions;

  constructor(options: SocketClusterOptions = {}) {
    this.#options = options;
  }

  /** Opens `count` nodes that bootstrap one cluster, and waits for a leader. */
  static async open(count: number, options: SocketClusterOptions = {}): Promise<SocketCluster> {
    const cluster = new SocketCluster(options);
    for (let n = 0; n < count; n++) await cluster.add(`n${n}`);
    const members = cluster.nodes.map(({ up }) => up!.replica.member);
    for (const node of cluster.nodes) {
      node.clusterId = "c0ffee";
      node.up!.replica.bootstrap(members);
    }
    for (const { up } of cluster.nodes) up!.replica.start();
    // Saves an election timeout.
    await cluster.linked();
    cluster.nodes[0]!.up!.replica.node.campaign();
    await cluster.leader();
    return cluster;
  }

  /** A new node with an empty disk. It listens, and its replica is not started. */
  async add(name: string): Promise<SocketNode> {
    const reserved = await listen(0, (socket) => socket.destroy());
    const port = portOf(reserved);
    await new Promise((resolve) => reserved.close(resolve));
    const disk = new SimDisk(prng(name).stream("disk"));
    const node: SocketNode = {
      name,
      port,
      address: `127.0.0.1:${port}`,
      disk,
      store: new SimStableStore(disk),
      clusterId: undefined,
      up: undefined,
      clockOffMs: 0,
    };
    this.nodes.push(node);
    await this.start(node);
    return node;
  }

  /** Starts a node that is down: it listens, and its replica is open but not started. */
  async start(node: SocketNode): Promise<SocketProcess> {
    const { name, disk, store, address } = node;
    const {
      directory,
      settings,
      replica: replicaOptions,
      network: networkOptions,
      logger,
      serve,
    } = this.#options;
    const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + node.clockOffMs };
    const sockets = new Set<Socket>();
    const tracked = <T extends Socket>(socket: T): T => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => sockets.delete(socket));
      return socket;
    };
    const self = (): PeerHello => ({
      name,
      directory: replica.identity.directory,
      clusterId: node.clusterId,
      configured: replica.configured,
      version: "0.0.0-test",
      address,
      wallMs: clock.wallMs(),
      level: highestLevel,
    });
    const network = new PeerNetwork({
      self,
      dial: (to) => tracked(dialPlain(to)),
      clock,
      random: prng(`${name}/network`),
      serve: serve?.(name) ?? echo,
      ...(logger === undefined ? {} : { logger: logger(name) }),
      ...networkOptions,
    });
    const replica: Replica = Replica.open({
      ...(directory === undefined
        ? { directory: "/data", disk, store, mapper: heapMapper(disk), syncPolicy: new SyncPolicy(true) }
        : systemStorage(join(directory, name))),
      newDirectoryId: directoryIdOf(name),
      clock,
      random: prng(`${name}/${systemClock.monotonicMs()}`),
      name,
      address,
      settings: { ...defaultSettings, ...settings },
      reserveBytes: 0,
      transport: network,
      forwarder: network,
      time: network.time,
      raft: { tickMs: 5, electionTicks: 40, heartbeatTicks: 4 },
      ...(logger === undefined ? {} : { logger: logger(name) }),
      ...replicaOptions,
    });
    network.attach(replica);
    const server = await listen(node.port, (socket) => network.accept(tracked(socket), () => undefined));
    node.up = { server, sockets, network, replica };
    return node.up;
  }

  /** Kills a node: its sockets are reset, its port is closed, and unsynced bytes are lost. */
  async kill(node: SocketNode): Promise<void> {
    const { up } = node;
    if (up === undefined) return;
    node.up = undefined;
    up.server.close();
    for (const socket of up.sockets) socket.resetAndDestroy();
    await up.replica.node.close();
    await up.network[Symbol.asyncDispose]();
    node.disk.crash();
  }

  /** Restarts a killed node and its replica. */
  async restart(node: SocketNode): Promise<void> {
    const { replica } = await this.start(node);
    replica.start();
  }

  /** Resets every connection of a node. It still listens. */
  reset(node: SocketNode): void {
    for (const socket of node.up?.sockets ?? []) socket.resetAndDestroy();
  }

  /** Waits for a leader that is ready to append. */
  async leader(): Promise<SocketNode> {
    const find = (): SocketNode | undefined => this.nodes.find(({ up }) => up?.replica.ready === true);
    await until("there is a leader", () => find() !== undefined);
    return find()!;
  }

  followers(leader: SocketNode): SocketNode[] {
    return this.nodes.filter((node) => node !== leader && node.up !== undefined);
  }

  /** Waits until every running node has links to all others. */
  async linked(): Promise<void> {
    const up = this.nodes.filter((node) => node.up !== undefined);
    await until("all are linked", () =>
      up.every(({ up: process }) => {
        const peers = process!.network.peers().filter(({ name }) => up.some((node) => node.name === name));
        return peers.length === up.length - 1 && peers.every(({ connected }) => connected);
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { up } of this.nodes) {
      if (up === undefined) continue;
      up.server.close();
      await up.replica.close();
      await up.network[Symbol.asyncDispose]();
      for (const socket of up.sockets) socket.destroy();
    }
  }
}

function systemStorage(directory: string): Pick<ReplicaOptions, "directory" | "disk" | "store" | "mapper"> {
  const meta = join(directory, "meta");
  mkdirSync(meta, { recursive: true });
  const mapper = systemMapper() ?? heapMapper(systemDisk);
  return { directory, disk: systemDisk, store: openStableStore(meta), mapper };
}

/** The directory id of a node with this name in this cluster. */
export const directoryOf = (name: string): string => directoryText(directoryIdOf(name));

const directoryIdOf = (name: string): Buffer => Buffer.from(name.padEnd(16, "·").slice(0, 16), "latin1");
