/**
 * The network between nodes of one machine: in front of each node stands a proxy, TCP and UDP, whose address the node
 * advertises. It knows which node a connection comes from, so every pair of nodes has two links, one a direction, each
 * with a state of its own. Clients pass as well, always well.
 *
 * A stopped process looks as it does without a proxy: where a node listens no more, the proxy does not either.
 *
 * Never: looks into what is spoken.
 */
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Pump, type LinkState } from "./pump.ts";
import { ownerOf } from "./socket-owner.ts";

const host = "127.0.0.1";
const fair: LinkState = { cut: false, delayMs: 0 };

/** A node as the proxies see it. */
interface Port {
  readonly name: string;
  /** Where the node listens … */
  readonly port: number;
  /** … and where everybody believes it to. */
  readonly proxyPort: number;
  readonly datagrams: Datagrams;
  server: Server | undefined;
  pid: number | undefined;
}

interface Passage {
  readonly from: string;
  readonly to: string;
  readonly pumps: readonly Pump[];
  readonly sockets: readonly Socket[];
}

export class Links implements AsyncDisposable {
  readonly #ports = new Map<string, Port>();
  readonly #state = new Map<string, LinkState>();
  readonly #passages = new Set<Passage>();
  readonly passed = { connections: 0, datagrams: 0, lost: 0, resets: 0 };

  /** Stands before the node of this name, which will listen at `port`. Answers the address to advertise. */
  async add(name: string, port: number, proxyPort: number): Promise<string> {
    const datagrams = createSocket("udp4");
    datagrams.bind(proxyPort, host);
    await once(datagrams, "listening");
    this.#ports.set(name, { name, port, proxyPort, datagrams, server: undefined, pid: undefined });
    datagrams.on("message", (bytes, { port: fromPort }) => this.#datagram(name, bytes, fromPort));
    return `${host}:${proxyPort}`;
  }

  /** The node listens now, in this process. */
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

  /** The node's process is gone: its connections are reset, and new ones are refused. */
  down(name: string): void {
    const port = this.#at(name);
    port.server?.close();
    port.server = undefined;
    port.pid = undefined;
    this.#end((passage) => passage.to === name || passage.from === name);
  }

  /** What becomes from now on of what `from` sends to `to`. */
  set(from: string, to: string, state: Partial<LinkState>): void {
    this.#state.set(key(from, to), { ...this.#between(from, to), ...state });
    this.#flow();
  }

  /** Fair state everywhere. */
  heal(): void {
    this.#state.clear();
    this.#flow();
  }

  /** Resets every connection between the two after some more bytes: in the middle of a frame, most likely. */
  reset(one: string, other: string, bytes: number): void {
    for (const { from, to, pumps } of this.#passages) {
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
    const passage: Passage = {
      from,
      to: port.name,
      sockets,
      pumps: [
        new Pump(socket, onward, () => this.#between(from, port.name)),
        new Pump(onward, socket, () => this.#between(port.name, from)),
      ],
    };
    this.passed.connections++;
    this.#passages.add(passage);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      one.setNoDelay(true);
      one.on("error", () => other.resetAndDestroy());
      one.on("close", (failed) => {
        this.#passages.delete(passage);
        if (failed) other.destroy();
      });
    }
    socket.resume();
  }

  /** The node at the other end of a connection; anybody else is a client. */
  #sourceOf(socket: Socket, to: Port): string {
    const nodes = [...this.#ports.values()].filter(({ pid }) => pid !== undefined);
    const pids = nodes.map(({ pid }) => pid as number);
    const owner = ownerOf(socket.remotePort ?? 0, to.proxyPort, pids);
    return nodes.find(({ pid }) => pid !== undefined && pid === owner)?.name ?? "client";
  }

  /** Goes on from the proxy of whoever sent it, so that its source is the address that the sender advertises. */
  #datagram(to: string, bytes: Buffer, fromPort: number): void {
    const from = [...this.#ports.values()].find(({ port }) => port === fromPort);
    const target = this.#at(to);
    const { cut, delayMs } = from === undefined ? fair : this.#between(from.name, to);
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
    for (const { pumps } of this.#passages) for (const pump of pumps) pump.flow();
  }

  #end(which: (passage: Passage) => boolean): void {
    for (const passage of [...this.#passages].filter(which))
      for (const socket of passage.sockets) socket.resetAndDestroy();
  }

  #at(name: string): Port {
    const port = this.#ports.get(name);
    if (port === undefined) throw new Error(`there is no node ${name}`);
    return port;
  }

  #between(from: string, to: string): LinkState {
    return this.#state.get(key(from, to)) ?? fair;
  }
}

const key = (from: string, to: string): string => `${from} → ${to}`;
