/**
 * SWIM's failure detector. In each interval one member is pinged. If it does not answer, a few others are asked to ping
 * it, and it is pinged over TCP. If there is no answer until the end of the interval, it becomes suspect. Lifeguard
 * stretches the interval while this member's health score is high.
 *
 * Unverified members are probed outside the rounds, a few at a time. Thousands of invented members must not delay the
 * rounds, and their silence must not raise the health score.
 */
import { sameEndpoint } from "../codec/address.ts";
import {
  encodeIndirectPing,
  encodePing,
  encodeSuspectOrDead,
  type SuspectOrDead,
} from "../codec/messages.ts";
import type { AckHandlers } from "./ack-handlers.ts";
import type { Awareness } from "./awareness.ts";
import type { Broadcaster } from "./broadcaster.ts";
import type { LocalMember } from "./local-member.ts";
import type { MemberStates } from "./member-states.ts";
import { isLive, type NodeRecord } from "./node-table.ts";
import type { Pinger } from "./pinger.ts";
import type { SwimContext } from "./swim-context.ts";
import { understandsNack, understandsTcpPing } from "./versions.ts";

/** Number of unverified members that are probed at a time. */
const unverifiedProbes = 8;

export interface ProberParts {
  readonly context: SwimContext;
  readonly broadcaster: Broadcaster;
  readonly awareness: Awareness;
  readonly acks: AckHandlers;
  readonly local: LocalMember;
  readonly pinger: Pinger;
  readonly states: MemberStates;
}

export class Prober {
  readonly #parts: ProberParts;
  readonly #context: SwimContext;
  /** Probes of unverified members under way. */
  #unverified = 0;

  constructor(parts: ProberParts) {
    this.#parts = parts;
    this.#context = parts.context;
  }

  start(): void {
    const { prng, schedule, timing } = this.#context;
    schedule.after(prng.float() * timing.probeIntervalMs, () => this.#round());
  }

  #round(): void {
    const { schedule, self, table, timing } = this.#context;
    const { local } = this.#parts;
    const startedMs = schedule.nowMs;
    const isCandidate = (record: NodeRecord): boolean =>
      record.name !== self.name && isLive(record) && record.verified;
    const isExpired = (record: NodeRecord): boolean =>
      !isLive(record) &&
      record.name !== self.name &&
      startedMs - record.stateChangedMs > timing.gossipToTheDeadMs;
    const target = local.isLeaving ? undefined : table.nextInRound(isCandidate, isExpired);
    const next = (): void => {
      schedule.after(startedMs + timing.probeIntervalMs - schedule.nowMs, () => this.#round());
    };
    if (!local.isLeaving) this.#probeUnverified();
    if (target === undefined) next();
    else this.#probe(target, next);
  }

  /** Starts a new batch once the last one is done. */
  #probeUnverified(): void {
    if (this.#unverified > 0) return;
    const targets = this.#context.table.sample(
      unverifiedProbes,
      (record) => isLive(record) && !record.verified,
    );
    this.#unverified = targets.length;
    for (const target of targets) {
      this.#probe(target, () => {
        this.#unverified--;
      });
    }
  }

  #probe(target: NodeRecord, done: () => void): void {
    const { acks, awareness, broadcaster, pinger } = this.#parts;
    const { schedule, self, timing } = this.#context;
    const timeoutMs = timing.probeIntervalMs * (awareness.score + 1);
    let [expectedNacks, nacks, answeredByTcp] = [0, 0, false];
    const finish = (): void => {
      acks.remove(seqNo);
      indirect.cancel();
      timeout.cancel();
      done();
    };
    const seqNo = acks.add({
      onAck: () => {
        if (target.verified) awareness.apply(-1);
        target.verified = true;
        finish();
      },
      onNack: () => {
        nacks++;
      },
    });
    const indirect = schedule.after(timing.probeTimeoutMs, () => {
      expectedNacks = this.#askOthers(target, seqNo);
      if (timing.tcpPing && understandsTcpPing(target.versions)) {
        pinger.pingByTcp(target, seqNo, timeoutMs - timing.probeTimeoutMs, () => {
          answeredByTcp = true;
        });
      }
    });
    const timeout = schedule.after(timeoutMs, () => {
      finish();
      if (answeredByTcp) target.verified = true;
      else this.#failed(target, expectedNacks, nacks);
    });
    const messages = [encodePing(seqNo, target.name, self)];
    if (target.state === "suspect") messages.push(encodeSuspectOrDead(this.#suspicionOf(target)));
    broadcaster.send(target.at, messages, target);
  }

  /** Missing nacks mean that the fault may be this member's own. */
  #failed(target: NodeRecord, expectedNacks: number, nacks: number): void {
    const { awareness, states } = this.#parts;
    if (target.verified) awareness.apply(expectedNacks === 0 ? 1 : Math.max(0, expectedNacks - nacks));
    states.suspect(this.#suspicionOf(target), true);
  }

  #suspicionOf({ incarnation, name: node }: NodeRecord): SuspectOrDead {
    return { kind: "suspect", incarnation, node, from: this.#context.self.name };
  }

  /** Returns how many of the asked members send a nack. */
  #askOthers(target: NodeRecord, seqNo: number): number {
    const { self, table, timing } = this.#context;
    const isCandidate = (record: NodeRecord): boolean =>
      record.state === "alive" &&
      record.verified &&
      record.name !== self.name &&
      !sameEndpoint(record.at, target.at);
    const asked = table.sample(timing.indirectProbes, isCandidate);
    const message = encodeIndirectPing(seqNo, target.name, target.at, self);
    for (const record of asked) this.#parts.broadcaster.send(record.at, [message], record);
    return asked.filter(({ versions }) => understandsNack(versions)).length;
  }
}
