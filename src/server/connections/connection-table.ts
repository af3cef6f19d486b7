/**
 * Decides which connections the port takes.
 *
 *   arriving → client | peer → gone        arriving: its first bytes or its handshake are not complete
 *
 * Clients have a common limit and one for each address and each name in a certificate. A client without a request is
 * ended for a new one once it has stalled. Peers do not compete with clients: their places and places to arrive stay free.
 */
import { clientOf } from "../../lib/names/client-network.ts";
import type { ConnectionLimits } from "./connection-limits.ts";

/** A connection in the table. */
export class TableConnection {
  /** The address, or the network of an IPv6 address: clientOf(). */
  readonly client: string;
  /** When it arrived, or when its last request ended; monotonic milliseconds. */
  sinceMs: number;
  /** Closes it. `reason` is a phrase whose subject is the connection. */
  end: (reason: string) => void;
  place: "arriving" | "client" | "peer" | "gone" = "arriving";
  groups: readonly ClientGroup[] = [];

  constructor(client: string, sinceMs: number, end: (reason: string) => void) {
    this.client = client;
    this.sinceMs = sinceMs;
    this.end = end;
  }
}

/** The clients with one address, or with one subject. */
interface ClientGroup {
  readonly name: string;
  clients: number;
  /** Connections without a request. The one that has waited longest is first. */
  readonly idle: Set<TableConnection>;
}

export class ConnectionTable {
  readonly #limits: ConnectionLimits;
  /** Client → its arriving connections, the oldest first. */
  readonly #arriving = new Map<string, Set<TableConnection>>();
  readonly #groups = new Map<string, ClientGroup>();
  readonly #idle = new Set<TableConnection>();
  #size = 0;
  #clients = 0;
  #peers = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get clients(): number {
    return this.#clients;
  }

  /** Takes a new connection. Returns undefined if there is no place. */
  arrive(address: string, nowMs: number, end: (reason: string) => void): TableConnection | undefined {
    const connection = new TableConnection(clientOf(address), nowMs, end);
    if (this.#size >= this.#limits.totalMax && !this.#freePlace(connection)) return undefined;
    const arriving = this.#arriving.get(connection.client);
    if (arriving === undefined) this.#arriving.set(connection.client, new Set([connection]));
    else arriving.add(connection);
    this.#size++;
    return connection;
  }

  /** Admits a client with `subject` as the name in its certificate, if it has one. Returns why it is refused, if it is. */
  admitClient(connection: TableConnection, subject: string | undefined, nowMs: number): string | undefined {
    if (connection.place !== "arriving") return "the connection is closed";
    const { clientsMax, perClientMax } = this.#limits;
    const names = [`address ${connection.client}`, ...(subject === undefined ? [] : [`subject ${subject}`])];
    for (const name of names) {
      const group = this.#groups.get(name);
      if (group === undefined || group.clients < perClientMax) continue;
      if (!this.#endStalled(group.idle, nowMs)) {
        return `${name} has ${group.clients} connections, the most that one client may have (--connections-per-client-max)`;
      }
    }
    if (this.#clients >= clientsMax && !this.#endStalled(this.#idle, nowMs)) {
      return `clients have ${this.#clients} connections, the most that this node takes (--connections-max)`;
    }
    this.#stopArriving(connection);
    connection.place = "client";
    connection.groups = names.map((name) => this.#group(name));
    for (const group of connection.groups) {
      group.clients++;
    }
    this.#clients++;
    this.idle(connection, nowMs);
    return undefined;
  }

  /** Admits a peer. Returns false if there are too many. */
  admitPeer(connection: TableConnection): boolean {
    if (connection.place !== "arriving" || this.#peers >= this.#limits.peersMax) return false;
    this.#stopArriving(connection);
    connection.place = "peer";
    this.#peers++;
    return true;
  }

  /** The connection has a request. */
  busy(connection: TableConnection): void {
    if (!this.#idle.delete(connection)) return;
    for (const group of connection.groups) group.idle.delete(connection);
  }

  /** The connection has no request. */
  idle(connection: TableConnection, nowMs: number): void {
    if (connection.place !== "client") return;
    connection.sinceMs = nowMs;
    this.#idle.add(connection);
    for (const group of connection.groups) group.idle.add(connection);
  }

  /** The connection is closed. */
  leave(connection: TableConnection): void {
    const { place } = connection;
    if (place === "gone") return;
    if (place === "arriving") this.#stopArriving(connection);
    else if (place === "peer") this.#peers--;
    else this.#stopClient(connection);
    connection.place = "gone";
    this.#size--;
  }

  #stopArriving(connection: TableConnection): void {
    const arriving = this.#arriving.get(connection.client);
    arriving?.delete(connection);
    if (arriving?.size === 0) this.#arriving.delete(connection.client);
  }

  #stopClient(connection: TableConnection): void {
    this.busy(connection);
    this.#clients--;
    for (const group of connection.groups) if (--group.clients === 0) this.#groups.delete(group.name);
  }

  #group(name: string): ClientGroup {
    const found = this.#groups.get(name);
    if (found !== undefined) return found;
    const group: ClientGroup = { name, clients: 0, idle: new Set() };
    this.#groups.set(name, group);
    return group;
  }

  /** Ends the connection that has been idle longest if it has stalled. Returns whether it did. */
  #endStalled(idle: ReadonlySet<TableConnection>, nowMs: number): boolean {
    for (const oldest of idle) {
      if (nowMs - oldest.sinceMs < this.#limits.stalledMs) return false;
      this.#end(oldest, "had no request while others waited");
      return true;
    }
    return false;
  }

  /**
   * Ends the oldest arriving connection of the client that has the most of them, if it has stalled or if the client of
   * `newcomer` has fewer. Returns whether it did.
   */
  #freePlace(newcomer: TableConnection): boolean {
    let most: ReadonlySet<TableConnection> | undefined;
    for (const arriving of this.#arriving.values()) {
      if (most === undefined || arriving.size > most.size) most = arriving;
    }
    const own = this.#arriving.get(newcomer.client)?.size ?? 0;
    for (const oldest of most ?? []) {
      const isStalled = newcomer.sinceMs - oldest.sinceMs >= this.#limits.stalledMs;
      if (!isStalled && most !== undefined && most.size <= own + 1) return false;
      this.#end(oldest, "sent no request while others waited");
      return true;
    }
    return false;
  }

  #end(connection: TableConnection, reason: string): void {
    this.leave(connection);
    connection.end(reason);
  }
}
