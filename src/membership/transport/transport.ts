/** The network of gossip: datagrams and streams on one port number. */
import type { Socket } from "node:net";
import type { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Endpoint } from "../codec/address.ts";
import { decodePacket, encodePacket, type WireOptions } from "../codec/packet.ts";
import type { OutgoingDial, OutgoingPacket } from "../swim/outgoing.ts";
import { type Datagrams, openDatagrams } from "./datagrams.ts";
import { handlerFault } from "./faults.ts";
import { type StreamLimits, Streams } from "./streams.ts";

/** A TCP socket of the shared port. The bytes that were read to detect the protocol are put back. */
export type AcceptedSocket = Socket;

export interface TransportOptions {
  readonly host: string;
  /** 0: a port that is free for both UDP and TCP. */
  readonly port: number;
  /** If false, streams come only through accept(), from the shared port, which must be bound already. */
  readonly listen: boolean;
  readonly wire: WireOptions;
  readonly limits: StreamLimits;
  readonly clock: Clock;
}

export interface TransportHandlers {
  onPacket(from: Endpoint, messages: readonly Buffer[]): void;
  /** Returns the reply to a message on a stream, or undefined for no reply. May throw a Fault. */
  onStream(from: Endpoint, message: Buffer): Buffer | undefined;
  /** Something was received that is malformed or not allowed. */
  onProblem(from: Endpoint, fault: Fault): void;
}

/** The port between the driver and the network. Tests replace it. */
export interface Transport {
  readonly bound: Endpoint;
  /** Starts to call the handlers. */
  start(handlers: TransportHandlers): void;
  send(packet: OutgoingPacket): void;
  /** Resolves with the reply, or rejects with a Fault. */
  dial(dial: OutgoingDial): Promise<Buffer>;
  accept(socket: AcceptedSocket): void;
  close(): Promise<void>;
}

const bindAttemptsMax = 20;

/** @throws Fault "unavailable" if the port is in use */
export async function openTransport(options: TransportOptions): Promise<Transport> {
  for (let attempt = 1; ; attempt++) {
    const streams = new Streams(options.clock, options.wire, options.limits);
    try {
      const port = options.listen ? await streams.listen(options.host, options.port) : options.port;
      return wrap(options, await openDatagrams(options.host, port), streams);
    } catch (reason) {
      await streams.close();
      // The port that the system chose for TCP can be in use for UDP. Then it has to choose again.
      if (options.port !== 0 || !options.listen || attempt === bindAttemptsMax) throw reason;
    }
  }
}

function wrap(options: TransportOptions, datagrams: Datagrams, streams: Streams): Transport {
  const { wire } = options;
  return {
    bound: { host: options.host, port: datagrams.port },
    start(handlers) {
      streams.handlers = handlers;
      datagrams.onDatagram = (from, bytes) => {
        try {
          handlers.onPacket(from, decodePacket(bytes, wire));
        } catch (reason) {
          handlers.onProblem(from, handlerFault(reason));
        }
      };
    },
    send(packet) {
      datagrams.send(packet.to, encodePacket(packet.parts, wire, packet.crc));
    },
    dial: (dial) => streams.exchange(dial.to, dial.request, dial.timeoutMs),
    accept: (socket) => streams.accept(socket),
    async close() {
      await Promise.all([datagrams.close(), streams.close()]);
    },
  };
}
