/**
 * The network between nodes of one machine. Each node advertises the address of a TCP and UDP proxy in front of it. The proxy
 * knows which node a connection comes from, so every pair of nodes has two links, one per direction, each with its own state.
 * Clients pass without faults. When a node is down, its proxy refuses connections too.
 */
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type LinkState, Pump } from "./pump.ts";
import { ownerOf } from "./socket-owner.ts";

const host = "127.0.0.1";
const healthy: LinkState = { cut: false, delayMs: 0 };

/** A node as the proxies see it. */
interface Port {
  readonly name: string;
  /** The port of the node. */
  readonly port: number;
  /** The advertised port. */
  readonly proxyPort: number;
  readonly datagrams: Datagrams;
  server: Server | undefined;
  pid: number | undefined;
}

interface ProxiedConnection {
  readonly from: string;
  readonly to: string;
  readonly pumps: readonly Pump[];
  readonly sockets: readonly Socket[];
}

export class Links implements AsyncDisposable {
  readonly #ports = new Map<string, Port>();
  readonly #state = new Map<string, LinkState>();
  readonly #connections = new Set<ProxiedConnection>();
  readonly passed = { connections: 0, datagrams: 0, lost: 0, resets: 0 };

  /** Adds a proxy for the node that will listen at `port`; resolves to the address to advertise. */
  async add(name: string, port: number, proxyPort: number): Promise<string> {
    const datagrams = createSocket("udp4");
    datagrams.bind(proxyPort, host);
    await once(datagrams, "listening");
    this.#ports.set(name, { name, port, proxyPort, datagrams, server: undefined, pid: undefined });
    datagrams.on("message", (bytes, { port: fromPort }) => this.#datagram(name, bytes, fromPort));
    return `${host}:${proxyPort}`;
  }

  /** The node runs now, in the process `pid`. */
  async up(name: string, pid: number): Promise<void> {
    const port = this.#at(name);
    port.pid = pid;
    if (port.server !== undefined) return;
    port.server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      this.#connected(port, socket);
    });
    port.server.listen(port.proxyPort, host);
    await once(port.server, "listening");
  }

  /** The node's process has ended: its connections are reset, and new ones are refused. */
  down(name: string): void {
    const port = this.#at(name);
    port.server?.close();
    port.server = undefined;
    port.pid = undefined;
    this.#end((connection) => connection.to === name || connection.from === name);
  }

  /** Sets the state of the link from `from` to `to`. */
  set(from: string, to: string, state: Partial<LinkState>): void {
    this.#state.set(key(from, to), { ...this.#between(from, to), ...state });
    this.#flow();
  }

  /** Makes all links healthy. */
  heal(): void {
    this.#state.clear();
    this.#flow();
  }

  /** Resets every connection between the two after `bytes` more bytes, usually in the middle of a frame. */
  reset(one: string, other: string, bytes: number): void {
    for (const { from, to, pumps } of this.#connections) {
      if (!(from === one && to === other) && !(from === other && to === one)) continue;
      this.passed.resets++;
      for (const pump of pumps) pump.resetAfter(bytes);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(() => true);
    for (const { server, datagrams } of this.#ports.values()) {
      server?.close();
      datagrams.close();
    }
  }

  #connected(port: Port, socket: Socket): void {
    const from = this.#sourceOf(socket, port);
    const onward = connect({ port: port.port, host, allowHalfOpen: true });
    const sockets = [socket, onward];
    const connection: ProxiedConnection = {
      from,
      to: port.name,
      sockets,
      pumps: [
        new Pump(socket, onward, () => this.#between(from, port.name)),
        new Pump(onward, socket, () => this.#between(port.name, from)),
      ],
    };
    this.passed.connections++;
    this.#connections.add(connection);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      one.setNoDelay(true);
      one.on("error", () => other.resetAndDestroy());
      one.on("close", (failed) => {
        this.#connections.delete(connection);
        if (failed) other.destroy();
      });
    }
    socket.resume();
  }

  /** The node at the other end of a connection, or "client". */
  #sourceOf(socket: Socket, to: Port): string {
    const nodes = [...this.#ports.values()].filter(({ pid }) => pid !== undefined);
    const pids = nodes.map(({ pid }) => pid as number);
    const owner = ownerOf(socket.remotePort ?? 0, to.proxyPort, pids);
    return nodes.find(({ pid }) => pid !== undefined && pid === owner)?.name ?? "client";
  }

  /** Forwards a datagram from the sender's proxy, so that its source is the sender's advertised address. */
  #datagram(to: string, bytes: Buffer, fromPort: number): void {
    const from = [...this.#ports.values()].find(({ port }) => port === fromPort);
    const target = this.#at(to);
    const { cut, delayMs } = from === undefined ? healthy : this.#between(from.name, to);
    if (cut) {
      this.passed.lost++;
      return;
    }
    this.passed.datagrams++;
    const send = (): void => {
      (from ?? target).datagrams.send(bytes, target.port, host, () => undefined);
    };
    if (delayMs === 0) send();
    else setTimeout(send, delayMs).unref();
  }

  #flow(): void {
    for (const { pumps } of this.#connections) for (const pump of pumps) pump.flow();
  }

  #end(which: (connection: ProxiedConnection) => boolean): void {
    for (const connection of [...this.#connections].filter(which))
      for (const socket of connection.sockets) socket.resetAndDestroy();
  }

  #at(name: string): Port {
    const port = this.#ports.get(name);
    if (port === undefined) throw new Error(`there is no node ${name}`);
    return port;
  }

  #between(from: string, to: string): LinkState {
    return this.#state.get(key(from, to)) ?? healthy;
  }
}

const key = (from: string, to: string): string => `${from} → ${to}`;
