/**
 * Gossip's way to the network: datagrams and streams on one port number.
 *
 * Never: decides, retries.
 */
import type { Socket } from "node:net";
import type { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Endpoint } from "../codec/address.ts";
import { decodePacket, encodePacket, type WireOptions } from "../codec/packet.ts";
import type { OutgoingDial, OutgoingPacket } from "../swim/duties.ts";
import { type Datagrams, faultOf, openDatagrams } from "./datagrams.ts";
import { type StreamLimits, Streams } from "./streams.ts";

/** What the mux of the one port hands over: a TCP socket with the bytes it looked at put back. */
export type AcceptedSocket = Socket;

export interface TransportOptions {
  readonly host: string;
  /** 0: one that is free for both UDP and TCP. */
  readonly port: number;
  /** False: streams come only through accept(), from the mux of the one port, which must be bound already. */
  readonly listen: boolean;
  readonly wire: WireOptions;
  readonly limits: StreamLimits;
  readonly clock: Clock;
}

export interface TransportHandlers {
  packet(from: Endpoint, messages: readonly Buffer[]): void;
  /** The answer to a message on a stream; undefined: none. May throw a Fault. */
  stream(from: Endpoint, message: Buffer): Buffer | undefined;
  /** Something came in that was not understood or not allowed. */
  refused(from: Endpoint, fault: Fault): void;
}

/** The port between the driver and the network; tests put a lossy one in front. */
export interface Transport {
  readonly bound: Endpoint;
  /** From here on, what comes in is handed over. */
  start(handlers: TransportHandlers): void;
  send(packet: OutgoingPacket): void;
  /** Resolves with the answer; rejects with a Fault. */
  dial(dial: OutgoingDial): Promise<Buffer>;
  accept(socket: AcceptedSocket): void;
  close(): Promise<void>;
}

const bindAttemptsMax = 20;

/** Throws Fault "unavailable" when the port is taken. */
export async function openTransport(options: TransportOptions): Promise<Transport> {
  for (let attempt = 1; ; attempt++) {
    const streams = new Streams(options.clock, options.wire, options.limits);
    try {
      const port = options.listen ? await streams.listen(options.host, options.port) : options.port;
      return wrap(options, await openDatagrams(options.host, port), streams);
    } catch (reason) {
      await streams.close();
      // With a port of the system's choice for TCP, the same number may be taken for UDP: choose again.
      if (options.port !== 0 || !options.listen || attempt === bindAttemptsMax) throw reason;
    }
  }
}

function wrap(options: TransportOptions, datagrams: Datagrams, streams: Streams): Transport {
  const { wire: wrapping } = options;
  return {
    bound: { host: options.host, port: datagrams.port },
    start(handlers) {
      streams.handlers = { answer: handlers.stream, refused: handlers.refused };
      datagrams.onDatagram = (from, bytes) => {
        try {
          handlers.packet(from, decodePacket(bytes, wrapping));
        } catch (reason) {
          handlers.refused(from, faultOf(reason));
        }
      };
    },
    send(packet) {
      datagrams.send(packet.to, encodePacket(packet.parts, wrapping, packet.crc));
    },
    dial: (dial) => streams.exchange(dial.to, dial.request, dial.timeoutMs),
    accept: (socket) => streams.accept(socket),
    async close() {
      await Promise.all([datagrams.close(), streams.close()]);
    },
  };
}
