/**
 * Sends and answers pings outside the probe rounds: replies to pings, indirect pings for other members, TCP pings, and
 * liveness checks.
 */
import { type Endpoint, sameEndpoint } from "../codec/address.ts";
import { decodeMessage, encodeAck, encodePing, type IndirectPing, type Ping } from "../codec/messages.ts";
import type { AckHandlers } from "./ack-handlers.ts";
import type { Awareness } from "./awareness.ts";
import type { Broadcaster } from "./broadcaster.ts";
import type { LocalMember } from "./local-member.ts";
import type { NodeRecord } from "./node-table.ts";
import type { SwimContext } from "./swim-context.ts";
import { understandsTcpPing } from "./versions.ts";

/** Most indirect pings under way for other members. */
const indirectPingsMax = 256;

export interface LivenessCheck {
  /** An encoded suspect or dead message. It is sent with each ping, so that the member can refute it. */
  readonly accusation: Buffer;
  /** Wait for the whole timeout even after an ack, because a refutation may follow the ack. */
  readonly waitForRefutation: boolean;
}

export interface PingerParts {
  readonly context: SwimContext;
  readonly broadcaster: Broadcaster;
  readonly awareness: Awareness;
  readonly acks: AckHandlers;
  readonly local: LocalMember;
}

export class Pinger {
  readonly #parts: PingerParts;
  #indirectPings = 0;

  constructor(parts: PingerParts) {
    this.#parts = parts;
  }

  /** Replies to a ping that is meant for this member. */
  reply(message: Ping, from: Endpoint): void {
    const { broadcaster, context, local } = this.#parts;
    if (local.isLeaving || (message.node !== "" && message.node !== context.self.name)) return;
    const to = message.source ?? from;
    const known = message.source === undefined ? undefined : context.table.get(message.source.name);
    if (known !== undefined && sameEndpoint(known.at, from)) known.verified = true;
    broadcaster.send(to, [encodeAck("ack", message.seqNo)], known);
  }

  /** Pings the target of an indirect ping, and sends its ack, or a nack, to the sender. */
  pingFor(message: IndirectPing, from: Endpoint): void {
    const { acks, broadcaster, context } = this.#parts;
    if (this.#indirectPings >= indirectPingsMax) {
      context.counters.overflow++;
      return;
    }
    const { schedule, self, timing } = context;
    const to = message.source ?? from;
    this.#indirectPings++;
    const seqNo = acks.add({
      onAck: () => {
        finish();
        broadcaster.send(to, [encodeAck("ack", message.seqNo)], undefined);
      },
    });
    const finish = (): void => {
      if (acks.remove(seqNo)) this.#indirectPings--;
      timeout.cancel();
    };
    const timeout = schedule.after(timing.probeTimeoutMs, () => {
      finish();
      if (message.nack) broadcaster.send(to, [encodeAck("nack", message.seqNo)], undefined);
    });
    broadcaster.send(message.target, [encodePing(seqNo, message.node, self)], undefined);
  }

  /** Pings over a stream. `onAck` is called if the reply is the right ack. */
  pingByTcp(target: NodeRecord, seqNo: number, timeoutMs: number, onAck: () => void): void {
    const { context } = this.#parts;
    const request = encodePing(seqNo, target.name, context.self);
    context.dial(target.at, request, timeoutMs, (result) => {
      if (!Buffer.isBuffer(result)) return;
      const reply = decodeMessage(result);
      if (reply.kind === "ack" && reply.seqNo === seqNo) onAck();
    });
  }

  /**
   * Checks whether a member that others accuse is alive: three pings, and one by TCP, so that neither packet loss nor a
   * flood confirms the accusation. `done` gets whether the member answered.
   */
  checkLiveness(record: NodeRecord, check: LivenessCheck, done: (answered: boolean) => void): void {
    const { acks, awareness, broadcaster, context } = this.#parts;
    const { schedule, self, timing } = context;
    let answered = false;
    let over = false;
    const finish = (): void => {
      over = true;
      if (answered) record.verified = true;
      for (const timer of timers) timer.cancel();
      acks.remove(seqNo);
      done(answered);
    };
    const onAck = (): void => {
      answered = true;
      if (!check.waitForRefutation && !over) finish();
    };
    const seqNo = acks.add({ onAck });
    const timeoutMs = timing.probeTimeoutMs * (awareness.score + 1);
    const ping = (): void => {
      if (answered) return;
      // The accusation comes first, so that the refutation can be piggybacked on the ack.
      broadcaster.send(record.at, [check.accusation, encodePing(seqNo, record.name, self)], record);
    };
    const timers = [
      schedule.after(timeoutMs, finish),
      schedule.after(timeoutMs / 3, () => {
        ping();
        const byTcp = timing.tcpPing && !answered && understandsTcpPing(record.versions);
        if (byTcp) this.pingByTcp(record, seqNo, (timeoutMs * 2) / 3, onAck);
      }),
      schedule.after((timeoutMs * 2) / 3, ping),
    ];
    ping();
  }
}
