/**
 * Simulates a network of membership cores in one thread with one simulated clock, from one seed.
 *
 *   loss, delay, duplication   of datagrams (streams only have delay, since TCP repairs the rest)
 *   partition, heal            datagrams are lost, streams time out
 *   crash, restart             the process ends at once, and restarts without memory
 *   pause                      the process stands still; when it resumes, its timer runs first, then the waiting packets
 *                              are handled, as in Node's event loop
 *   skew                       each member's clock starts at a random time and runs up to 2 % fast or slow
 */
import assert from "node:assert/strict";
import { createHash, type Hash } from "node:crypto";
import { Fault } from "../../../src/fault.ts";
import { type Prng, prng } from "../../../src/lib/prng.ts";
import type { Endpoint } from "../../../src/membership/codec/address.ts";
import { MembershipCore } from "../../../src/membership/membership-core.ts";
import type { MemberView, SerfEvent } from "../../../src/membership/serf/serf-event.ts";
import type { OutgoingDial, OutgoingPacket } from "../../../src/membership/swim/outgoing.ts";
import { lanTiming, type Timing } from "../../../src/membership/swim/timing.ts";
import { VirtualTime } from "../../support/time/virtual-clock.ts";

export interface NetworkOptions {
  readonly loss: number;
  readonly duplication: number;
  readonly delayMs: readonly [number, number];
}

export interface ObservedEvent {
  readonly atMs: number;
  readonly by: string;
  readonly event: SerfEvent;
}

export class SimMember {
  readonly name: string;
  readonly at: Endpoint;
  core: MembershipCore;
  up = true;
  pausedUntilMs = 0;
  readonly rate: number;
  readonly offsetMs: number;
  /** Number of the latest wake-up. Older ones have no effect. */
  wakeUp = 0;
  restarts = 0;

  constructor(name: string, at: Endpoint, rate: number, offsetMs: number, core: MembershipCore) {
    this.name = name;
    this.at = at;
    this.rate = rate;
    this.offsetMs = offsetMs;
    this.core = core;
  }
}

export class GossipSim {
  network: NetworkOptions;
  readonly members: SimMember[] = [];
  readonly observed: ObservedEvent[] = [];
  packets = 0;
  messages = 0;
  bytes = 0;
  readonly #timing: Timing;
  readonly #prng: Prng;
  readonly #byPort = new Map<number, SimMember>();
  readonly #time = new VirtualTime();
  readonly #hash: Hash = createHash("sha256");
  #partitions = new Map<string, number>();
  /** Called for every datagram. Returns false to drop it. */
  onSend: (from: SimMember, packet: OutgoingPacket) => boolean = () => true;

  constructor(seed: number | string, network: Partial<NetworkOptions> = {}, timing: Partial<Timing> = {}) {
    this.#prng = prng(seed);
    this.network = { loss: 0, duplication: 0, delayMs: [0.2, 2], ...network };
    this.#timing = { ...lanTiming, ...timing };
  }

  get nowMs(): number {
    return this.#time.now;
  }

  add(name = `m${this.members.length}`): SimMember {
    const at = { host: "10.0.0.1", port: 1 + this.members.length };
    const own = this.#prng.stream(name);
    const rate = 0.98 + own.float() * 0.04;
    const offsetMs = own.float() * 1e6;
    const member = new SimMember(
      name,
      at,
      rate,
      offsetMs,
      this.#newCore(name, at, offsetMs + this.nowMs * rate, 0),
    );
    this.members.push(member);
    this.#byPort.set(at.port, member);
    this.#perform(member);
    return member;
  }

  /** Returns a cluster of `size` members that joined through the first, and all agree. */
  static cluster(
    seed: number | string,
    size: number,
    network?: Partial<NetworkOptions>,
    timing?: Partial<Timing>,
  ): GossipSim {
    const sim = new GossipSim(seed, network, timing);
    const first = sim.add();
    for (let added = 1; added < size; added++) {
      sim.join(sim.add(), first);
      sim.run(20);
    }
    assert.ok(
      sim.runUntil(() => sim.agreed(), 60_000),
      "the cluster did not form",
    );
    return sim;
  }

  join(member: SimMember, to: SimMember): void {
    this.call(member, (now) => member.core.join(now, to.at, () => {}));
  }

  /** Calls a member's core with its time, and does what it asks for. */
  call(member: SimMember, call: (nowMs: number) => void): void {
    call(this.clockOf(member));
    this.#perform(member);
  }

  clockOf(member: SimMember): number {
    return member.offsetMs + this.nowMs * member.rate;
  }

  crash(member: SimMember): void {
    member.up = false;
    member.restarts++;
  }

  restart(member: SimMember): void {
    member.up = true;
    member.restarts++;
    member.core = this.#newCore(member.name, member.at, this.clockOf(member), member.restarts);
    this.#perform(member);
  }

  pause(member: SimMember, forMs: number): void {
    member.pausedUntilMs = this.nowMs + forMs;
  }

  /** Members of different groups cannot reach each other. A member in no group is alone. */
  partition(...groups: SimMember[][]): void {
    this.#partitions = new Map(
      groups.flatMap((group, island) => group.map((member) => [member.name, island + 1])),
    );
    for (const member of this.members)
      if (!this.#partitions.has(member.name))
        this.#partitions.set(member.name, -this.members.indexOf(member));
  }

  heal(): void {
    this.#partitions = new Map();
  }

  run(forMs: number): void {
    this.runUntil(() => false, forMs);
  }

  /** Runs until the condition holds, checked every 100 ms. Returns false if it never did within the limit. */
  runUntil(condition: () => boolean, limitMs: number): boolean {
    const end = this.nowMs + limitMs;
    let look = this.nowMs;
    for (;;) {
      if (this.nowMs >= look) {
        if (condition()) return true;
        look = this.nowMs + 100;
      }
      const { next } = this.#time;
      if (next === undefined || next > end) {
        this.#time.now = end;
        return condition();
      }
      this.#time.step();
    }
  }

  get live(): SimMember[] {
    return this.members.filter((member) => member.up);
  }

  /** Returns whether every live member sees exactly the live members as alive. */
  agreed(among: readonly SimMember[] = this.live): boolean {
    const names = among
      .map((member) => member.name)
      .sort()
      .join();
    return among.every((member) => {
      const alive = member.core.members().filter(({ status }) => status === "alive");
      return (
        alive
          .map(({ name }) => name)
          .sort()
          .join() === names
      );
    });
  }

  /** Returns one member's status as another sees it. */
  view(by: SimMember, of: SimMember): MemberView["status"] | undefined {
    return by.core.members().find(({ name }) => name === of.name)?.status;
  }

  eventsOf(kind: SerfEvent["kind"]): ObservedEvent[] {
    return this.observed.filter(({ event: notice }) => notice.kind === kind);
  }

  /** Returns a hash of the history. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Delivers a datagram from an unknown address. */
  inject(to: SimMember, messages: readonly Buffer[]): void {
    this.call(to, (now) => to.core.handlePacket(now, { host: "6.6.6.6", port: 666 }, messages));
  }

  #newCore(name: string, at: Endpoint, nowMs: number, life: number): MembershipCore {
    return new MembershipCore({
      name,
      at,
      tags: { n: name },
      timing: this.#timing,
      prng: this.#prng.stream(`${name}/${life}`),
      packetBytes: 1_400,
      membersMax: 1_000,
      nowMs,
    });
  }

  /** Does what a member's core asks for, and schedules its next wake-up. */
  #perform(member: SimMember): void {
    const ready = member.core.ready();
    for (const packet of ready.packets) this.#send(member, packet);
    for (const dial of ready.dials) this.#dial(member, dial);
    for (const event of ready.events) {
      this.observed.push({ atMs: this.nowMs, by: member.name, event });
      const about = "member" in event ? event.member.name : "";
      this.#hash.update(`${this.nowMs} ${member.name} ${event.kind} ${about}\n`);
    }
    const due = member.core.dueMs();
    const wake = ++member.wakeUp;
    if (due === undefined) return;
    // Slightly later than due, since the two clocks round differently.
    const atMs = Math.max(this.nowMs, (due - member.offsetMs) / member.rate) + 0.001;
    this.#time.at(atMs, () => this.#wake(member, wake, member.restarts));
  }

  #wake(member: SimMember, wake: number, life: number): void {
    if (member.wakeUp !== wake || member.restarts !== life || !member.up) return;
    if (this.#whenRunning(member, () => this.#wake(member, wake, life))) return;
    this.call(member, (now) => member.core.tick(now));
  }

  #send(from: SimMember, packet: OutgoingPacket): void {
    const size = packet.parts.reduce((sum, part) => sum + part.length, 0);
    assert.ok(
      size + (packet.parts.length > 1 ? 2 + 2 * packet.parts.length : 0) <= 1_400,
      "a packet is too large",
    );
    this.packets++;
    this.messages += packet.parts.length;
    this.bytes += size;
    const to = this.#byPort.get(packet.to.port);
    if (!this.onSend(from, packet) || to === undefined || !this.#connected(from, to)) return;
    const copies = this.#prng.chance(this.network.duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (!this.#prng.chance(this.network.loss))
        this.#time.at(this.nowMs + this.#delay(), () => this.#arrive(from, to, packet));
    }
  }

  #arrive(from: SimMember, to: SimMember, packet: OutgoingPacket): void {
    if (!to.up || this.#whenRunning(to, () => this.#arrive(from, to, packet))) return;
    this.call(to, (now) => to.core.handlePacket(now, from.at, packet.parts));
  }

  #dial(from: SimMember, dial: OutgoingDial): void {
    const to = this.#byPort.get(dial.to.port);
    const life = from.restarts;
    let over = false;
    const report = (outcome: Buffer | Fault): void => {
      if (over || !from.up || from.restarts !== life) return;
      if (this.#whenRunning(from, () => report(outcome))) return;
      over = true;
      this.call(from, (now) => from.core.dialDone(now, dial.id, outcome));
    };
    this.#time.at(this.nowMs + dial.timeoutMs / from.rate, () => report(new Fault("deadline")));
    if (to === undefined || !this.#connected(from, to)) return;
    const answer = (): void => {
      if (this.#whenRunning(to, answer)) return;
      let reply: Buffer | Fault = new Fault("unavailable");
      if (to.up) {
        this.call(to, (now) => {
          reply = to.core.handleStream(now, from.at, dial.request) ?? reply;
        });
      }
      if (this.#connected(from, to)) this.#time.at(this.nowMs + this.#delay() * 2, () => report(reply));
    };
    this.#time.at(this.nowMs + this.#delay() * 2, answer);
  }

  /** Returns true if the member is paused. Then `run` is called when it resumes. */
  #whenRunning(member: SimMember, run: () => void): boolean {
    if (member.pausedUntilMs <= this.nowMs) return false;
    this.#time.at(member.pausedUntilMs, run);
    return true;
  }

  #connected(one: SimMember, other: SimMember): boolean {
    return this.#partitions.get(one.name) === this.#partitions.get(other.name);
  }

  #delay(): number {
    const [low, high] = this.network.delayMs;
    return low + this.#prng.float() * (high - low);
  }
}
