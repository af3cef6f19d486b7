/**
 * What all parts of the core share: who we are, the time, chance, the table of members, and the duties that pile up
 * until the driver takes them.
 *
 * Never: decides.
 */
import { Fault } from "../../fault.ts";
import type { Prng } from "../../lib/prng.ts";
import { type Endpoint, isUnicast } from "../codec/address.ts";
import type { Sender } from "../codec/messages.ts";
import {
  type Counters,
  dialsMax,
  newCounters,
  type OutgoingDial,
  type OutgoingPacket,
  type Ready,
  type SerfEvent,
} from "./duties.ts";
import { NodeTable } from "./node-table.ts";
import { Schedule } from "./schedule.ts";
import type { Timing } from "./timing.ts";

export interface SwimContextOptions {
  /** Our name and the address that others reach us at. */
  readonly name: string;
  readonly at: Endpoint;
  readonly timing: Timing;
  readonly prng: Prng;
  /** What the messages of one datagram may take, layers not counted. */
  readonly packetBytes: number;
  readonly membersMax: number;
  /** Machine time, monotonic. */
  readonly nowMs: number;
}

/** The answer to a dial: one message, or why there is none. */
export type DialResult = Buffer | Fault;

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
  #notices: SerfEvent[] = [];
  #dialId = 0;
  readonly #dialing = new Map<number, (outcome: DialResult) => void>();

  constructor(options: SwimContextOptions) {
    this.self = { name: options.name, ...options.at };
    this.timing = options.timing;
    this.prng = options.prng;
    this.packetBytes = options.packetBytes;
    this.membersMax = options.membersMax;
    this.schedule = new Schedule(options.nowMs, options.timing.stallMs);
    this.table = new NodeTable(options.prng.stream("table"), options.membersMax);
  }

  /** Whoever asks us to speak to all of a network is not obeyed: some messages name the address to answer to. */
  send(to: Endpoint, parts: readonly Buffer[], crc: boolean): void {
    if (!isUnicast(to.host)) {
      this.counters.implausible++;
      return;
    }
    this.counters.packetsOut++;
    this.counters.messagesOut += parts.length;
    this.#packets.push({ to: { host: to.host, port: to.port }, parts, crc });
  }

  /** One message there, one back. `done` is called exactly once, at once when too many are under way. */
  dial(to: Endpoint, request: Buffer, timeoutMs: number, done: (outcome: DialResult) => void): void {
    if (this.#dialing.size >= dialsMax) {
      this.counters.overflow++;
      done(new Fault("overloaded", { message: "too many gossip streams are under way" }));
      return;
    }
    const id = ++this.#dialId;
    this.#dialing.set(id, done);
    this.#dials.push({ id, to: { host: to.host, port: to.port }, request, timeoutMs });
  }

  dialDone(id: number, outcome: DialResult): void {
    const done = this.#dialing.get(id);
    this.#dialing.delete(id);
    done?.(outcome);
  }

  tell(notice: SerfEvent): void {
    this.#notices.push(notice);
  }

  /** Hands over what has piled up. */
  take(): Ready {
    const duties = { packets: this.#packets, dials: this.#dials, events: this.#notices };
    this.#packets = [];
    this.#dials = [];
    this.#notices = [];
    return duties;
  }
}
