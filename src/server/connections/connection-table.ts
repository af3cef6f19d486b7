/**
 * Who has a connection to the one port, and who gets the next one. Pure.
 *
 *   arriving → client | peer → gone        arriving: its first bytes or its handshake are not complete
 *
 * Clients have a limit together and one each: by address, and by the name in their certificate. One without a request
 * makes room for a newcomer once it has been so for a while. Peers of the cluster do not compete with clients: a place to
 * arrive, and places for peers, stay free however many clients there are.
 */
import type { ConnectionLimits } from "./connection-limits.ts";

/** A connection in the table. */
export class Connection {
  /** Who is at the other end: an address, or the network of an IPv6 address. */
  readonly client: string;
  /** Since when it is here, or has no request. */
  sinceMs: number;
  /** Closes it. */
  end: (why: string) => void;
  place: "arriving" | "client" | "peer" | "gone" = "arriving";
  shares: readonly Share[] = [];

  constructor(client: string, sinceMs: number, end: (why: string) => void) {
    this.client = client;
    this.sinceMs = sinceMs;
    this.end = end;
  }
}

/** The connections of one address, or of one subject. */
interface Share {
  readonly name: string;
  clients: number;
  /** Those without a request, the longest first. */
  readonly idle: Set<Connection>;
}

export class ConnectionTable {
  readonly #limits: ConnectionLimits;
  /** By client, the oldest first. */
  readonly #arriving = new Map<string, Set<Connection>>();
  readonly #shares = new Map<string, Share>();
  readonly #idle = new Set<Connection>();
  #size = 0;
  #clients = 0;
  #peers = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get clients(): number {
    return this.#clients;
  }

  /** A new connection, of which nothing is known yet; undefined when there is no place for it. */
  arrive(address: string, nowMs: number, end: (why: string) => void): Connection | undefined {
    const connection = new Connection(clientOf(address), nowMs, end);
    if (this.#size >= this.#limits.totalMax && !this.#makeRoom(connection)) return undefined;
    const arriving = this.#arriving.get(connection.client);
    if (arriving === undefined) this.#arriving.set(connection.client, new Set([connection]));
    else arriving.add(connection);
    this.#size++;
    return connection;
  }

  /** It is a client's, with this name in its certificate if it has one. Answers why it is refused, if it is. */
  admitClient(connection: Connection, subject: string | undefined, nowMs: number): string | undefined {
    if (connection.place !== "arriving") return "the connection is closed";
    const { clientsMax, perClientMax } = this.#limits;
    const names = [`address ${connection.client}`, ...(subject === undefined ? [] : [`subject ${subject}`])];
    for (const name of names) {
      const share = this.#shares.get(name);
      if (share === undefined || share.clients < perClientMax) continue;
      if (!this.#endStalled(share.idle, nowMs)) {
        return `${name} has ${share.clients} connections, no client may have more (--connections-per-client-max)`;
      }
    }
    if (this.#clients >= clientsMax && !this.#endStalled(this.#idle, nowMs)) {
      return `clients have ${this.#clients} connections, this node takes no more (--connections-max)`;
    }
    this.#stopArriving(connection);
    connection.place = "client";
    connection.shares = names.map((name) => this.#share(name));
    for (const share of connection.shares) {
      share.clients++;
    }
    this.#clients++;
    this.idle(connection, nowMs);
    return undefined;
  }

  /** It is a node's; false when there are too many of them. */
  admitPeer(connection: Connection): boolean {
    if (connection.place !== "arriving" || this.#peers >= this.#limits.peersMax) return false;
    this.#stopArriving(connection);
    connection.place = "peer";
    this.#peers++;
    return true;
  }

  /** It has a request under way. */
  busy(connection: Connection): void {
    if (!this.#idle.delete(connection)) return;
    for (const share of connection.shares) share.idle.delete(connection);
  }

  /** It has no request under way. */
  idle(connection: Connection, nowMs: number): void {
    if (connection.place !== "client") return;
    connection.sinceMs = nowMs;
    this.#idle.add(connection);
    for (const share of connection.shares) share.idle.add(connection);
  }

  /** It is closed. */
  leave(connection: Connection): void {
    const { place } = connection;
    if (place === "gone") return;
    if (place === "arriving") this.#stopArriving(connection);
    else if (place === "peer") this.#peers--;
    else this.#stopClient(connection);
    connection.place = "gone";
    this.#size--;
  }

  #stopArriving(connection: Connection): void {
    const arriving = this.#arriving.get(connection.client);
    arriving?.delete(connection);
    if (arriving?.size === 0) this.#arriving.delete(connection.client);
  }

  #stopClient(connection: Connection): void {
    this.busy(connection);
    this.#clients--;
    for (const share of connection.shares) if (--share.clients === 0) this.#shares.delete(share.name);
  }

  #share(name: string): Share {
    const found = this.#shares.get(name);
    if (found !== undefined) return found;
    const share: Share = { name, clients: 0, idle: new Set() };
    this.#shares.set(name, share);
    return share;
  }

  /** Ends the one that has been idle longest, if that is long enough. */
  #endStalled(idle: ReadonlySet<Connection>, nowMs: number): boolean {
    for (const oldest of idle) {
      if (nowMs - oldest.sinceMs < this.#limits.stalledMs) return false;
      this.#end(oldest, "had no request while others waited");
      return true;
    }
    return false;
  }

  /** Ends the oldest that is arriving of the client with most: if it stalls, or if the newcomer's client has fewer. */
  #makeRoom(newcomer: Connection): boolean {
    let most: ReadonlySet<Connection> | undefined;
    for (const arriving of this.#arriving.values()) {
      if (most === undefined || arriving.size > most.size) most = arriving;
    }
    const own = this.#arriving.get(newcomer.client)?.size ?? 0;
    for (const oldest of most ?? []) {
      const stalls = newcomer.sinceMs - oldest.sinceMs >= this.#limits.stalledMs;
      if (!stalls && most !== undefined && most.size <= own + 1) return false;
      this.#end(oldest, "did not say what it wants while others waited");
      return true;
    }
    return false;
  }

  #end(connection: Connection, why: string): void {
    this.leave(connection);
    connection.end(why);
  }
}

/** One client has one IPv4 address, or a network of 2^64 IPv6 addresses. */
export function clientOf(address: string): string {
  if (!address.includes(":")) return address;
  const v4 = address.slice(address.lastIndexOf(":") + 1);
  if (v4.includes(".")) return v4;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const behind = tail === "" ? 0 : tail.split(":").length;
    while (groups.length + behind < 8) groups.push("0");
    groups.push(...(tail === "" ? [] : tail.split(":")));
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}
