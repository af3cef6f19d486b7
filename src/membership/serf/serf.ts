/**
 * The Serf layer on SWIM: intents, user events, queries, tags, reaping, reconnecting.
 *
 * Never: probes; decides what an event or a query means.
 */
import { Fault } from "../../fault.ts";
import { encodeUserMessage } from "../codec/messages.ts";
import type { Broadcaster } from "../swim/broadcaster.ts";
import type { PushPullSync } from "../swim/push-pull-sync.ts";
import type { SwimContext } from "../swim/swim-context.ts";
import { encodeConflictResponse } from "./conflict-response.ts";
import { passesFilters, Queries, type QueryListener, type QueryOptions } from "./queries.ts";
import { SerfMembers } from "./serf-members.ts";
import type { Intent, QueryMessage, SerfMessage, UserEvent } from "./serf-messages.ts";
import { decodeSerfMessage, encodeIntent, userEventBytesMax } from "./serf-messages.ts";
import { decodeSerfState, encodeSerfState } from "./serf-state.ts";
import { encodeTags, type Tags } from "./tags.ts";
import { UserEvents } from "./user-events.ts";

/** Where the clocks stood when a former life of this member ended; zeros at first. */
export interface Clocks {
  readonly member: number;
  readonly event: number;
  readonly query: number;
}

/** Of the user events, a push/pull carries at most this much. */
const stateEventBytesMax = 262_144;

export class Serf {
  readonly members: SerfMembers;
  readonly #events: UserEvents;
  readonly #queries: Queries;
  readonly #world: SwimContext;
  readonly #gossiper: Broadcaster;
  #leaving = false;
  /** While joining: do not deliver what happened before. */
  #ignoreOld = false;

  constructor(world: SwimContext, gossiper: Broadcaster, clocks: Clocks) {
    this.#world = world;
    this.#gossiper = gossiper;
    this.members = new SerfMembers(world, clocks.member + 1);
    this.#events = new UserEvents(clocks.event + 1);
    this.#queries = new Queries(world, gossiper, clocks.query + 1);
  }

  /** The last times seen, for the snapshot. */
  get clocks(): Clocks {
    return {
      member: this.members.clock.time - 1,
      event: this.#events.clock.time - 1,
      query: this.#queries.clock.time - 1,
    };
  }

  start(exchange: PushPullSync): void {
    const { schedule, timing } = this.#world;
    const reap = (): void => {
      this.members.reap();
      schedule.after(timing.reapIntervalMs, reap);
    };
    const reconnect = (): void => {
      this.#reconnect(exchange);
      schedule.after(timing.reconnectIntervalMs, reconnect);
    };
    schedule.after(timing.reapIntervalMs, reap);
    schedule.after(timing.reconnectIntervalMs, reconnect);
  }

  /** A user message of memberlist. Throws Fault "bad-request". */
  receive(body: Buffer): void {
    const message = decodeSerfMessage(body);
    if (this.#handle(message)) this.#passOn(message, body);
  }

  localState(): Buffer {
    const members = [...this.members.all()];
    return encodeSerfState({
      lTime: this.members.clock.time,
      statusLTimes: new Map(members.map((member) => [member.name, member.statusLTime])),
      left: members.filter((member) => member.status === "left").map((member) => member.name),
      eventLTime: this.#events.clock.time,
      events: this.#events.recent(stateEventBytesMax),
      queryLTime: this.#queries.clock.time,
    });
  }

  /** Takes in another's state, before SWIM does: who left must be known to leave. Throws Fault "bad-request". */
  mergeState(bytes: Buffer, asked: boolean): void {
    const state = decodeSerfState(bytes);
    const clocks = [
      [this.members.clock, state.lTime],
      [this.#events.clock, state.eventLTime],
      [this.#queries.clock, state.queryLTime],
    ] as const;
    for (const [clock, next] of clocks) {
      // Their clock stands at the time of the next thing to happen.
      if (asked) clock.witnessTrusted(Math.max(0, next - 1));
      else clock.witness(Math.max(0, next - 1));
    }
    const left = new Set(state.left);
    for (const node of left) {
      const leave: Intent = { kind: "leave", lTime: state.statusLTimes.get(node) ?? 0, node, prune: false };
      const lived = this.members.get(node)?.status === "alive";
      // It must hear of it: else it could not take it back, and would be leaving here for ever.
      if (this.#handle(leave) && lived) this.#passOn(leave, encodeIntent(leave));
    }
    for (const [node, lTime] of state.statusLTimes) {
      if (!left.has(node)) this.#handle({ kind: "join", lTime, node, prune: false });
    }
    if (this.#ignoreOld) {
      this.#events.ignoreUpTo(state.eventLTime - 1);
      this.#queries.ignoreUpTo(state.queryLTime - 1);
    }
    for (const slot of [...state.events].sort((one, other) => one.lTime - other.lTime)) {
      for (const event of slot.events) {
        this.#handle({ kind: "user-event", lTime: slot.lTime, coalesce: false, ...event });
      }
    }
  }

  /** While set, what happened before is not delivered. */
  ignoreOld(ignore: boolean): void {
    this.#ignoreOld = ignore;
  }

  /** Says that we joined, above every intent seen so far. */
  announceJoin(): void {
    const lTime = this.members.clock.increment();
    this.#intend({ kind: "join", lTime, node: this.#world.self.name, prune: false });
  }

  /** Says that we leave; `done` once told often enough, or when time is up. */
  announceLeave(done: () => void): void {
    this.#leaving = true;
    this.#queries.close();
    const lTime = this.members.clock.increment();
    const intent: Intent = { kind: "leave", lTime, node: this.#world.self.name, prune: false };
    this.#intend(intent, done);
  }

  /**
   * Says for a failed member that it has left, so that nobody tries to reach it any more. A live one refutes it.
   * `prune`: forget it at once.
   */
  forceLeave(name: string, prune: boolean): void {
    const lTime = this.members.clock.increment();
    this.#intend({ kind: "leave", lTime, node: name, prune });
  }

  /** Throws Fault "too-large". */
  userEvent(name: string, payload: Uint8Array, coalesce: boolean): void {
    const size = Buffer.byteLength(name) + payload.length;
    if (size > userEventBytesMax) {
      throw new Fault("too-large", {
        message: "a user event must fit into 512 bytes, name and payload together",
        facts: { foundBytes: size, bytesMax: userEventBytesMax },
      });
    }
    const { event, bytes } = this.#events.create(name, Buffer.from(payload), coalesce);
    this.#handle(event);
    this.#gossiper.broadcast("event", encodeUserMessage(bytes));
  }

  query(name: string, payload: Uint8Array, options: QueryOptions, listener: QueryListener): () => void {
    const { query, stop } = this.#queries.ask(name, payload, options, listener);
    this.#handle(query);
    return stop;
  }

  /** Ends our own queries. */
  close(): void {
    this.#queries.close();
  }

  encodeTags(tags: Tags): Buffer {
    return encodeTags(tags);
  }

  /** True when the message is new and to be passed on. */
  #handle(message: SerfMessage): boolean {
    switch (message.kind) {
      case "join":
        return this.members.join(message);
      case "leave":
        return this.#left(message);
      case "user-event":
        return this.#event(message);
      case "query":
        return this.#asked(message);
      case "query-response":
        this.#queries.response(message);
        return false;
      case "other":
        this.#world.counters.unknownType++;
        return false;
    }
  }

  #left(intent: Intent): boolean {
    const ours = intent.node === this.#world.self.name;
    if (ours && !this.#leaving) {
      const statusLTime = this.members.get(intent.node)?.statusLTime ?? 0;
      const believable = this.members.clock.witness(intent.lTime);
      // Somebody wants us gone, or heard of a former life: a later join outdoes it.
      if (believable && intent.lTime >= statusLTime) this.announceJoin();
      return false;
    }
    return this.members.leave(intent);
  }

  #event(event: UserEvent): boolean {
    if (!this.#events.witness(event)) return false;
    const { coalesce, lTime, name } = event;
    this.#world.tell({ kind: "user-event", name, payload: Buffer.from(event.payload), lTime, coalesce });
    return true;
  }

  #asked(query: QueryMessage): boolean {
    if (!this.#queries.witness(query)) return false;
    const { name } = this.#world.self;
    if (passesFilters(query.filters, name, this.members.get(name)?.tags ?? {})) this.#answer(query);
    return !query.noBroadcast;
  }

  #answer(query: QueryMessage): void {
    const incoming = this.#queries.incoming(query);
    if (query.name === "_serf_conflict") {
      const member = this.members.get(query.payload.toString("utf8"));
      const ours = member?.name === this.#world.self.name;
      if (member !== undefined && !ours) incoming.respond(encodeConflictResponse(member));
    } else if (!query.name.startsWith("_serf_")) this.#world.tell({ kind: "query", query: incoming });
  }

  #intend(intent: Intent, onDone?: () => void): void {
    this.#handleOwn(intent);
    this.#gossiper.broadcast("intent", encodeUserMessage(encodeIntent(intent)), undefined, onDone);
  }

  #handleOwn(intent: Intent): void {
    if (intent.kind === "join") this.members.join(intent);
    else if (intent.node === this.#world.self.name && !this.#leaving) this.#left(intent);
    else this.members.leave(intent);
  }

  #passOn(message: SerfMessage, body: Buffer): void {
    const topic =
      message.kind === "user-event" ? "event" : message.kind === "query" ? "query" : ("intent" as const);
    if (body.length + 5 <= this.#world.packetBytes) this.#gossiper.broadcast(topic, encodeUserMessage(body));
  }

  /** Tries one of the failed again, more often the more have failed. */
  #reconnect(exchange: PushPullSync): void {
    if (this.#leaving) return;
    const { prng, self } = this.#world;
    const all = [...this.members.all()].filter((member) => member.name !== self.name);
    const failed = all.filter((member) => member.status === "failed");
    const alive = all.filter((member) => member.status === "alive").length;
    if (failed.length === 0 || !prng.chance(failed.length / Math.max(1, alive))) return;
    exchange.exchange(prng.pick(failed).at, false, () => {});
  }
}
