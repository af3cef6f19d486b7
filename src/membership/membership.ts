/**
 * Membership, running: drives the core with the machine's time and network, and hands what it tells to listeners.
 *
 * Never: decides; polls (the timer is set for the core's next deadline and no other).
 */
import { Fault } from "../fault.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
import { type Endpoint, sameEndpoint } from "./codec/address.ts";
import { MembershipCore } from "./membership-core.ts";
import { defaults, type MembershipOptions } from "./options.ts";
import { QueryResponses } from "./query-responses.ts";
import type { QueryOptions, QueryResponse } from "./serf/queries.ts";
import { Snapshot } from "./serf/snapshot.ts";
import type { Tags } from "./serf/tags.ts";
import type { Counters, Member, SerfEvent } from "./swim/duties.ts";
import { lanTiming } from "./swim/timing.ts";
import { randomPrng } from "./transport/random.ts";
import { resolveEndpoint } from "./transport/resolve.ts";
import type { AcceptedSocket, Transport } from "./transport/transport.ts";

/** Notices of the core, and what went wrong beside it. */
export type MembershipEvent =
  | SerfEvent
  /** Something came in that was not understood or not allowed; or the snapshot cannot be kept. */
  | { readonly kind: "problem"; readonly fault: Fault; readonly from: Endpoint | undefined };

const clockLineMs = 500;

export class Membership {
  /** Our own name and the address that others are told. */
  readonly name: string;
  readonly at: Endpoint;
  readonly #clock: Clock;
  readonly #transport: Transport;
  readonly #core: MembershipCore;
  readonly #snapshot: Snapshot | undefined;
  readonly #listeners = new Set<(event: MembershipEvent) => void>();
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #clockLine: Timer | undefined;
  #closed = false;
  #left: Promise<void> | undefined;
  #endLeave: () => void = () => {};

  /** Use open(). */
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
        : new Snapshot(snapshot.disk, snapshot.path, (fault) =>
            clock.soon(() => this.#problem(fault, undefined)),
          );
    this.#core = new MembershipCore({
      name: options.name,
      at,
      tags: options.tags ?? {},
      timing: { ...lanTiming, ...options.timing },
      prng: options.prng ?? randomPrng(),
      packetBytes: (options.packetBytesMax ?? defaults.packetBytesMax) - overheadBytes,
      membersMax: options.membersMax ?? defaults.membersMax,
      nowMs: clock.monotonicMs(),
      ...(options.admission === undefined ? {} : { admission: options.admission }),
      ...(this.#snapshot === undefined ? {} : { clocks: this.#snapshot.former.clocks }),
    });
    transport.start({
      packet: (from, messages) => this.#drive((now) => this.#core.handlePacket(now, from, messages)),
      stream: (from, message) => this.#drive((now) => this.#core.handleStream(now, from, message)),
      refused: (from, fault) => this.#problem(fault, from),
    });
    this.#drive(() => {});
  }

  /** Everybody we know of, ourselves included. */
  members(): readonly Member[] {
    return this.#core.members();
  }

  /** Calls back on every event from now on; the answer ends it. */
  onEvent(listener: (event: MembershipEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Joins the clusters of these members, `host:port` each; our own address among them is passed over. Answers how
   * many could be reached. Throws the last Fault when there were some and none could be.
   */
  async join(seeds: readonly string[], options: { readonly replayEvents?: boolean } = {}): Promise<number> {
    let joined = 0;
    let tried = 0;
    let last: Fault | undefined;
    for (const seed of seeds) {
      try {
        const to = await resolveEndpoint(seed, this.at.port);
        if (sameEndpoint(to, this.at)) continue;
        tried++;
        await this.#join(to, options.replayEvents !== true);
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
   * Goes back to the cluster of the snapshot: joins those that were alive, until one answers. False when there is
   * none, or when this member had left.
   */
  async rejoin(): Promise<boolean> {
    for (const at of this.#snapshot?.former.alive.values() ?? []) {
      try {
        await this.#join(at, true);
        return true;
      } catch (reason) {
        this.#problem(Fault.from(reason), at);
      }
    }
    return false;
  }

  /** Resolves once the others were told. Throws Fault "too-large" past 512 bytes. */
  async setTags(tags: Tags): Promise<void> {
    this.#assertOpen();
    const told = Promise.withResolvers<void>();
    this.#drive((now) => this.#core.setTags(now, tags, told.resolve));
    const timer = this.#clock.after(defaults.tagsToldMs, told.resolve);
    await told.promise;
    timer.cancel();
  }

  /** Tells all members, ourselves included. Throws Fault "too-large" past 512 bytes. */
  userEvent(name: string, payload: Uint8Array, options: { readonly coalesce?: boolean } = {}): void {
    this.#assertOpen();
    this.#drive((now) => this.#core.userEvent(now, name, payload, options.coalesce ?? false));
  }

  /** Asks all members, ourselves included. Throws Fault "too-large", "overloaded" or "bad-request". */
  query(name: string, payload: Uint8Array, options: QueryOptions = {}): QueryResponses {
    this.#assertOpen();
    return new QueryResponses((answer: (answer: QueryResponse) => void, done: () => void) => {
      const stop = this.#drive((now) => this.#core.query(now, name, payload, options, { answer, done }));
      return () => this.#drive(stop);
    });
  }

  /** Tells the others that a failed member is not coming back. A live one refutes it. */
  forceLeave(name: string, options: { readonly prune?: boolean } = {}): void {
    this.#assertOpen();
    this.#drive((now) => this.#core.forceLeave(now, name, options.prune ?? false));
  }

  /** Leaves the cluster for good; resolves when the others had time to hear of it. Does not close. */
  leave(): Promise<void> {
    this.#left ??= new Promise((resolve) => {
      this.#endLeave = resolve;
      this.#drive((now) => this.#core.leave(now, resolve));
      this.#snapshot?.clocks(this.#core.clocks);
      this.#snapshot?.leave();
    });
    return this.#left;
  }

  /** Takes over a stream that came in on the one port and begins with one of memberlist's bytes. */
  accept(socket: AcceptedSocket): void {
    this.#transport.accept(socket);
  }

  /** For metrics. */
  get stats(): Readonly<Counters> & MembershipCore["health"] {
    return { ...this.#core.counters, ...this.#core.health };
  }

  /** Stops without a word to anybody: the others will see this member fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#core.close();
    this.#endLeave();
    this.#timer?.cancel();
    this.#clockLine?.cancel();
    if (this.#left === undefined) this.#snapshot?.clocks(this.#core.clocks);
    this.#snapshot?.close();
    await this.#transport.close();
  }

  #join(to: Endpoint, ignoreOld: boolean): Promise<void> {
    this.#assertOpen();
    return new Promise((resolve, reject) => {
      this.#drive((now) =>
        this.#core.join(now, to, ignoreOld, (fault) => (fault === undefined ? resolve() : reject(fault))),
      );
    });
  }

  /** Every way into the core: now, then the duties that came of it, then the timer for the next deadline. */
  #drive<T>(act: (nowMs: number) => T): T {
    try {
      return act(this.#clock.monotonicMs());
    } finally {
      this.#perform();
    }
  }

  /** For what no caller waits for: what it throws is a problem to log. */
  #driveSafely(act: (nowMs: number) => void): void {
    try {
      this.#drive(act);
    } catch (reason) {
      this.#problem(Fault.from(reason), undefined);
    }
  }

  #perform(): void {
    if (this.#closed) return;
    const duties = this.#core.ready();
    for (const packet of duties.packets) this.#transport.send(packet);
    for (const dial of duties.dials) {
      this.#transport.dial(dial).then(
        (reply) => this.#driveSafely((now) => this.#core.dialDone(now, dial.id, reply)),
        (reason) => this.#driveSafely((now) => this.#core.dialDone(now, dial.id, Fault.from(reason))),
      );
    }
    this.#arm();
    for (const notice of duties.events) this.#tell(notice);
  }

  #arm(): void {
    const due = this.#core.dueMs();
    if (due === undefined || due >= this.#timerDueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = due;
    this.#timer = this.#clock.after(Math.max(0, due - this.#clock.monotonicMs()), () => {
      this.#timerDueMs = Number.POSITIVE_INFINITY;
      this.#driveSafely((now) => this.#core.tick(now));
    });
  }

  #tell(notice: SerfEvent): void {
    if (this.#snapshot !== undefined && this.#left === undefined) {
      this.#snapshot.notice(notice, this.name);
      this.#clockLine ??= this.#clock.after(clockLineMs, () => {
        this.#clockLine = undefined;
        if (this.#left === undefined) this.#snapshot?.clocks(this.#core.clocks);
      });
    }
    this.#emit(notice.kind === "query" ? { ...notice, query: this.#answerable(notice.query) } : notice);
  }

  /** An answer may come much later than its question: then it must set off by itself. */
  #answerable(query: Extract<SerfEvent, { kind: "query" }>["query"]): typeof query {
    return {
      ...query,
      respond: (payload) =>
        this.#drive((now) => {
          this.#core.observe(now);
          return query.respond(payload);
        }),
    };
  }

  #problem(fault: Fault, from: Endpoint | undefined): void {
    this.#emit({ kind: "problem", fault, from });
  }

  #emit(event: MembershipEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #assertOpen(): void {
    if (this.#closed || this.#left !== undefined) {
      throw new Fault("failed-precondition", { message: "this member has left the cluster" });
    }
  }
}
