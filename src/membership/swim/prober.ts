/**
 * SWIM's failure detector: each interval one member is pinged; a silent one is pinged by a few others and over TCP;
 * one that stays silent to the end of the interval is suspected. Lifeguard stretches the interval while this member
 * doubts its own health.
 *
 * Members that we know by hearsay alone are probed beside the round, a few at a time: thousands of names that never
 * were must not keep the round from those who live, nor make us doubt ourselves.
 *
 * Never: believes that a member is dead; has more than `relaysMax` pings under way for others.
 */
import { type Endpoint, sameEndpoint } from "../codec/address.ts";
import type { Ack, IndirectPing, Ping } from "../codec/messages.ts";
import {
  decodeMessage,
  encodeAck,
  encodeIndirectPing,
  encodePing,
  encodeSuspectOrDead,
} from "../codec/messages.ts";
import type { Awareness } from "./awareness.ts";
import type { Broadcaster } from "./broadcaster.ts";
import type { MemberStates } from "./member-states.ts";
import { isLive, type NodeRecord } from "./node-table.ts";
import type { SwimContext } from "./swim-context.ts";

interface Awaited {
  readonly onAck: () => void;
  readonly onNack: () => void;
}

const relaysMax = 256;
const hearsayProbes = 8;

export class Prober {
  readonly #world: SwimContext;
  readonly #gossiper: Broadcaster;
  readonly #awareness: Awareness;
  readonly #rumours: MemberStates;
  readonly #awaited = new Map<number, Awaited>();
  #seqNo: number;
  #relays = 0;
  /** Probes under way of members known by hearsay. */
  #hearsay = 0;

  constructor(world: SwimContext, gossiper: Broadcaster, awareness: Awareness, rumours: MemberStates) {
    this.#world = world;
    this.#gossiper = gossiper;
    this.#awareness = awareness;
    this.#rumours = rumours;
    this.#seqNo = world.prng.uint32();
  }

  start(): void {
    const { prng, schedule, timing } = this.#world;
    schedule.after(prng.float() * timing.probeIntervalMs, () => this.#round());
  }

  ping(message: Ping, from: Endpoint): void {
    const { self, table } = this.#world;
    if (this.#rumours.left || (message.node !== "" && message.node !== self.name)) return;
    const to = message.source ?? from;
    const known = message.source === undefined ? undefined : table.get(message.source.name);
    if (known !== undefined && sameEndpoint(known.at, from)) known.verified = true;
    this.#gossiper.send(to, [encodeAck("ack", message.seqNo)], known);
  }

  /** Pings for another who got no answer. */
  indirectPing(message: IndirectPing, from: Endpoint): void {
    if (this.#relays >= relaysMax) {
      this.#world.counters.overflow++;
      return;
    }
    const { schedule, self, timing } = this.#world;
    const to = message.source ?? from;
    this.#relays++;
    const seqNo = this.#expect({
      onAck: () => {
        finish();
        this.#gossiper.send(to, [encodeAck("ack", message.seqNo)], undefined);
      },
      onNack: () => {},
    });
    const finish = (): void => {
      if (this.#awaited.delete(seqNo)) this.#relays--;
      alarm.cancel();
    };
    const alarm = schedule.after(timing.probeTimeoutMs, () => {
      finish();
      if (message.nack) this.#gossiper.send(to, [encodeAck("nack", message.seqNo)], undefined);
    });
    this.#gossiper.send(message.target, [encodePing(seqNo, message.node, self)], undefined);
  }

  ack(message: Ack): void {
    const awaited = this.#awaited.get(message.seqNo);
    if (message.kind === "ack") awaited?.onAck();
    else awaited?.onNack();
  }

  /**
   * A few pings outside the round, and one by TCP, so that neither loss nor a flood speaks for an accuser;
   * `accusation` rides along that the accused can refute it. `patient`: an answer does not end it, for the refutation
   * may come behind.
   */
  check(record: NodeRecord, accusation: Buffer, done: (answered: boolean) => void, patient: boolean): void {
    const { schedule, self, timing } = this.#world;
    let heard = false;
    let over = false;
    const finish = (answered: boolean): void => {
      over = true;
      if (answered) record.verified = true;
      for (const alarm of alarms) alarm.cancel();
      this.#awaited.delete(seqNo);
      done(answered);
    };
    const onAck = (): void => {
      heard = true;
      if (!patient && !over) finish(true);
    };
    const seqNo = this.#expect({ onAck, onNack: () => {} });
    const patienceMs = timing.probeTimeoutMs * (this.#awareness.score + 1);
    const ping = (): void => {
      // The accusation first: then the refutation may ride on the answer to the ping.
      if (!heard) this.#gossiper.send(record.at, [accusation, encodePing(seqNo, record.name, self)], record);
    };
    const alarms = [
      schedule.after(patienceMs, () => finish(heard)),
      schedule.after(patienceMs / 3, () => {
        ping();
        const byTcp = timing.tcpPing && !heard && (record.versions[1] ?? 0) >= 3;
        if (byTcp) this.#pingByTcp(record, seqNo, (patienceMs * 2) / 3, onAck);
      }),
      schedule.after((patienceMs * 2) / 3, ping),
    ];
    ping();
  }

  #round(): void {
    const { schedule, self, table, timing } = this.#world;
    const started = schedule.nowMs;
    const fit = (record: NodeRecord): boolean =>
      record.name !== self.name && isLive(record) && record.verified;
    const forget = (record: NodeRecord): boolean =>
      !isLive(record) &&
      record.name !== self.name &&
      started - record.stateChangedMs > timing.gossipToTheDeadMs;
    const target = this.#rumours.left ? undefined : table.nextInRound(fit, forget);
    const again = (): void => {
      schedule.after(started + timing.probeIntervalMs - schedule.nowMs, () => this.#round());
    };
    if (!this.#rumours.left) this.#probeHearsay();
    if (target === undefined) again();
    else this.#probe(target, again);
  }

  /** A new batch once the last one is through. */
  #probeHearsay(): void {
    if (this.#hearsay > 0) return;
    const targets = this.#world.table.sample(hearsayProbes, (record) => isLive(record) && !record.verified);
    this.#hearsay = targets.length;
    for (const target of targets) {
      this.#probe(target, () => {
        this.#hearsay--;
      });
    }
  }

  #probe(target: NodeRecord, done: () => void): void {
    const { schedule, self, timing } = this.#world;
    const endMs = timing.probeIntervalMs * (this.#awareness.score + 1);
    let [nacksWanted, nacks, byTcp] = [0, 0, false];
    const finish = (): void => {
      this.#awaited.delete(seqNo);
      indirect.cancel();
      end.cancel();
      done();
    };
    const seqNo = this.#expect({
      onAck: () => {
        if (target.verified) this.#awareness.apply(-1);
        target.verified = true;
        finish();
      },
      onNack: () => {
        nacks++;
      },
    });
    const indirect = schedule.after(timing.probeTimeoutMs, () => {
      nacksWanted = this.#askOthers(target, seqNo);
      if (timing.tcpPing && (target.versions[1] ?? 0) >= 3) {
        this.#pingByTcp(target, seqNo, endMs - timing.probeTimeoutMs, () => {
          byTcp = true;
        });
      }
    });
    const end = schedule.after(endMs, () => {
      finish();
      if (byTcp) {
        target.verified = true;
        return;
      }
      // Those asked were silent too: then the fault may well be ours.
      if (target.verified) this.#awareness.apply(nacksWanted === 0 ? 1 : Math.max(0, nacksWanted - nacks));
      const { incarnation, name: node } = target;
      this.#rumours.suspect({ kind: "suspect", incarnation, node, from: self.name }, true);
    });
    const messages = [encodePing(seqNo, target.name, self)];
    if (target.state === "suspect") {
      const { incarnation, name: node } = target;
      messages.push(encodeSuspectOrDead({ kind: "suspect", incarnation, node, from: self.name }));
    }
    this.#gossiper.send(target.at, messages, target);
  }

  /** Answers how many of those asked can say that they got no answer either. */
  #askOthers(target: NodeRecord, seqNo: number): number {
    const { self, table, timing } = this.#world;
    const fit = (record: NodeRecord): boolean =>
      record.state === "alive" &&
      record.verified &&
      record.name !== self.name &&
      !sameEndpoint(record.at, target.at);
    const asked = table.sample(timing.indirectProbes, fit);
    for (const record of asked) {
      this.#gossiper.send(record.at, [encodeIndirectPing(seqNo, target.name, target.at, self)], record);
    }
    return asked.filter((record) => (record.versions[1] ?? 0) >= 4).length;
  }

  #pingByTcp(target: NodeRecord, seqNo: number, timeoutMs: number, answered: () => void): void {
    const request = encodePing(seqNo, target.name, this.#world.self);
    this.#world.dial(target.at, request, timeoutMs, (outcome) => {
      if (!Buffer.isBuffer(outcome)) return;
      const reply = decodeMessage(outcome);
      if (reply.kind === "ack" && reply.seqNo === seqNo) answered();
    });
  }

  #expect(awaited: Awaited): number {
    this.#seqNo = (this.#seqNo + 1) >>> 0;
    this.#awaited.set(this.#seqNo, awaited);
    return this.#seqNo;
  }
}
