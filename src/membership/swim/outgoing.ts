/** What the core asks its driver to send. */
import type { Endpoint } from "../codec/address.ts";

/** One datagram, best effort. The driver does not report whether it was sent. */
export interface OutgoingPacket {
  readonly to: Endpoint;
  /** Messages, to be encoded as one datagram. */
  readonly parts: readonly Buffer[];
  /** The receiver understands the checksum layer. */
  readonly crc: boolean;
}

/** One request and one reply on a stream. The driver always reports the result by `dialDone(id, …)`. */
export interface OutgoingDial {
  readonly id: number;
  readonly to: Endpoint;
  readonly request: Buffer;
  readonly timeoutMs: number;
}
