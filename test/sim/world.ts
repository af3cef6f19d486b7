/**
 * A cluster with its clients in virtual time, from one seed: nodes start, die, stand still and come back, and after
 * every event the watch looks at them.
 *
 * Never: draws chance but from its own streams; looks at real time.
 */

import { Fault } from "../../src/fault.ts";
import { assert } from "../../src/lib/assert.ts";
import { type Prng, prng } from "../../src/lib/prng.ts";
import { SimulatedCrash } from "../support/sim-disk.ts";
import { type VirtualClock, VirtualTime } from "../support/virtual-clock.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { forwarderOf } from "./forwarding.ts";
import { History } from "./history.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { Identity } from "./identities.ts";
import { memberOf } from "./identity.ts";
import { MemoryReplica } from "./memory-replica.ts";
import { isMoment } from "./moments.ts";
import { SimNetwork } from "./network.ts";
import {
  type ConfState,
  type CoreEvent,
  emptyConfState,
  type Message,
  type PeerId,
  type RaftNode,
} from "./raft.ts";
import { newMachine, RealReplica } from "./real-replica.ts";
import type { ReplicaFaults, SimReplica, Surroundings } from "./replica.ts";
import { Story } from "./story.ts";
import { drawSwarm, type Swarm } from "./swarm.ts";
import { Violation, Watch, type Watched } from "./watch.ts";

export interface SimNode {
  readonly peer: PeerId;
  readonly faults: ReplicaFaults & { fullUntil: number; stallsUntil: number };
  clock: VirtualClock;
  /** What its wall clock was set by. */
  setByMs: number;
  replica: SimReplica;
  /** undefined while it is down. */
  node: RaftNode | undefined;
  watched: Watched;
}

export class World {
  readonly seed: string;
  readonly swarm: Swarm;
  readonly time = new VirtualTime();
  readonly watch = new Watch();
  readonly history = new History();
  readonly story: Story;
  readonly network: SimNetwork;
  readonly nodes = new Map<PeerId, SimNode>();
  readonly chance: Prng;
  healed = false;
  events = 0;
  /** Something is changing on a node: who wants to make trouble listens. */
  onMoment: (made: SimNode, rare: boolean) => void = () => {};
  /** Leaders are taking turns (see rivals). */
  dancing = false;
  readonly identity = new Identity(this);
  #values = 0;
  #failure: unknown;

  constructor(seed: string, only: Partial<Swarm> = {}) {
    this.seed = seed;
    const root = prng(`raft/${seed}`);
    this.swarm = { ...drawSwarm(root.stream("swarm")), ...only };
    this.chance = root.stream("world");
    this.story = new Story(this.time);
    this.network = new SimNetwork(
      this.time,
      root.stream("network"),
      this.swarm,
      (message) => this.#deliver(message),
      ({ from, to }, delivered) => this.nodes.get(from)?.node?.reportSnapshot(to, delivered),
    );
    const peers = Array.from({ length: this.swarm.nodes }, (_, at) => at + 1);
    const first: ConfState = {
      ...emptyConfState,
      voters: peers,
      roster: { members: peers.map(memberOf), nextPeer: this.swarm.nodes + 1 },
    };
    for (const peer of peers) this.add(peer, first);
  }

  /** A node with an empty disk. */
  add(peer: PeerId, configuration: ConfState = emptyConfState): SimNode {
    const chance = prng(`raft/${this.seed}/disk/${peer}`);
    const faults = this.#faults(chance);
    const made: SimNode = {
      peer,
      faults,
      clock: this.#clock(0),
      setByMs: 0,
      replica: undefined as never,
      node: undefined,
      watched: undefined as never,
    };
    const around = this.#surroundings(made);
    if (this.swarm.realLog) {
      const machine = newMachine(peer, around.clock, chance, faults, forwarderOf(this, made));
      made.replica = new RealReplica(machine, around, configuration.voters);
    } else made.replica = new MemoryReplica(peer, around, chance, faults, configuration);
    this.nodes.set(peer, made);
    this.#start(made);
    return made;
  }

  #faults(chance: Prng): SimNode["faults"] {
    const { swarm } = this;
    const faults = {
      fullUntil: 0,
      stallsUntil: 0,
      failNext: false,
      full: (): boolean => this.time.now < faults.fullUntil,
      syncMs: (): number => {
        if (this.healed) return Math.min(1, swarm.syncMs);
        if (this.time.now < faults.stallsUntil) return faults.stallsUntil - this.time.now;
        if (swarm.slowSyncs && chance.chance(0.02)) return chance.between(100, 1500);
        return swarm.syncMs === 0 ? 0 : chance.float() * 2 * swarm.syncMs;
      },
    };
    return faults;
  }

  #clock(offsetMs: number): VirtualClock {
    const rate = this.swarm.clockDrift ? 0.9 + this.chance.float() * 0.2 : 1;
    return this.time.clock({ rate, offsetMs });
  }

  /** Nobody is to write any more. */
  get quiet(): boolean {
    return this.healed || this.time.now > this.swarm.chaosMs - this.swarm.quietMs;
  }

  surroundingsOf(made: SimNode): Surroundings {
    return this.#surroundings(made);
  }

  /** Everything that the next process of this node is to have around it. */
  #surroundings(made: SimNode): Surroundings {
    const { swarm, time, watch } = this;
    const { tickMs, electionTicks, heartbeatTicks } = swarm;
    const tight = {
      inflightMessagesMax: 2,
      messageBytesMax: 60,
      inflightBytesMax: 120,
      groupBytesMax: 100,
      uncommittedBytesMax: 400,
      queuedMax: 8,
    };
    const { clock } = made;
    return {
      clock,
      random: prng(`raft/${this.seed}/core/${made.peer}/${time.now}`),
      limits: {
        tickMs,
        electionTicks,
        heartbeatTicks,
        ...(swarm.smallMessages ? { messageBytesMax: 60, inflightMessagesMax: 4 } : {}),
        ...(swarm.tightLimits ? tight : {}),
      },
      send: (message) => {
        if (made.node !== undefined) watch.sent(made.watched, message);
        this.identity.sends(made, message);
        this.network.send(message);
      },
      observe: (event) => this.#observe(made, event),
      failed: () => {
        clock.stop();
        time.after(0, () => this.guard(() => this.failed(made, clock)));
      },
      applied: (applied) => watch.appliedAt(made.watched, applied),
      recovered: (applied) => watch.committedAt(made.peer, applied),
      restored: (index) => watch.restored(made.watched, index),
    };
  }

  #start(made: SimNode): void {
    const node = made.replica.start();
    made.watched = watchedOf(made, node);
    made.node = node;
    this.watch.started(made.watched);
  }

  #observe(made: SimNode, event: CoreEvent): void {
    this.story.mark(event.kind);
    // The constructor of a core tells events before there is anything to look at.
    if (made.node === undefined) return;
    this.story.tell(() => `${made.peer} ${describe(event)}`);
    this.guard(() => this.watch.event(made.watched, event));
    // No node lies here: one that has lost what it promised is refused before it can say anything.
    if (event.kind === "peer-fault") {
      this.guard(() => {
        throw new Violation("peer-fault", `${made.peer}: ${event.why} of ${event.message.from}`);
      });
    }
    if (isMoment(event)) this.onMoment(made, event.kind !== "became");
  }

  #deliver(message: Message): void {
    const target = this.nodes.get(message.to);
    if (target?.node === undefined) return;
    if (target.clock.paused) {
      // It waits in the socket.
      target.clock.soon(() => this.#receive(target, message));
      return;
    }
    this.#receive(target, message);
  }

  #receive(target: SimNode, message: Message): void {
    this.story.hash(
      `${message.from}>${message.to} ${message.type} ${message.term} ${message.index} ${message.commit}`,
    );
    this.story.tell(
      () =>
        `${message.from}→${message.to} ${message.type} term ${message.term} ${message.logTerm}/${message.index}` +
        `${message.entries.length > 0 ? ` +${message.entries.length}` : ""}${message.reject ? " refused" : ""}` +
        `${message.commit > 0 ? ` commit ${message.commit}` : ""}`,
    );
    if (!this.identity.mayHear(target, message)) return;
    // A follower reads what a new entry must follow, and the power may go in that.
    this.mortal(target, () => {
      const fault = target.node?.receive(message, memberOf(message.from).directory);
      assert(fault === undefined, `a message arrived damaged: ${fault?.message}`);
    });
  }

  /** The process dies. With a power cut, so does what its disk had not synced. */
  crash(made: SimNode, powerCut: boolean): void {
    if (made.node === undefined) return;
    this.story.happen(`${made.peer} ${powerCut ? "loses power" : "is killed"}`);
    this.story.mark(powerCut ? "power-cut" : "kill");
    this.identity.leaves(made);
    made.clock.stop();
    void made.node.close().catch(() => {});
    made.node = undefined;
    made.clock = this.#clock(made.setByMs);
    made.replica = made.replica.reopen(this.#surroundings(made), powerCut);
  }

  /** Its wall clock is set: it shows the true time and this. */
  setClock(made: SimNode, byMs: number): void {
    made.setByMs = byMs;
    made.clock.offsetMs = byMs;
  }

  restart(made: SimNode): void {
    if (made.node !== undefined || this.identity.out.has(made.peer)) return;
    this.story.happen(`${made.peer} starts`);
    this.#start(made);
  }

  /** Its disk has failed: the process that had this clock ends, and is started again. */
  failed(made: SimNode, clock: VirtualClock): void {
    if (made.clock !== clock) return;
    this.story.happen(`${made.peer} stops: its disk has failed`);
    this.crash(made, true);
    this.time.after(500, () => this.guard(() => this.restart(made)));
  }

  /** Sees what a node has applied. False when its process is ending, and nothing more can be seen. */
  look(made: SimNode): boolean {
    return this.mortal(made, () => made.replica.look());
  }

  /** Something that a process does outside of its own events: if the power goes in it, the process ends. */
  mortal(made: SimNode, work: () => void): boolean {
    const { clock } = made;
    try {
      work();
    } catch (thrown) {
      if (
        !(thrown instanceof SimulatedCrash) &&
        !(thrown instanceof Fault && thrown.kind === "disk-failed")
      ) {
        throw thrown;
      }
      clock.stop();
      this.time.after(0, () => this.guard(() => this.failed(made, clock)));
      return false;
    }
    return true;
  }

  up(): SimNode[] {
    return [...this.nodes.values()].filter((made) => made.node !== undefined);
  }

  /** One of those that are up. */
  pickUp(chance: Prng): SimNode | undefined {
    const up = this.up();
    return up.length === 0 ? undefined : chance.pick(up);
  }

  /** A value that no one has written. */
  nextValue(prefix: string): string {
    return `${prefix}${++this.#values}`;
  }

  leader(): (SimNode & { node: RaftNode }) | undefined {
    const leaders = this.up().filter((made) => made.node?.isLeader === true);
    return leaders.sort((a, b) => (b.node?.term ?? 0) - (a.node?.term ?? 0))[0] as
      | (SimNode & { node: RaftNode })
      | undefined;
  }

  replicas(): Map<PeerId, SimReplica> {
    return new Map([...this.nodes].map(([peer, made]) => [peer, made.replica]));
  }

  /** Keeps what broke, also where the caller swallows it: the run ends with it. */
  guard(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.#failure ??= thrown;
    }
  }

  /** Lets Node tell of promises that were rejected unheard; throws what broke. */
  async breathe(): Promise<void> {
    await new Promise(setImmediate);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Lets time pass until `end`, or until it holds; throws what broke. */
  async run(end: number, until: () => boolean = () => false): Promise<boolean> {
    while (this.#failure === undefined) {
      if (until()) return true;
      const { next } = this.time;
      if (next === undefined || next > end) break;
      this.guard(() => this.time.step());
      this.events++;
      if (this.events % 1000 === 0) await this.breathe();
      for (let hops = this.swarm.realLog ? 16 : 3; hops > 0; hops--) await null;
      this.guard(() => {
        for (const made of this.nodes.values()) {
          if (made.node === undefined) continue;
          // One that is dying may have stopped in the middle of anything.
          if (this.look(made)) this.watch.look(made.watched);
        }
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
    this.time.now = Math.max(this.time.now, end);
    return false;
  }
}

function watchedOf(made: SimNode, node: RaftNode): Watched {
  return {
    peer: made.peer,
    get replica() {
      return made.replica;
    },
    get term() {
      return node.term;
    },
    get committed() {
      return node.committed;
    },
    get applied() {
      return node.applied;
    },
    get lastIndex() {
      return node.lastIndex;
    },
    get isLeader() {
      return node.isLeader;
    },
    get configuration() {
      return node.configuration;
    },
    termAt: (index) => node.termAt(index),
  };
}

function describe(event: CoreEvent): string {
  const facts = Object.entries(event)
    .filter(([key, value]) => key !== "kind" && typeof value !== "object")
    .map(([key, value]) => `${key} ${value}`);
  return `${event.kind} ${facts.join(", ")}`;
}

/** A proposal's end, as its client sees it. */
export const writtenOf = (fault: Error): "no" | "unknown" =>
  fault instanceof Fault ? fault.written : "unknown";
