/** SWIM as a whole: puts its parts together and dispatches messages to them. */
import type { Endpoint } from "../codec/address.ts";
import type { GossipMessage, UserMessage } from "../codec/messages.ts";
import { AckHandlers } from "./ack-handlers.ts";
import { Awareness } from "./awareness.ts";
import type { Broadcaster } from "./broadcaster.ts";
import { DeathChecks } from "./death-checks.ts";
import { LocalMember } from "./local-member.ts";
import type { MemberDelegate } from "./member-delegate.ts";
import { MemberStates } from "./member-states.ts";
import { Pinger } from "./pinger.ts";
import { Prober } from "./prober.ts";
import { PushPullSync, type StateDelegate } from "./push-pull-sync.ts";
import { Suspicions } from "./suspicions.ts";
import type { SwimContext } from "./swim-context.ts";
import { Transitions } from "./transitions.ts";

export class Swim {
  readonly awareness: Awareness;
  readonly local: LocalMember;
  readonly sync: PushPullSync;
  readonly #acks: AckHandlers;
  readonly #pinger: Pinger;
  readonly #prober: Prober;
  readonly #states: MemberStates;

  constructor(
    context: SwimContext,
    broadcaster: Broadcaster,
    delegate: MemberDelegate,
    stateDelegate: StateDelegate,
  ) {
    const awareness = new Awareness(context.timing.healthScoreMax);
    const acks = new AckHandlers(context.prng.uint32());
    const transitions = new Transitions(context, broadcaster, delegate);
    const local = new LocalMember({ context, broadcaster, awareness, transitions, delegate });
    const pinger = new Pinger({ context, broadcaster, awareness, acks, local });
    const deathChecks = new DeathChecks(context, pinger, transitions);
    const suspicions = new Suspicions({ context, broadcaster, transitions, deathChecks });
    const states = new MemberStates({
      ...{ context, broadcaster, transitions, local },
      ...{ deathChecks, suspicions, delegate },
    });
    this.awareness = awareness;
    this.local = local;
    this.#acks = acks;
    this.#pinger = pinger;
    this.#states = states;
    this.#prober = new Prober({ context, broadcaster, awareness, acks, local, pinger, states });
    this.sync = new PushPullSync({ context, local, states, delegate: stateDelegate });
  }

  /** Announces this member with `meta`, and starts the probe and push/pull rounds. */
  start(meta: Buffer): void {
    this.local.announce(meta);
    this.#prober.start();
    this.sync.start();
  }

  /** Handles every message but those for the layer above. */
  handle(message: Exclude<GossipMessage, UserMessage>, from: Endpoint): void {
    switch (message.kind) {
      case "ping":
        this.#pinger.reply(message, from);
        return;
      case "indirect-ping":
        this.#pinger.pingFor(message, from);
        return;
      case "ack":
      case "nack":
        this.#acks.receive(message);
        return;
      case "alive":
        this.#states.alive(message);
        return;
      case "suspect":
        this.#states.suspect(message);
        return;
      case "dead":
        this.#states.dead(message);
    }
  }
}
