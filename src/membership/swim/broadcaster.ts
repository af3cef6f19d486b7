/**
 * Gossips broadcasts: in each gossip interval to a few random members, and piggybacked on every other packet to a
 * member. There is no timer while nothing is queued.
 */
import { assert } from "../../lib/assert.ts";
import { type Endpoint, sameEndpoint } from "../codec/address.ts";
import { compoundBytes } from "../codec/packet.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { isLive, type NodeRecord } from "./node-table.ts";
import type { SwimContext } from "./swim-context.ts";
import { retransmitLimit } from "./timing.ts";
import { understandsCrc } from "./versions.ts";

/** In the order in which they get space in a packet. */
export type Topic = "membership" | "intent" | "query" | "event";
const topics: readonly Topic[] = ["membership", "intent", "query", "event"];

/** Most queued messages of a topic. There is one message per member about its state. */
const entriesMax: Readonly<Record<Topic, number>> = {
  membership: 8_192,
  intent: 1_024,
  query: 512,
  event: 1_024,
};

/** Bytes that one part costs in a compound message. */
const partBytes = 2;

export class Broadcaster {
  readonly #context: SwimContext;
  readonly #queues: Readonly<Record<Topic, BroadcastQueue>>;
  #armed = false;

  constructor(context: SwimContext) {
    this.#context = context;
    this.#queues = {
      membership: new BroadcastQueue(entriesMax.membership),
      intent: new BroadcastQueue(entriesMax.intent),
      query: new BroadcastQueue(entriesMax.query),
      event: new BroadcastQueue(entriesMax.event),
    };
  }

  /** Number of queued messages. */
  get queued(): number {
    return topics.reduce((sum, topic) => sum + this.#queues[topic].length, 0);
  }

  /**
   * Queues a message for all members. It replaces an older one about the same `subject`. `onDone` is called once the
   * message was transmitted often enough, was replaced, or there is no member to send it to.
   */
  broadcast(topic: Topic, message: Buffer, subject?: string, onDone?: () => void): void {
    assert(message.length + 4 <= this.#context.packetBytes, "a broadcast must fit into a packet");
    this.#queues[topic].add(message, subject, onDone);
    if (!this.#armed) this.#arm(this.#context.prng.float());
  }

  /**
   * Sends messages to an address. If it is the address of `member`, queued broadcasts fill the rest of the packet.
   * Other addresses get only the messages, so that a forged source address neither amplifies traffic nor leaks
   * broadcasts.
   */
  send(to: Endpoint, messages: readonly Buffer[], member: NodeRecord | undefined): void {
    const known = member !== undefined && sameEndpoint(member.at, to) ? member : undefined;
    if (known === undefined) {
      this.#context.send(to, messages, false);
      return;
    }
    const size = messages.reduce((sum, message) => sum + message.length, 0);
    const left = this.#context.packetBytes - size - compoundBytes(messages.length + 1) + partBytes;
    const parts = [...messages, ...this.#take(left, 250, known.verified)];
    this.#context.send(to, parts, understandsCrc(known.versions));
  }

  #arm(share: number): void {
    this.#armed = true;
    this.#context.schedule.after(this.#context.timing.gossipIntervalMs * share, () => this.#round());
  }

  #round(): void {
    const context = this.#context;
    const receivers = this.#receivers();
    for (const record of receivers) {
      const parts = this.#take(context.packetBytes - 2, 255, record.verified);
      if (parts.length > 0) context.send(record.at, parts, understandsCrc(record.versions));
    }
    if (receivers.length === 0) for (const topic of topics) this.#queues[topic].clear();
    if (this.queued > 0) this.#arm(1);
    else this.#armed = false;
  }

  /** Random members for one round: verified ones first, and at least one unverified member. */
  #receivers(): NodeRecord[] {
    const { schedule, self, table, timing } = this.#context;
    const getsGossip = (record: NodeRecord): boolean =>
      record.name !== self.name &&
      (isLive(record) ||
        (record.state === "dead" && schedule.nowMs - record.stateChangedMs < timing.gossipToTheDeadMs));
    const verified = table.sample(timing.gossipNodes, (record) => record.verified && getsGossip(record));
    const more = Math.max(1, timing.gossipNodes - verified.length);
    return [...verified, ...table.sample(more, (record) => !record.verified && getsGossip(record))];
  }

  #take(bytesMax: number, partsMax: number, verified: boolean): Buffer[] {
    const limit = retransmitLimit(this.#context.timing, this.#context.table.size);
    const taken: Buffer[] = [];
    let left = bytesMax;
    for (const topic of topics) {
      const parts = this.#queues[topic].take(left, partBytes, limit, partsMax - taken.length, verified);
      for (const message of parts) {
        left -= message.length + partBytes;
        taken.push(message);
      }
    }
    return taken;
  }
}
