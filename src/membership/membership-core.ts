/**
 * Membership as a state machine: SWIM and Serf together. The driver hands in time, messages and results, and takes what
 * is to be done:
 *
 *   tick(now) · handlePacket(now, from, messages) · handleStream(now, from, request) · dialDone(now, id, result)
 *   ready(): packets to send, streams to dial, events to deliver        dueMs(): when the next tick is due
 *
 * The driver calls ready() after every other call. Packets may be lost, but the result of every dial is reported. Equal
 * inputs give equal outputs: randomness comes from the generator in the options.
 */
import { Fault } from "../fault.ts";
import { type Admission, AdmissionGate } from "./admission.ts";
import type { Endpoint } from "./codec/address.ts";
import { decodeMessage, messageType } from "./codec/messages.ts";
import { MsgpackReader, malformed } from "./codec/msgpack-reader.ts";
import type { QueryListener, QueryOptions } from "./serf/queries.ts";
import { type Clocks, Serf } from "./serf/serf.ts";
import { EventBuffer, type MemberView, type SerfEvent } from "./serf/serf-event.ts";
import { encodeTags, type Tags } from "./serf/tags.ts";
import { Broadcaster } from "./swim/broadcaster.ts";
import type { Counters } from "./swim/counters.ts";
import type { MemberDelegate } from "./swim/member-delegate.ts";
import type { OutgoingDial, OutgoingPacket } from "./swim/outgoing.ts";
import { Swim } from "./swim/swim.ts";
import { type DialResult, SwimContext, type SwimContextOptions } from "./swim/swim-context.ts";

export interface CoreOptions extends SwimContextOptions {
  readonly tags: Tags;
  /** Default: every member is admitted. */
  readonly admission?: Admission;
  /** From the snapshot of an earlier process. */
  readonly clocks?: Clocks;
}

/** What the driver has to do. */
export interface MembershipReady {
  readonly packets: readonly OutgoingPacket[];
  readonly dials: readonly OutgoingDial[];
  readonly events: readonly SerfEvent[];
}

export class MembershipCore {
  readonly #context: SwimContext;
  readonly #events = new EventBuffer();
  readonly #broadcaster: Broadcaster;
  readonly #swim: Swim;
  readonly #serf: Serf;
  readonly #gate: AdmissionGate;

  constructor(options: CoreOptions) {
    const context = new SwimContext(options);
    const events = this.#events;
    const gate = new AdmissionGate({
      events,
      nowMs: () => context.schedule.nowMs,
      admission: options.admission,
    });
    const broadcaster = new Broadcaster(context);
    const clocks = options.clocks ?? { member: 0, event: 0, query: 0 };
    const serf = new Serf(context, broadcaster, events, clocks);
    const delegate: MemberDelegate = {
      notifyJoin: (record) => serf.members.handleJoin(record),
      notifyUpdate: (record) => serf.members.handleUpdate(record),
      notifyLeave: (record) => serf.members.handleLeave(record.name),
      notifyConflict: (name, known, claimed) => gate.reportConflict(name, known, claimed),
      refuses: (name, at, meta) => gate.refuses(name, at, meta),
      isLeaving: (name) => serf.members.get(name)?.status === "leaving",
    };
    this.#context = context;
    this.#gate = gate;
    this.#broadcaster = broadcaster;
    this.#serf = serf;
    this.#swim = new Swim(context, broadcaster, delegate, serf);
    this.#swim.start(encodeTags(options.tags));
    serf.start(this.#swim.sync);
  }

  /** Machine time of the next tick, or undefined if there is none. */
  dueMs(): number | undefined {
    return this.#context.schedule.dueMs();
  }

  tick(nowMs: number): void {
    this.#context.schedule.tick(nowMs);
  }

  /** Advances the time only, for example before a late response to a query. */
  observe(nowMs: number): void {
    this.#context.schedule.observe(nowMs);
  }

  /** Handles the messages of one datagram. Malformed ones are counted and dropped. */
  handlePacket(nowMs: number, from: Endpoint, messages: readonly Buffer[]): void {
    this.#context.schedule.observe(nowMs);
    this.#context.counters.packetsIn++;
    for (const bytes of messages) this.#countMalformed(() => this.#receive(from, bytes));
  }

  /**
   * Returns the reply to a message that came on a stream, or undefined for no reply.
   * @throws Fault "bad-request"
   */
  handleStream(nowMs: number, from: Endpoint, request: Buffer): Buffer | undefined {
    this.#context.schedule.observe(nowMs);
    if (request[0] !== messageType.user) return this.#swim.sync.handleStream(request);
    const reader = new MsgpackReader(request, 1);
    const size = reader.fields().uint("UserMsgLen", request.length);
    const body = request.subarray(reader.position, reader.position + size);
    if (body.length < size) throw malformed("it is truncated");
    this.#receive(from, Buffer.concat([Buffer.from([messageType.user]), body]));
    return undefined;
  }

  /** Reports the result of a dial. */
  dialDone(nowMs: number, id: number, result: DialResult): void {
    this.#context.schedule.observe(nowMs);
    this.#gate.reset();
    this.#countMalformed(() => this.#context.dialDone(id, result));
  }

  ready(): MembershipReady {
    return { ...this.#context.takeOutgoing(), events: this.#events.take() };
  }

  /**
   * Joins the cluster of the member at this address. `done` gets undefined, or a Fault, also if another member has our
   * name or if the member there is not admitted.
   * Events and queries from before the join are not delivered.
   */
  join(nowMs: number, to: Endpoint, done: (fault: Fault | undefined) => void): void {
    this.#context.schedule.observe(nowMs);
    const conflicts = this.#context.counters.conflicts;
    this.#serf.ignoreOld(true);
    this.#swim.sync.exchange(to, true, (exchangeFault) => {
      this.#serf.ignoreOld(false);
      const fault = exchangeFault ?? this.#gate.refusalAt(to) ?? this.#nameConflict(conflicts);
      if (fault === undefined) this.#serf.announceJoin();
      done(fault);
    });
  }

  /** Leaves the cluster. `done` is called once the others had time to learn of it. */
  leave(nowMs: number, done: () => void): void {
    const { schedule, timing } = this.#context;
    schedule.observe(nowMs);
    const leaveSwim = (): void => {
      this.#orTimeout(
        (next) => this.#swim.local.leave(next),
        () => {
          this.#serf.members.handleLeave(this.#context.self.name);
          schedule.after(timing.leavePropagateMs, done);
        },
      );
    };
    this.#orTimeout((next) => this.#serf.announceLeave(next), leaveSwim);
  }

  /**
   * Changes the tags. `done` is called once the change was transmitted often enough.
   * @throws Fault "too-large" beyond 512 bytes
   */
  setTags(nowMs: number, tags: Tags, done: () => void): void {
    this.#context.schedule.observe(nowMs);
    this.#swim.local.announce(encodeTags(tags), done);
  }

  userEvent(nowMs: number, name: string, payload: Uint8Array, coalesce: boolean): void {
    this.#context.schedule.observe(nowMs);
    this.#serf.userEvent(name, payload, coalesce);
  }

  query(
    nowMs: number,
    name: string,
    payload: Uint8Array,
    options: QueryOptions,
    listener: QueryListener,
  ): () => void {
    this.#context.schedule.observe(nowMs);
    return this.#serf.query(name, payload, options, listener);
  }

  forceLeave(nowMs: number, name: string, prune: boolean): void {
    this.#context.schedule.observe(nowMs);
    this.#serf.forceLeave(name, prune);
  }

  /** All known members, this one included, sorted by name. */
  members(): MemberView[] {
    const members = [...this.#serf.members.all()].map((member) => this.#serf.members.view(member));
    return members.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  get clocks(): Clocks {
    return this.#serf.clocks;
  }

  get counters(): Readonly<Counters> {
    return this.#context.counters;
  }

  /** Stops the own queries. The core must not be called afterwards. */
  close(): void {
    this.#serf.close();
  }

  /** For metrics: Lifeguard's health score, the number of stalls, and the number of queued broadcasts. */
  get health(): { readonly healthScore: number; readonly stalls: number; readonly queuedBroadcasts: number } {
    return {
      healthScore: this.#swim.awareness.score,
      stalls: this.#context.schedule.stalls,
      queuedBroadcasts: this.#broadcaster.queued,
    };
  }

  #receive(from: Endpoint, bytes: Buffer): void {
    const message = decodeMessage(bytes);
    if (message.kind === "user") this.#serf.receive(message.body);
    else this.#swim.handle(message, from);
  }

  #countMalformed(run: () => void): void {
    try {
      run();
    } catch (reason) {
      if (!(reason instanceof Fault)) throw reason;
      this.#context.counters.malformed++;
    }
  }

  /** `conflictsBefore`: the counter before the exchange. */
  #nameConflict(conflictsBefore: number): Fault | undefined {
    const { name } = this.#context.self;
    if (this.#context.counters.conflicts === conflictsBefore || !this.#gate.hadConflict(name))
      return undefined;
    return new Fault("failed-precondition", {
      message: "the cluster has another member of this name",
      facts: { name },
    });
  }

  /** Calls `then` once `start` calls its argument, or after the broadcast timeout. */
  #orTimeout(start: (next: () => void) => void, then: () => void): void {
    let isOver = false;
    const next = (): void => {
      if (!isOver) then();
      isOver = true;
      timeout.cancel();
    };
    const timeout = this.#context.schedule.after(this.#context.timing.broadcastTimeoutMs, next);
    start(next);
  }
}
