/**
 * Push/pull: two members exchange their full state over a stream, periodically and to join (memberlist's pushPullNode).
 * A member list is merged only if all of it can be decoded.
 */
import { Fault } from "../../fault.ts";
import type { Timer } from "../../lib/time/clock.ts";
import type { Endpoint } from "../codec/address.ts";
import { decodeMessage, encodeAck, messageType } from "../codec/messages.ts";
import { decodeError, decodePushPull, encodePushPull, type PushPull } from "../codec/push-pull.ts";
import type { LocalMember } from "./local-member.ts";
import type { MemberStates } from "./member-states.ts";
import type { NodeRecord } from "./node-table.ts";
import type { SwimContext } from "./swim-context.ts";
import { pushPullIntervalMs } from "./timing.ts";

/** The user state of a push/pull, from the layer above (memberlist's Delegate). */
export interface StateDelegate {
  localState(): Buffer;
  /** `isReply`: the state is the reply to our request. */
  mergeState(state: Buffer, isReply: boolean): void;
}

/** Most members in one message. */
const nodesMax = 8_192;

export interface PushPullSyncParts {
  readonly context: SwimContext;
  readonly local: LocalMember;
  readonly states: MemberStates;
  readonly delegate: StateDelegate;
}

export class PushPullSync {
  readonly #parts: PushPullSyncParts;
  readonly #context: SwimContext;
  #postJoin: Timer | undefined;

  constructor(parts: PushPullSyncParts) {
    this.#parts = parts;
    this.#context = parts.context;
  }

  start(): void {
    const { prng, schedule, timing } = this.#context;
    schedule.after((0.5 + prng.float()) * timing.pushPullIntervalMs, () => this.#round());
  }

  /** Exchanges state with the member at this address. `done` gets a Fault, or undefined on success. */
  exchange(to: Endpoint, join: boolean, done: (fault: Fault | undefined) => void): void {
    this.#context.dial(to, this.#encode(join), this.#context.timing.streamTimeoutMs, (result) => {
      if (result instanceof Fault) return done(result);
      try {
        this.#merge(decodeReply(result), to);
      } catch (reason) {
        return done(Fault.from(reason));
      }
      if (join) this.#syncAfterJoin();
      done(undefined);
    });
  }

  /**
   * Returns the reply to a ping or push/pull that came on a stream, or undefined for no reply.
   * @throws Fault "bad-request"
   */
  handleStream(request: Buffer): Buffer | undefined {
    if (this.#parts.local.isLeaving) return undefined;
    if (request[0] === messageType.ping) {
      const ping = decodeMessage(request);
      const ours = ping.kind === "ping" && (ping.node === "" || ping.node === this.#context.self.name);
      return ours ? encodeAck("ack", ping.seqNo) : undefined;
    }
    const remote = decodePushPull(request, nodesMax);
    const reply = this.#encode(false);
    this.#merge(remote);
    return reply;
  }

  #round(): void {
    this.#syncWithRandomMember();
    const { schedule, table, timing } = this.#context;
    schedule.after(pushPullIntervalMs(timing, table.size), () => this.#round());
  }

  /**
   * Starts a second exchange some seconds after a join. The members that gossip did not know the new member during the
   * join, so it misses their broadcasts. memberlist finds them in the next round, up to 30 s later.
   */
  #syncAfterJoin(): void {
    const { schedule, timing } = this.#context;
    this.#postJoin?.cancel();
    this.#postJoin = schedule.after(timing.postJoinSyncMs, () => this.#syncWithRandomMember());
  }

  /** Prefers verified members. */
  #syncWithRandomMember(): void {
    const { self, table } = this.#context;
    if (this.#parts.local.isLeaving) return;
    const isCandidate = (record: NodeRecord): boolean =>
      record.name !== self.name && record.state === "alive";
    const [verified] = table.sample(1, (record) => record.verified && isCandidate(record));
    const partner = verified ?? table.sample(1, isCandidate)[0];
    if (partner !== undefined) this.exchange(partner.at, false, () => {});
  }

  #encode(join: boolean): Buffer {
    const { delegate, states } = this.#parts;
    return encodePushPull({ join, nodes: states.list(), userState: delegate.localState() });
  }

  /** Members that left are merged after the user state, so that the layer above already knows that they leave. */
  #merge(remote: PushPull, replyFrom?: Endpoint): void {
    const { delegate, states } = this.#parts;
    states.merge(
      remote.nodes.filter((node) => node.state !== "left"),
      replyFrom,
    );
    if (remote.userState.length > 0) delegate.mergeState(remote.userState, replyFrom !== undefined);
    states.merge(remote.nodes.filter((node) => node.state === "left"));
  }
}

function decodeReply(reply: Buffer): PushPull {
  if (reply[0] === messageType.err) {
    throw new Fault("failed-precondition", {
      message: "the other member refused the exchange",
      facts: { reason: decodeError(reply) },
    });
  }
  return decodePushPull(reply, nodesMax);
}
