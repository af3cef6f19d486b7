/** One SWIM core without a network and without Serf, for unit tests. Its time advances only by run(). */
import { prng } from "../../../src/lib/prng.ts";
import {
  decodeMessage,
  type GossipMessage,
  protocolVersions,
} from "../../../src/membership/codec/messages.ts";
import { Broadcaster } from "../../../src/membership/swim/broadcaster.ts";
import type { MemberDelegate } from "../../../src/membership/swim/member-delegate.ts";
import type { NodeRecord } from "../../../src/membership/swim/node-table.ts";
import { Swim } from "../../../src/membership/swim/swim.ts";
import { SwimContext } from "../../../src/membership/swim/swim-context.ts";
import { lanTiming } from "../../../src/membership/swim/timing.ts";

const selfAddress = { host: "10.0.0.1", port: 7946 };
export const addressOf = (number: number) => ({ host: `10.0.0.${number}`, port: 7946 });

export class GossipSwim {
  readonly context = new SwimContext({
    name: "self",
    at: selfAddress,
    timing: { ...lanTiming, tcpPing: false },
    prng: prng("swim"),
    packetBytes: 1_400,
    membersMax: 5,
    nowMs: 0,
  });
  /** What the delegate was called with, as `join NAME` and the like. */
  readonly calls: string[] = [];
  readonly leaving = new Set<string>();
  readonly refused = new Set<string>();
  readonly swim: Swim;

  constructor() {
    const delegate: MemberDelegate = {
      notifyJoin: ({ name }) => this.calls.push(`join ${name}`),
      notifyUpdate: ({ name }) => this.calls.push(`update ${name}`),
      notifyLeave: ({ name, state }) => this.calls.push(`leave ${name} ${state}`),
      notifyConflict: (name) => this.calls.push(`conflict ${name}`),
      refuses: (name) => this.refused.has(name),
      isLeaving: (name) => this.leaving.has(name),
    };
    const states = { localState: () => Buffer.alloc(0), mergeState: () => {} };
    this.swim = new Swim(this.context, new Broadcaster(this.context), delegate, states);
    this.swim.start(Buffer.from("meta"));
  }

  /** Handles an alive message about a member with the address of this number. */
  alive(node: string, number: number, incarnation = 1, meta = "", versions = protocolVersions): void {
    const at = addressOf(number);
    const message = { kind: "alive", node, at, incarnation, meta: Buffer.from(meta), versions } as const;
    this.swim.handle(message, at);
  }

  suspect(node: string, from: string, incarnation = 1): void {
    this.swim.handle({ kind: "suspect", node, from, incarnation }, addressOf(9));
  }

  dead(node: string, from: string, incarnation = 1): void {
    this.swim.handle({ kind: "dead", node, from, incarnation }, addressOf(9));
  }

  record(name: string): NodeRecord | undefined {
    return this.context.table.get(name);
  }

  /** Advances the time in steps of 10 ms, and calls `onMessage` with each sent message and its receiver. */
  run(forMs: number, onMessage: (message: GossipMessage, to: string) => void = () => {}): void {
    const endMs = this.#nowMs + forMs;
    while (this.#nowMs < endMs) {
      this.#nowMs += 10;
      this.context.schedule.tick(this.#nowMs);
      for (const { to, parts } of this.context.takeOutgoing().packets)
        for (const part of parts) onMessage(decodeMessage(part), to.host);
    }
  }

  /** An onMessage that acknowledges the pings to the hosts with these numbers. */
  acknowledge(...numbers: number[]): (message: GossipMessage, to: string) => void {
    const hosts = numbers.map((number) => addressOf(number).host);
    return (message, to) => {
      if (message.kind !== "ping" || !hosts.includes(to)) return;
      this.swim.handle({ kind: "ack", seqNo: message.seqNo }, { host: to, port: 7946 });
    };
  }

  #nowMs = 0;
}
