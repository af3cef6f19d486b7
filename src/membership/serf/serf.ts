/**
 * The Serf layer on SWIM: intents, user events, queries, tags, reaping and reconnecting. What an event or a query means
 * is for the application to decide.
 */
import { Fault } from "../../fault.ts";
import { encodeUserMessage } from "../codec/messages.ts";
import type { Broadcaster, Topic } from "../swim/broadcaster.ts";
import type { PushPullSync, StateDelegate } from "../swim/push-pull-sync.ts";
import type { SwimContext } from "../swim/swim-context.ts";
import { encodeConflictResponse } from "./conflict-response.ts";
import type { LamportClock } from "./lamport-clock.ts";
import { Queries, type QueryListener, type QueryOptions } from "./queries.ts";
import { passesFilters } from "./query-filter.ts";
import type { EventBuffer } from "./serf-event.ts";
import { SerfMembers } from "./serf-members.ts";
import type { Intent, QueryMessage, SerfMessage, UserEvent } from "./serf-messages.ts";
import { decodeSerfMessage, encodeIntent, userEventBytesMax } from "./serf-messages.ts";
import { decodeSerfState, encodeSerfState, type SerfState } from "./serf-state.ts";
import { UserEvents } from "./user-events.ts";

/** The last Lamport times that were seen, from the snapshot of an earlier process. Zeros at first. */
export interface Clocks {
  readonly member: number;
  readonly event: number;
  readonly query: number;
}

/** Most bytes of user events in a push/pull. */
const stateEventBytesMax = 262_144;

export class Serf implements StateDelegate {
  readonly members: SerfMembers;
  readonly #userEvents: UserEvents;
  readonly #queries: Queries;
  readonly #context: SwimContext;
  readonly #broadcaster: Broadcaster;
  readonly #events: EventBuffer;
  #leaving = false;
  #ignoreOld = false;

  constructor(context: SwimContext, broadcaster: Broadcaster, events: EventBuffer, clocks: Clocks) {
    this.#context = context;
    this.#broadcaster = broadcaster;
    this.#events = events;
    this.members = new SerfMembers(context, events, clocks.member + 1);
    this.#userEvents = new UserEvents(clocks.event + 1);
    this.#queries = new Queries(context, broadcaster, clocks.query + 1);
  }

  /** The last times that were seen, for the snapshot. */
  get clocks(): Clocks {
    return {
      member: this.members.clock.time - 1,
      event: this.#userEvents.clock.time - 1,
      query: this.#queries.clock.time - 1,
    };
  }

  /** Starts the timers that reap and reconnect. */
  start(sync: PushPullSync): void {
    const { schedule, timing } = this.#context;
    const reap = (): void => {
      this.members.reap();
      schedule.after(timing.reapIntervalMs, reap);
    };
    const reconnect = (): void => {
      this.#reconnect(sync);
      schedule.after(timing.reconnectIntervalMs, reconnect);
    };
    schedule.after(timing.reapIntervalMs, reap);
    schedule.after(timing.reconnectIntervalMs, reconnect);
  }

  /**
   * Handles the body of a user message of memberlist.
   * @throws Fault "bad-request"
   */
  receive(body: Buffer): void {
    const message = decodeSerfMessage(body);
    if (this.#handle(message)) this.#passOn(message, body);
  }

  localState(): Buffer {
    const members = [...this.members.all()];
    // The receiver takes each time for that of a join. It would ignore the leave intent that has the same time.
    const staying = members.filter((member) => member.status !== "leaving");
    return encodeSerfState({
      lTime: this.members.clock.time,
      statusLTimes: new Map(staying.map((member) => [member.name, member.statusLTime])),
      left: members.filter((member) => member.status === "left").map((member) => member.name),
      eventLTime: this.#userEvents.clock.time,
      events: this.#userEvents.recent(stateEventBytesMax),
      queryLTime: this.#queries.clock.time,
    });
  }

  /** @throws Fault "bad-request" */
  mergeState(bytes: Buffer, isReply: boolean): void {
    const state = decodeSerfState(bytes);
    this.#mergeClocks(state, isReply);
    this.#mergeIntents(state);
    if (this.#ignoreOld) {
      this.#userEvents.ignoreUpTo(state.eventLTime - 1);
      this.#queries.ignoreUpTo(state.queryLTime - 1);
    }
    for (const slot of [...state.events].sort((one, other) => one.lTime - other.lTime)) {
      for (const event of slot.events) {
        this.#handle({ kind: "user-event", lTime: slot.lTime, coalesce: false, ...event });
      }
    }
  }

  /** While set, events and queries from before the next push/pull are not delivered. */
  ignoreOld(ignore: boolean): void {
    this.#ignoreOld = ignore;
  }

  /** Broadcasts a join intent that is later than every intent seen so far. */
  announceJoin(): void {
    const lTime = this.members.clock.increment();
    this.#broadcastIntent({ kind: "join", lTime, node: this.#context.self.name, prune: false });
  }

  /** Broadcasts a leave intent, and stops the own queries. `done` is called once it was transmitted often enough. */
  announceLeave(done: () => void): void {
    this.#leaving = true;
    this.#queries.close();
    const lTime = this.members.clock.increment();
    this.#broadcastIntent({ kind: "leave", lTime, node: this.#context.self.name, prune: false }, done);
  }

  /**
   * Broadcasts a leave intent for a failed member, so that no member tries to reach it. A live member refutes it.
   * `prune`: delete it at once.
   */
  forceLeave(name: string, prune: boolean): void {
    const lTime = this.members.clock.increment();
    this.#broadcastIntent({ kind: "leave", lTime, node: name, prune });
  }

  /** @throws Fault "too-large" */
  userEvent(name: string, payload: Uint8Array, coalesce: boolean): void {
    const size = Buffer.byteLength(name) + payload.length;
    if (size > userEventBytesMax) {
      throw new Fault("too-large", {
        message: "a user event must fit into 512 bytes, name and payload together",
        facts: { foundBytes: size, bytesMax: userEventBytesMax },
      });
    }
    const { event, bytes } = this.#userEvents.create(name, Buffer.from(payload), coalesce);
    this.#handle(event);
    this.#broadcaster.broadcast("event", encodeUserMessage(bytes));
  }

  /**
   * Starts a query. Returns a function that stops it.
   * @throws Fault "too-large", "overloaded" or "bad-request"
   */
  query(name: string, payload: Uint8Array, options: QueryOptions, listener: QueryListener): () => void {
    const { query, stop } = this.#queries.start(name, payload, options, listener);
    this.#handle(query);
    return stop;
  }

  /** Stops the own queries. */
  close(): void {
    this.#queries.close();
  }

  /** Returns true if the message is new and is to be passed on. */
  #handle(message: SerfMessage): boolean {
    switch (message.kind) {
      case "join":
        return this.members.handleJoinIntent(message);
      case "leave":
        return this.#handleLeaveIntent(message);
      case "user-event":
        return this.#handleUserEvent(message);
      case "query":
        return this.#handleQuery(message);
      case "query-response":
        this.#queries.receiveResponse(message);
        return false;
      case "other":
        this.#context.counters.unknownType++;
        return false;
    }
  }

  #handleLeaveIntent(intent: Intent): boolean {
    if (intent.node !== this.#context.self.name || this.#leaving)
      return this.members.handleLeaveIntent(intent);
    const statusLTime = this.members.get(intent.node)?.statusLTime ?? 0;
    const isPlausible = this.members.clock.witness(intent.lTime);
    // A forged intent, or one of an earlier process. A later join intent refutes it.
    if (isPlausible && intent.lTime >= statusLTime) this.announceJoin();
    return false;
  }

  #handleUserEvent(event: UserEvent): boolean {
    if (!this.#userEvents.witness(event)) return false;
    const { coalesce, lTime, name } = event;
    this.#events.add({ kind: "user-event", name, payload: Buffer.from(event.payload), lTime, coalesce });
    return true;
  }

  #handleQuery(query: QueryMessage): boolean {
    if (!this.#queries.witness(query)) return false;
    const { name } = this.#context.self;
    if (passesFilters(query.filters, name, this.members.get(name)?.tags ?? {})) this.#deliver(query);
    return !query.noBroadcast;
  }

  /** Serf's internal query `_serf_conflict` gets a response here. Other internal queries are only acknowledged. */
  #deliver(query: QueryMessage): void {
    const incoming = this.#queries.receive(query);
    if (query.name === "_serf_conflict") {
      const member = this.members.get(query.payload.toString("utf8"));
      const isSelf = member?.name === this.#context.self.name;
      if (member !== undefined && !isSelf) incoming.respond(encodeConflictResponse(member));
    } else if (!query.name.startsWith("_serf_")) this.#events.add({ kind: "query", query: incoming });
  }

  #broadcastIntent(intent: Intent, onDone?: () => void): void {
    this.#handle(intent);
    this.#broadcaster.broadcast("intent", encodeUserMessage(encodeIntent(intent)), undefined, onDone);
  }

  #passOn(message: SerfMessage, body: Buffer): void {
    if (body.length + 5 > this.#context.packetBytes) return;
    this.#broadcaster.broadcast(topicOf(message), encodeUserMessage(body));
  }

  /** The clocks in a state are the times of the next events. */
  #mergeClocks(state: SerfState, isReply: boolean): void {
    const merge = (clock: LamportClock, next: number): void => {
      if (isReply) clock.witnessReply(Math.max(0, next - 1));
      else clock.witness(Math.max(0, next - 1));
    };
    merge(this.members.clock, state.lTime);
    merge(this.#userEvents.clock, state.eventLTime);
    merge(this.#queries.clock, state.queryLTime);
  }

  #mergeIntents(state: SerfState): void {
    const left = new Set(state.left);
    for (const node of left) {
      const leave: Intent = { kind: "leave", lTime: state.statusLTimes.get(node) ?? 0, node, prune: false };
      const wasAlive = this.members.get(node)?.status === "alive";
      // The member must get the intent, or it could not refute it and would stay "leaving" here.
      if (this.#handle(leave) && wasAlive) this.#passOn(leave, encodeIntent(leave));
    }
    for (const [node, lTime] of state.statusLTimes) {
      if (!left.has(node)) this.members.handleJoinIntent({ kind: "join", lTime, node, prune: false }, true);
    }
  }

  /** Exchanges state with one failed member, more often the more members have failed. */
  #reconnect(sync: PushPullSync): void {
    if (this.#leaving) return;
    const { prng, self } = this.#context;
    const others = [...this.members.all()].filter((member) => member.name !== self.name);
    const failed = others.filter((member) => member.status === "failed");
    const alive = others.filter((member) => member.status === "alive").length;
    if (failed.length === 0 || !prng.chance(failed.length / Math.max(1, alive))) return;
    sync.exchange(prng.pick(failed).at, false, () => {});
  }
}

function topicOf({ kind }: SerfMessage): Topic {
  if (kind === "user-event") return "event";
  return kind === "query" ? "query" : "intent";
}
