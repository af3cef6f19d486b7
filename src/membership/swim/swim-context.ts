/**
 * What all parts of the core share: the local member's name and address, time, randomness, the table of members, the
 * counters, and the packets and dials that the driver has yet to take.
 */
import { Fault } from "../../fault.ts";
import type { Prng } from "../../lib/prng.ts";
import { type Endpoint, isUnicast } from "../codec/address.ts";
import type { Sender } from "../codec/messages.ts";
import { type Counters, newCounters } from "./counters.ts";
import { NodeTable } from "./node-table.ts";
import type { OutgoingDial, OutgoingPacket } from "./outgoing.ts";
import { Schedule } from "./schedule.ts";
import type { Timing } from "./timing.ts";

export interface SwimContextOptions {
  /** Name of the local member, and the address at which others reach it. */
  readonly name: string;
  readonly at: Endpoint;
  readonly timing: Timing;
  readonly prng: Prng;
  /** Most bytes of the messages of one datagram, without its layers. */
  readonly packetBytes: number;
  readonly membersMax: number;
  /** Machine time, monotonic. */
  readonly nowMs: number;
}

/** The reply to a dial, or why there is none. */
export type DialResult = Buffer | Fault;

/** Most dials under way. More fail at once. */
const dialsMax = 64;

export class SwimContext {
  readonly self: Sender;
  readonly timing: Timing;
  readonly prng: Prng;
  readonly packetBytes: number;
  readonly membersMax: number;
  readonly schedule: Schedule;
  readonly table: NodeTable;
  readonly counters: Counters = newCounters();
  #packets: OutgoingPacket[] = [];
  #dials: OutgoingDial[] = [];
  #dialId = 0;
  readonly #dialing = new Map<number, (result: DialResult) => void>();

  constructor(options: SwimContextOptions) {
    this.self = { name: options.name, ...options.at };
    this.timing = options.timing;
    this.prng = options.prng;
    this.packetBytes = options.packetBytes;
    this.membersMax = options.membersMax;
    this.schedule = new Schedule(options.nowMs, options.timing.stallMs);
    this.table = new NodeTable(options.prng.stream("table"), options.membersMax);
  }

  /** Queues a packet. Messages can name the address of their reply, so only unicast addresses get one. */
  send(to: Endpoint, parts: readonly Buffer[], crc: boolean): void {
    if (!isUnicast(to.host)) {
      this.counters.implausible++;
      return;
    }
    this.counters.packetsOut++;
    this.counters.messagesOut += parts.length;
    this.#packets.push({ to: { host: to.host, port: to.port }, parts, crc });
  }

  /** Queues a request and reply on a stream. `done` is called exactly once; at once if too many are under way. */
  dial(to: Endpoint, request: Buffer, timeoutMs: number, done: (result: DialResult) => void): void {
    if (this.#dialing.size >= dialsMax) {
      this.counters.overflow++;
      done(new Fault("overloaded", { message: "too many gossip streams are open" }));
      return;
    }
    const id = ++this.#dialId;
    this.#dialing.set(id, done);
    this.#dials.push({ id, to: { host: to.host, port: to.port }, request, timeoutMs });
  }

  dialDone(id: number, result: DialResult): void {
    const done = this.#dialing.get(id);
    this.#dialing.delete(id);
    done?.(result);
  }

  /** Hands over what is queued for the driver. */
  takeOutgoing(): { readonly packets: readonly OutgoingPacket[]; readonly dials: readonly OutgoingDial[] } {
    const outgoing = { packets: this.#packets, dials: this.#dials };
    this.#packets = [];
    this.#dials = [];
    return outgoing;
  }
}
