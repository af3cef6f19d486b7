/**
 * Push/pull: now and then, and to join, two members exchange all that they know over a stream.
 *
 * Never: opens the stream; merges what it cannot decode whole.
 */
import { Fault } from "../../fault.ts";
import type { Endpoint } from "../codec/address.ts";
import { decodeMessage, encodeAck, messageType } from "../codec/messages.ts";
import { malformed } from "../codec/msgpack-reader.ts";
import { decodeError, decodePushPull, encodePushPull } from "../codec/push-pull.ts";
import type { MemberStates } from "./member-states.ts";
import type { NodeRecord } from "./node-table.ts";
import type { Alarm } from "./schedule.ts";
import type { SwimContext } from "./swim-context.ts";
import { pushPullIntervalMs } from "./timing.ts";

/** The layer above's share of the state. */
export interface StateDelegate {
  localState(): Buffer;
  /** `asked`: it is the answer to a request of ours. */
  mergeState(state: Buffer, asked: boolean): void;
}

/** More members than this in one message are not believed. */
const nodesMax = 8_192;

export class PushPullSync {
  readonly #world: SwimContext;
  readonly #rumours: MemberStates;
  readonly #keeper: StateDelegate;
  #settling: Alarm | undefined;

  constructor(world: SwimContext, rumours: MemberStates, keeper: StateDelegate) {
    this.#world = world;
    this.#rumours = rumours;
    this.#keeper = keeper;
  }

  start(): void {
    const { prng, schedule, timing } = this.#world;
    schedule.after((0.5 + prng.float()) * timing.pushPullIntervalMs, () => this.#round());
  }

  /** Exchanges state with whoever is at this address. `done` gets a Fault, or undefined when all went well. */
  exchange(to: Endpoint, join: boolean, done: (fault: Fault | undefined) => void): void {
    this.#world.dial(to, this.#state(join), this.#world.timing.streamTimeoutMs, (outcome) => {
      if (outcome instanceof Fault) return done(outcome);
      try {
        this.#merge(outcome, to);
      } catch (reason) {
        return done(Fault.from(reason));
      }
      if (join) this.#settle();
      done(undefined);
    });
  }

  /** What to answer to a message that came on a stream; undefined: nothing. Throws Fault "bad-request". */
  answer(request: Buffer): Buffer | undefined {
    if (this.#rumours.left) return undefined;
    if (request[0] === messageType.ping) {
      const ping = decodeMessage(request);
      const ours = ping.kind === "ping" && (ping.node === "" || ping.node === this.#world.self.name);
      return ours ? encodeAck("ack", ping.seqNo) : undefined;
    }
    const remote = decodePushPull(request, nodesMax);
    const local = this.#state(false);
    this.#rumours.merge(remote.nodes.filter((node) => node.state !== "left"));
    if (remote.userState.length > 0) this.#keeper.mergeState(remote.userState, false);
    // Who left, only after the layer above knows that it meant to.
    this.#rumours.merge(remote.nodes.filter((node) => node.state === "left"));
    return local;
  }

  #round(): void {
    this.#withAnyone();
    const { schedule, table, timing } = this.#world;
    schedule.after(pushPullIntervalMs(timing, table.size), () => this.#round());
  }

  /**
   * News that was under way while we came may have passed us by: nobody who spread it knew us yet. A second exchange
   * soon after finds it, where memberlist waits for the next round, up to 30 s.
   */
  #settle(): void {
    this.#settling?.cancel();
    this.#settling = this.#world.schedule.after(this.#world.timing.postJoinSyncMs, () => this.#withAnyone());
  }

  #withAnyone(): void {
    const { self, table } = this.#world;
    if (this.#rumours.left) return;
    const fit = (record: NodeRecord): boolean => record.name !== self.name && record.state === "alive";
    // Mere names, from whom nobody heard yet, come after those who answer.
    const partner = table.sample(1, (record) => record.verified && fit(record))[0] ?? table.sample(1, fit)[0];
    if (partner !== undefined) this.exchange(partner.at, false, () => {});
  }

  #state(join: boolean): Buffer {
    return encodePushPull({ join, nodes: this.#rumours.view(), userState: this.#keeper.localState() });
  }

  #merge(reply: Buffer, from: Endpoint): void {
    if (reply[0] === messageType.err) {
      throw new Fault("failed-precondition", {
        message: "the other member refused the exchange",
        facts: { reason: decodeError(reply) },
      });
    }
    if (reply[0] !== messageType.pushPull) throw malformed("a push/pull was expected");
    const remote = decodePushPull(reply, nodesMax);
    this.#rumours.merge(
      remote.nodes.filter((node) => node.state !== "left"),
      from,
    );
    if (remote.userState.length > 0) this.#keeper.mergeState(remote.userState, true);
    // Who left, only after the layer above knows that it meant to.
    this.#rumours.merge(remote.nodes.filter((node) => node.state === "left"));
  }
}
