/**
 * The driver of the membership core: gives it the machine's time and network, and its events to listeners. Its one
 * timer is set for the core's next deadline.
 */
import { Fault } from "../fault.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
import { type Endpoint, sameEndpoint } from "./codec/address.ts";
import { MembershipCore } from "./membership-core.ts";
import { defaults, type MembershipOptions, packetBytesMax } from "./options.ts";
import { QueryResponses } from "./query-responses.ts";
import type { QueryOptions } from "./serf/queries.ts";
import type { IncomingQuery, MemberView, SerfEvent } from "./serf/serf-event.ts";
import { SerfSnapshot } from "./serf/snapshot.ts";
import type { Tags } from "./serf/tags.ts";
import type { Counters } from "./swim/counters.ts";
import { lanTiming } from "./swim/timing.ts";
import { randomPrng } from "./transport/random.ts";
import { resolveEndpoint } from "./transport/resolve.ts";
import type { AcceptedSocket, Transport } from "./transport/transport.ts";

export type MembershipEvent =
  | SerfEvent
  /** Something was received that is malformed or not allowed, or the snapshot cannot be written. */
  | { readonly kind: "problem"; readonly fault: Fault; readonly from: Endpoint | undefined };

/** The clocks are written to the snapshot this long after an event. */
const snapshotClocksDelayMs = 500;

export class Membership {
  readonly name: string;
  /** The advertised address. */
  readonly at: Endpoint;
  readonly #clock: Clock;
  readonly #transport: Transport;
  readonly #core: MembershipCore;
  readonly #snapshot: SerfSnapshot | undefined;
  readonly #listeners = new Set<(event: MembershipEvent) => void>();
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #snapshotTimer: Timer | undefined;
  #closed = false;
  #leave: Promise<void> | undefined;
  #endLeave: () => void = () => {};

  /** Use openMembership(). */
  constructor(
    options: MembershipOptions,
    clock: Clock,
    transport: Transport,
    at: Endpoint,
    overheadBytes: number,
  ) {
    this.name = options.name;
    this.at = at;
    this.#clock = clock;
    this.#transport = transport;
    const { snapshot } = options;
    this.#snapshot =
      snapshot === undefined
        ? undefined
        : new SerfSnapshot(snapshot.disk, snapshot.path, (fault) =>
            clock.soon(() => this.#reportProblem(fault, undefined)),
          );
    this.#core = new MembershipCore({
      name: options.name,
      at,
      tags: options.tags ?? {},
      timing: { ...lanTiming, ...options.timing },
      prng: options.prng ?? randomPrng(),
      packetBytes: packetBytesMax - overheadBytes,
      membersMax: options.membersMax ?? defaults.membersMax,
      nowMs: clock.monotonicMs(),
      ...(options.admission === undefined ? {} : { admission: options.admission }),
      ...(this.#snapshot === undefined ? {} : { clocks: this.#snapshot.previous.clocks }),
    });
    transport.start({
      onPacket: (from, messages) => this.#drive((now) => this.#core.handlePacket(now, from, messages)),
      onStream: (from, message) => this.#drive((now) => this.#core.handleStream(now, from, message)),
      onProblem: (from, fault) => this.#reportProblem(fault, from),
    });
    this.#drive(() => {});
  }

  /** All known members, this one included. */
  members(): readonly MemberView[] {
    return this.#core.members();
  }

  /** Calls `listener` on every event from now on. Returns a function that ends that. */
  onEvent(listener: (event: MembershipEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Joins the clusters of these members, `host:port` each. The own address is skipped. Returns the number of members
   * that were reached.
   * User events from before the join are not delivered.
   * @throws Fault of the last attempt if all of them failed
   */
  async join(addrs: readonly string[]): Promise<number> {
    let joined = 0;
    let tried = 0;
    let last: Fault | undefined;
    for (const addr of addrs) {
      try {
        const to = await resolveEndpoint(addr, this.at.port);
        if (sameEndpoint(to, this.at)) continue;
        tried++;
        await this.#join(to);
        joined++;
      } catch (reason) {
        last = Fault.from(reason);
      }
    }
    if (joined === 0 && last !== undefined) {
      throw new Fault(last.kind, {
        message: `no member could be joined, ${last.message}`,
        facts: { ...last.facts, tried },
        cause: last,
      });
    }
    return joined;
  }

  /**
   * Joins the members of the snapshot, one after another, until one replies. Returns false if there is none, or if this
   * member had left its cluster.
   */
  async rejoin(): Promise<boolean> {
    for (const at of this.#snapshot?.previous.alive.values() ?? []) {
      try {
        await this.#join(at);
        return true;
      } catch (reason) {
        this.#reportProblem(Fault.from(reason), at);
      }
    }
    return false;
  }

  /**
   * Changes the tags. Resolves once the change was transmitted often enough, or after five seconds.
   * @throws Fault "too-large" beyond 512 bytes
   */
  async setTags(tags: Tags): Promise<void> {
    this.#checkOpen();
    const done = Promise.withResolvers<void>();
    this.#drive((now) => this.#core.setTags(now, tags, done.resolve));
    const timer = this.#clock.after(defaults.tagsBroadcastMs, done.resolve);
    await done.promise;
    timer.cancel();
  }

  /**
   * Sends a user event to all members, this one included.
   * @throws Fault "too-large" if name and payload have more than 512 bytes
   */
  userEvent(name: string, payload: Uint8Array, options: { readonly coalesce?: boolean } = {}): void {
    this.#checkOpen();
    this.#drive((now) => this.#core.userEvent(now, name, payload, options.coalesce ?? false));
  }

  /**
   * Sends a query to all members, this one included.
   * @throws Fault "too-large", "overloaded" or "bad-request"
   */
  query(name: string, payload: Uint8Array, options: QueryOptions = {}): QueryResponses {
    this.#checkOpen();
    return new QueryResponses((listener) => {
      const stop = this.#drive((now) => this.#core.query(now, name, payload, options, listener));
      return () => this.#drive(stop);
    });
  }

  /** Makes a failed member "left" for all members. A live one refutes it. */
  forceLeave(name: string, options: { readonly prune?: boolean } = {}): void {
    this.#checkOpen();
    this.#drive((now) => this.#core.forceLeave(now, name, options.prune ?? false));
  }

  /** Leaves the cluster. Resolves once the others had time to learn of it. The sockets stay open. */
  leave(): Promise<void> {
    this.#leave ??= new Promise((resolve) => {
      this.#endLeave = resolve;
      this.#drive((now) => this.#core.leave(now, resolve));
      this.#snapshot?.recordClocks(this.#core.clocks);
      this.#snapshot?.recordLeave();
    });
    return this.#leave;
  }

  /** Takes over a socket of the shared port whose first byte is one of memberlist's. */
  accept(socket: AcceptedSocket): void {
    this.#transport.accept(socket);
  }

  /** For metrics. */
  get stats(): Readonly<Counters> & MembershipCore["health"] {
    return { ...this.#core.counters, ...this.#core.health };
  }

  /** Stops without leaving. The others will find that this member failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#core.close();
    this.#endLeave();
    this.#timer?.cancel();
    this.#snapshotTimer?.cancel();
    if (this.#leave === undefined) this.#snapshot?.recordClocks(this.#core.clocks);
    this.#snapshot?.close();
    await this.#transport.close();
  }

  #join(to: Endpoint): Promise<void> {
    this.#checkOpen();
    return new Promise((resolve, reject) => {
      this.#drive((now) =>
        this.#core.join(now, to, (fault) => (fault === undefined ? resolve() : reject(fault))),
      );
    });
  }

  /** Calls the core, then does what it asks for, and sets the timer for its next deadline. */
  #drive<T>(call: (nowMs: number) => T): T {
    try {
      return call(this.#clock.monotonicMs());
    } finally {
      this.#perform();
    }
  }

  /** As #drive, for calls without a caller: an error is reported as a problem. */
  #driveSafely(call: (nowMs: number) => void): void {
    try {
      this.#drive(call);
    } catch (reason) {
      this.#reportProblem(Fault.from(reason), undefined);
    }
  }

  #perform(): void {
    if (this.#closed) return;
    const { packets, dials, events } = this.#core.ready();
    for (const packet of packets) this.#transport.send(packet);
    for (const dial of dials) {
      this.#transport.dial(dial).then(
        (reply) => this.#driveSafely((now) => this.#core.dialDone(now, dial.id, reply)),
        (reason) => this.#driveSafely((now) => this.#core.dialDone(now, dial.id, Fault.from(reason))),
      );
    }
    this.#setTimer();
    for (const event of events) this.#deliver(event);
  }

  #setTimer(): void {
    const due = this.#core.dueMs();
    if (due === undefined || due >= this.#timerDueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = due;
    this.#timer = this.#clock.after(Math.max(0, due - this.#clock.monotonicMs()), () => {
      this.#timerDueMs = Number.POSITIVE_INFINITY;
      this.#driveSafely((now) => this.#core.tick(now));
    });
  }

  #deliver(event: SerfEvent): void {
    if (this.#snapshot !== undefined && this.#leave === undefined) {
      this.#snapshot.record(event, this.name);
      this.#snapshotTimer ??= this.#clock.after(snapshotClocksDelayMs, () => {
        this.#snapshotTimer = undefined;
        if (this.#leave === undefined) this.#snapshot?.recordClocks(this.#core.clocks);
      });
    }
    this.#emit(event.kind === "query" ? { ...event, query: this.#drivenQuery(event.query) } : event);
  }

  /** A response can come long after the query, so it must advance the time and send its packet itself. */
  #drivenQuery(query: IncomingQuery): IncomingQuery {
    return {
      ...query,
      respond: (payload) =>
        this.#drive((now) => {
          this.#core.observe(now);
          return query.respond(payload);
        }),
    };
  }

  #reportProblem(fault: Fault, from: Endpoint | undefined): void {
    this.#emit({ kind: "problem", fault, from });
  }

  #emit(event: MembershipEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #checkOpen(): void {
    if (this.#closed || this.#leave !== undefined) {
      throw new Fault("failed-precondition", { message: "this member has left the cluster" });
    }
  }
}
