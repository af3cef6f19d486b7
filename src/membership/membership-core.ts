/**
 * The whole of membership as a state machine. The driver hands in time, messages and outcomes; it takes duties:
 *
 *   tick(now) · step(now, from, messages) · answer(now, request) · dialed(now, id, outcome)  →  ready(): Duties
 *   dueMs(): when the next tick is due
 *
 * After every call the driver takes ready() and does what it says: packets may be lost, every dial is reported back.
 * Equal inputs give equal outputs: chance comes from the generator that was handed in.
 *
 * Never: waits, reads a clock, touches a socket.
 */
import { Fault } from "../fault.ts";
import { type Endpoint, endpointText } from "./codec/address.ts";
import { decodeMessage, messageType } from "./codec/messages.ts";
import { MsgpackReader, malformed } from "./codec/msgpack-reader.ts";
import type { QueryListener, QueryOptions } from "./serf/queries.ts";
import { type Clocks, Serf } from "./serf/serf.ts";
import { readTags, type Tags } from "./serf/tags.ts";
import { Awareness } from "./swim/awareness.ts";
import { Broadcaster } from "./swim/broadcaster.ts";
import type { Admission, Counters, Member, Ready } from "./swim/duties.ts";
import { MemberStates } from "./swim/member-states.ts";
import { Prober } from "./swim/prober.ts";
import { PushPullSync } from "./swim/push-pull-sync.ts";
import { type DialResult, SwimContext, type SwimContextOptions } from "./swim/swim-context.ts";

export interface CoreOptions extends SwimContextOptions {
  readonly tags: Tags;
  /** Absent: everybody may be a member. */
  readonly admission?: Admission;
  /** From the snapshot of a former life. */
  readonly clocks?: Clocks;
}

const noticeMs = 10_000;
const noticesMax = 1_024;

export class MembershipCore {
  readonly #world: SwimContext;
  readonly #gossiper: Broadcaster;
  readonly #awareness: Awareness;
  readonly #rumours: MemberStates;
  readonly #prober: Prober;
  readonly #exchange: PushPullSync;
  readonly #serf: Serf;
  readonly #conflictMs = new Map<string, number>();
  readonly #refusedMs = new Map<string, number>();
  readonly #admission: Admission | undefined;
  /** Who was refused in what came in just now, by address. */
  #refusedNow = new Map<string, Fault>();

  constructor(options: CoreOptions) {
    const world = new SwimContext(options);
    this.#world = world;
    this.#admission = options.admission;
    this.#gossiper = new Broadcaster(world);
    this.#awareness = new Awareness(options.timing.healthScoreMax);
    const serf = new Serf(world, this.#gossiper, options.clocks ?? { member: 0, event: 0, query: 0 });
    this.#serf = serf;
    this.#rumours = new MemberStates(world, this.#gossiper, this.#awareness, {
      arrived: (record) => serf.members.arrived(record),
      changed: (record) => serf.members.changed(record),
      gone: (record) => serf.members.gone(record.name),
      conflict: (name, known, claimed) => this.#conflict(name, known, claimed),
      refuses: (name, at, meta) => this.#refuses(name, at, meta),
      isLeaving: (name) => serf.members.get(name)?.status === "leaving",
    });
    this.#prober = new Prober(world, this.#gossiper, this.#awareness, this.#rumours);
    this.#rumours.check = (record, accusation, done, patient) =>
      this.#prober.check(record, accusation, done, patient);
    this.#exchange = new PushPullSync(world, this.#rumours, serf);
    this.#rumours.announce(serf.encodeTags(options.tags));
    this.#prober.start();
    this.#exchange.start();
    serf.start(this.#exchange);
  }

  /** Machine time of the next tick that is due. */
  dueMs(): number | undefined {
    return this.#world.schedule.dueMs();
  }

  tick(nowMs: number): void {
    this.#world.schedule.tick(nowMs);
  }

  /** Time goes on, and nothing else: before a query is answered late, for one. */
  observe(nowMs: number): void {
    this.#world.schedule.observe(nowMs);
  }

  /** The messages of one datagram. What is not understood is counted and dropped. */
  handlePacket(nowMs: number, from: Endpoint, messages: readonly Buffer[]): void {
    this.#world.schedule.observe(nowMs);
    this.#world.counters.packetsIn++;
    for (const bytes of messages) {
      try {
        this.#receive(from, bytes);
      } catch (reason) {
        if (!(reason instanceof Fault)) throw reason;
        this.#world.counters.malformed++;
      }
    }
  }

  /** The answer to a message that came on a stream; undefined: none. Throws Fault "bad-request". */
  handleStream(nowMs: number, from: Endpoint, request: Buffer): Buffer | undefined {
    this.#world.schedule.observe(nowMs);
    if (request[0] !== messageType.user) return this.#exchange.answer(request);
    const reader = new MsgpackReader(request, 1);
    const size = reader.fields().uint("UserMsgLen", request.length);
    const body = request.subarray(reader.position, reader.position + size);
    if (body.length < size) throw malformed("it is cut short");
    this.#receive(from, Buffer.concat([Buffer.from([messageType.user]), body]));
    return undefined;
  }

  /** Reports the outcome of a dial duty. */
  dialDone(nowMs: number, id: number, outcome: DialResult): void {
    this.#world.schedule.observe(nowMs);
    this.#refusedNow.clear();
    try {
      this.#world.dialDone(id, outcome);
    } catch (reason) {
      if (!(reason instanceof Fault)) throw reason;
      this.#world.counters.malformed++;
    }
  }

  /** What the driver has to do now. */
  ready(): Ready {
    return this.#world.take();
  }

  /**
   * Exchanges state with a member that is reachable there. `done` gets a Fault, also when our name is taken by
   * another or when who lives there is not admitted, or undefined. `ignoreOld`: user events of before are not delivered.
   */
  join(nowMs: number, to: Endpoint, ignoreOld: boolean, done: (fault: Fault | undefined) => void): void {
    this.#world.schedule.observe(nowMs);
    const conflicts = this.#world.counters.conflicts;
    this.#serf.ignoreOld(ignoreOld);
    this.#exchange.exchange(to, true, (fault) => {
      this.#serf.ignoreOld(false);
      const taken = this.#world.counters.conflicts > conflicts && this.#conflictMs.has(this.#world.self.name);
      const refused = this.#refusedNow.get(endpointText(to));
      if (fault === undefined && refused !== undefined) {
        done(refused);
        return;
      }
      if (fault === undefined && taken) {
        done(
          new Fault("failed-precondition", {
            message: "the cluster knows another member by this name",
            facts: { name: this.#world.self.name },
          }),
        );
        return;
      }
      if (fault === undefined) this.#serf.announceJoin();
      done(fault);
    });
  }

  /** Leaves for good; `done` once the others had time to hear of it. */
  leave(nowMs: number, done: () => void): void {
    const { schedule, timing } = this.#world;
    schedule.observe(nowMs);
    const within = (limitMs: number, start: (next: () => void) => void, then: () => void): void => {
      let over = false;
      const next = (): void => {
        if (!over) then();
        over = true;
        alarm.cancel();
      };
      const alarm = schedule.after(limitMs, next);
      start(next);
    };
    within(
      timing.broadcastTimeoutMs,
      (next) => this.#serf.announceLeave(next),
      () =>
        within(
          timing.broadcastTimeoutMs,
          (next) => this.#rumours.leave(next),
          () => {
            this.#serf.members.gone(this.#world.self.name);
            schedule.after(timing.leavePropagateMs, done);
          },
        ),
    );
  }

  /** Throws Fault "too-large" past 512 bytes. `done` once the others were told. */
  setTags(nowMs: number, tags: Tags, done: () => void): void {
    this.#world.schedule.observe(nowMs);
    this.#rumours.announce(this.#serf.encodeTags(tags), done);
  }

  userEvent(nowMs: number, name: string, payload: Uint8Array, coalesce: boolean): void {
    this.#world.schedule.observe(nowMs);
    this.#serf.userEvent(name, payload, coalesce);
  }

  query(
    nowMs: number,
    name: string,
    payload: Uint8Array,
    options: QueryOptions,
    listener: QueryListener,
  ): () => void {
    this.#world.schedule.observe(nowMs);
    return this.#serf.query(name, payload, options, listener);
  }

  forceLeave(nowMs: number, name: string, prune: boolean): void {
    this.#world.schedule.observe(nowMs);
    this.#serf.forceLeave(name, prune);
  }

  /** Everybody we know of, by name. */
  members(): Member[] {
    const members = [...this.#serf.members.all()].map((member) => this.#serf.members.show(member));
    return members.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  get clocks(): Clocks {
    return this.#serf.clocks;
  }

  get counters(): Readonly<Counters> {
    return this.#world.counters;
  }

  /** Ends what is under way for callers: nobody will call again. */
  close(): void {
    this.#serf.close();
  }

  /** For metrics: how much this member doubts itself, stands still, and has to tell. */
  get health(): { readonly awareness: number; readonly stalls: number; readonly waiting: number } {
    return {
      awareness: this.#awareness.score,
      stalls: this.#world.schedule.stalls,
      waiting: this.#gossiper.queued,
    };
  }

  #receive(from: Endpoint, bytes: Buffer): void {
    const message = decodeMessage(bytes);
    switch (message.kind) {
      case "ping":
        this.#prober.ping(message, from);
        return;
      case "indirect-ping":
        this.#prober.indirectPing(message, from);
        return;
      case "ack":
      case "nack":
        this.#prober.ack(message);
        return;
      case "alive":
        this.#rumours.alive(message);
        return;
      case "suspect":
        this.#rumours.suspect(message);
        return;
      case "dead":
        this.#rumours.dead(message);
        return;
      case "user":
        this.#serf.receive(message.body);
    }
  }

  #conflict(name: string, known: Endpoint, claimed: Endpoint): void {
    if (this.#isDue(this.#conflictMs, name)) this.#world.tell({ kind: "conflict", name, known, claimed });
  }

  #refuses(name: string, at: Endpoint, meta: Buffer): boolean {
    const fault = this.#admission?.(name, readTags(meta));
    if (fault === undefined) return false;
    if (this.#refusedNow.size < noticesMax) this.#refusedNow.set(endpointText(at), fault);
    if (this.#isDue(this.#refusedMs, name)) this.#world.tell({ kind: "refused", name, at, fault });
    return true;
  }

  /** Told at most every ten seconds a name: a flood of claims must not become a flood of notices. */
  #isDue(toldMs: Map<string, number>, name: string): boolean {
    const now = this.#world.schedule.nowMs;
    const last = toldMs.get(name);
    if (last !== undefined && now - last < noticeMs) return false;
    if (last === undefined && toldMs.size >= noticesMax) toldMs.clear();
    toldMs.set(name, now);
    return true;
  }
}
