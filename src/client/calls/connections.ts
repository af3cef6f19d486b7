/** One transport for each address, opened when it is first needed. At most 32; the least recently used one is closed. */
import type { Transport } from "@connectrpc/connect";

export interface Connection {
  readonly transport: Transport;
  /** Closes the connection and aborts its open requests. */
  close(): void;
  /** Whether the connection is still being made. Absent if the platform cannot tell. */
  isConnecting?(): boolean;
}

/** Creates a connection to `host:port`, or to an origin in a browser. It connects on the first call. */
export type Dial = (addr: string) => Connection;

const connectionsMax = 32;

export class Connections implements Disposable {
  readonly #dial: Dial;
  readonly #open = new Map<string, Connection>();

  constructor(dial: Dial) {
    this.#dial = dial;
  }

  to(addr: string): Transport {
    let connection = this.#open.get(addr);
    if (connection === undefined) connection = this.#dial(addr);
    else this.#open.delete(addr); // is inserted again below, as the most recently used
    this.#open.set(addr, connection);
    for (const [oldest, { close }] of this.#open) {
      if (this.#open.size <= connectionsMax) break;
      this.#open.delete(oldest);
      close();
    }
    return connection.transport;
  }

  isConnecting(addr: string): boolean {
    return this.#open.get(addr)?.isConnecting?.() ?? false;
  }

  [Symbol.dispose](): void {
    for (const { close } of this.#open.values()) close();
    this.#open.clear();
  }
}
