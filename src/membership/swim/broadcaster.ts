/**
 * Spreads messages: every gossip interval to a few members chosen by chance, and on the back of every other packet.
 * While nothing waits there is no timer and no cost.
 *
 * Never: reads what it spreads.
 */
import { assert } from "../../lib/assert.ts";
import { type Endpoint, sameEndpoint } from "../codec/address.ts";
import { compoundBytes } from "../codec/packet.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { isLive, type NodeRecord } from "./node-table.ts";
import type { SwimContext } from "./swim-context.ts";
import { retransmitLimit } from "./timing.ts";

/** In the order in which they get room in a packet. */
export type Topic = "membership" | "intent" | "query" | "event";
const topics: readonly Topic[] = ["membership", "intent", "query", "event"];

/** Members' state has one message per member; of the rest a flood pushes out the oldest. */
const entriesMax: Readonly<Record<Topic, number>> = {
  membership: 8_192,
  intent: 1_024,
  query: 512,
  event: 1_024,
};

export class Broadcaster {
  readonly #world: SwimContext;
  readonly #queues: Readonly<Record<Topic, BroadcastQueue>>;
  #armed = false;

  constructor(world: SwimContext) {
    this.#world = world;
    this.#queues = {
      membership: new BroadcastQueue(entriesMax.membership),
      intent: new BroadcastQueue(entriesMax.intent),
      query: new BroadcastQueue(entriesMax.query),
      event: new BroadcastQueue(entriesMax.event),
    };
  }

  /** Messages that wait to be spread. */
  get queued(): number {
    return topics.reduce((sum, topic) => sum + this.#queues[topic].length, 0);
  }

  /**
   * Tells everybody. A newer message about the same subject replaces this one; `onDone` is called once it was passed
   * on often enough, was replaced, or when there is nobody to tell.
   */
  broadcast(topic: Topic, message: Buffer, subject?: string, onDone?: () => void): void {
    assert(message.length + 4 <= this.#world.packetBytes, "a broadcast must fit into a packet");
    this.#queues[topic].add(message, subject, onDone);
    if (!this.#armed) this.#arm(this.#world.prng.float());
  }

  /**
   * Sends messages to one address; to a member whose address that is, filled up with what waits to be spread.
   * Strangers get no more than their answer: they must not make us an amplifier, nor read along.
   */
  send(to: Endpoint, messages: readonly Buffer[], member: NodeRecord | undefined): void {
    const known = member !== undefined && sameEndpoint(member.at, to) ? member : undefined;
    if (known === undefined) {
      this.#world.send(to, messages, false);
      return;
    }
    const size = messages.reduce((sum, message) => sum + message.length, 0);
    const left = this.#world.packetBytes - size - compoundBytes(messages.length + 1) + 2;
    this.#world.send(
      to,
      [...messages, ...this.#take(left, 250, known.verified)],
      (known.versions[1] ?? 0) >= 5,
    );
  }

  #arm(share: number): void {
    this.#armed = true;
    this.#world.schedule.after(this.#world.timing.gossipIntervalMs * share, () => this.#round());
  }

  #round(): void {
    const world = this.#world;
    const now = world.schedule.nowMs;
    const hears = (record: NodeRecord): boolean =>
      record.name !== world.self.name &&
      (isLive(record) ||
        (record.state === "dead" && now - record.stateChangedMs < world.timing.gossipToTheDeadMs));
    // Mere names must not take the place of those who listen.
    const { gossipNodes } = world.timing;
    const hearers = world.table.sample(gossipNodes, (record) => record.verified && hears(record));
    const more = Math.max(1, gossipNodes - hearers.length);
    hearers.push(...world.table.sample(more, (record) => !record.verified && hears(record)));
    for (const record of hearers) {
      const parts = this.#take(world.packetBytes - 2, 255, record.verified);
      if (parts.length > 0) world.send(record.at, parts, (record.versions[1] ?? 0) >= 5);
    }
    if (hearers.length === 0) this.#dropAll();
    if (this.queued > 0) this.#arm(1);
    else this.#armed = false;
  }

  /** With nobody to tell, all has been told. */
  #dropAll(): void {
    for (const topic of topics)
      this.#queues[topic].take(Number.MAX_SAFE_INTEGER, 0, 0, Number.MAX_SAFE_INTEGER);
  }

  #take(bytesMax: number, partsMax: number, listens: boolean): Buffer[] {
    const limit = retransmitLimit(this.#world.timing, this.#world.table.size);
    const taken: Buffer[] = [];
    let left = bytesMax;
    for (const topic of topics) {
      const parts = this.#queues[topic].take(left, 2, limit, partsMax - taken.length, listens);
      for (const message of parts) {
        left -= message.length + 2;
        taken.push(message);
      }
    }
    return taken;
  }
}
