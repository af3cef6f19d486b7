/**
 * One transport for each address, made when first needed. Bounded: the one that was used longest ago is closed.
 *
 * Never: picks an address, retries.
 */
import type { Transport } from "@connectrpc/connect";

export interface Connection {
  readonly transport: Transport;
  /** Ends it with whatever is under way. */
  close(): void;
  /** Is it still being made? Absent where that cannot be known. */
  isConnecting?(): boolean;
}

/** Makes a connection to `host:port` (or, in a browser, an origin). It connects at its first call. */
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
    else this.#open.delete(addr);
    this.#open.set(addr, connection);
    for (const [oldest, { close }] of this.#open) {
      if (this.#open.size <= connectionsMax) break;
      this.#open.delete(oldest);
      close();
    }
    return connection.transport;
  }

  /** Is a connection to this address still being made? */
  isConnecting(addr: string): boolean {
    return this.#open.get(addr)?.isConnecting?.() ?? false;
  }

  [Symbol.dispose](): void {
    for (const { close } of this.#open.values()) close();
    this.#open.clear();
  }
}
