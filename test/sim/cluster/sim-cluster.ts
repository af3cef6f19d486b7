/**
 * A cluster and its clients in virtual time, from one seed. Processes start, stop, pause and restart. The invariants are
 * checked after every event. All randomness comes from streams of the seed.
 */

import { Fault } from "../../../src/fault.ts";
import { assert } from "../../../src/lib/assert.ts";
import { DiskUncertain, errorCode } from "../../../src/lib/disk/disk.ts";
import { type Prng, prng } from "../../../src/lib/prng.ts";
import type { RowsRange } from "../../../src/replication/mod.ts";
import { SimulatedCrash } from "../../support/disk/sim-disk.ts";
import { type VirtualClock, VirtualTime } from "../../support/time/virtual-clock.ts";
import { SimBackups } from "../bucket/sim-backups.ts";
import { CursorHistory } from "../checks/cursor-history.ts";
import { History } from "../checks/history.ts";
import { InvariantChecker } from "../checks/invariant-checker.ts";
import { NamedHistory } from "../checks/named-history.ts";
import { observedServer } from "../checks/observed-server.ts";
import { Trace } from "../checks/trace.ts";
import { Violation } from "../checks/violation.ts";
import { isCritical } from "../faults/critical-events.ts";
import { replicaFaults } from "../faults/replica-faults.ts";
import { drawSwarm, type Swarm } from "../faults/swarm.ts";
import {
  type ConfState,
  type CoreEvent,
  emptyConfState,
  type Message,
  type PeerId,
  type Snapshot,
} from "../raft.ts";
import { MemoryReplica } from "../replicas/memory-replica.ts";
import { newMachine, RealReplica } from "../replicas/real-replica.ts";
import type { Applied, ProcessContext, SimReplica } from "../replicas/sim-replica.ts";
import { forwarderOf } from "./forwarding.ts";
import { IdentityChecks } from "./identity-checks.ts";
import { memberOf } from "./sim-members.ts";
import { SimNetwork } from "./sim-network.ts";
import type { ClusterContext, SimLeader, SimServer } from "./sim-server.ts";

export class SimCluster implements ClusterContext {
  readonly seed: string;
  readonly swarm: Swarm;
  readonly time = new VirtualTime();
  readonly checker = new InvariantChecker();
  readonly history = new History();
  readonly named = new NamedHistory();
  readonly cursors = new CursorHistory(this.named, (name) => this.trace.mark(name));
  readonly trace: Trace;
  readonly network: SimNetwork;
  readonly servers = new Map<PeerId, SimServer>();
  readonly random: Prng;
  healed = false;
  events = 0;
  /** Called when the state of a server has just changed. Targeted faults listen here. */
  onCriticalEvent: (server: SimServer, rare: boolean) => void = () => {};
  /** True while a fault of leader-changes.ts is in progress. */
  leadersAlternate = false;
  /** How much earlier than their clocks the servers stamp frames. */
  stampedEarlierMs = 0;
  readonly identity = new IdentityChecks(this);
  /** Undefined in most runs. */
  readonly backups: SimBackups | undefined;
  #values = 0;
  #failure: unknown;

  constructor(seed: string, only: Partial<Swarm> = {}) {
    this.seed = seed;
    const root = prng(`raft/${seed}`);
    this.swarm = { ...drawSwarm(root.stream("swarm")), ...only };
    this.random = root.stream("world");
    this.trace = new Trace(this.time);
    this.network = new SimNetwork(
      this.time,
      root.stream("network"),
      this.swarm,
      (message) => this.#deliver(message),
      ({ from, to }, delivered) => this.servers.get(from)?.node?.reportSnapshot(to, delivered),
    );
    if (this.swarm.bucket && this.swarm.realLog) this.backups = new SimBackups(this, root.stream("backups"));
    const peers = Array.from({ length: this.swarm.nodes }, (_, at) => at + 1);
    const first: ConfState = {
      ...emptyConfState,
      voters: peers,
      roster: { members: peers.map(memberOf), nextPeer: this.swarm.nodes + 1 },
    };
    for (const peer of peers) this.add(peer, first);
  }

  /** Adds a server with an empty disk. */
  add(peer: PeerId, configuration: ConfState = emptyConfState): SimServer {
    const random = prng(`raft/${this.seed}/disk/${peer}`);
    const faults = replicaFaults(this, random);
    const server: SimServer = {
      peer,
      faults,
      clock: this.#clock(0),
      setByMs: 0,
      replica: undefined as never,
      node: undefined,
      observed: undefined as never,
    };
    const context = this.#context(server);
    if (this.swarm.realLog) {
      const machine = newMachine(peer, context.clock, random, faults, forwarderOf(this, server), this.swarm);
      server.replica = new RealReplica(machine, context, configuration.voters);
    } else server.replica = new MemoryReplica(peer, context, random, faults, configuration);
    this.servers.set(peer, server);
    this.#start(server);
    return server;
  }

  #clock(offsetMs: number): VirtualClock {
    const rate = this.swarm.clockDrift ? 0.9 + this.random.float() * 0.2 : 1;
    return this.time.clock({ rate, offsetMs });
  }

  /** The true time, in milliseconds since 1970. */
  get trueMs(): number {
    return this.time.clock().wallMs();
  }

  /** True when clients must not write any more. */
  get quiet(): boolean {
    return this.healed || this.time.now > this.swarm.chaosMs - this.swarm.quietMs;
  }

  contextOf(server: SimServer): ProcessContext {
    return this.#context(server);
  }

  /** Creates the environment of the server's next process. */
  #context(server: SimServer): ProcessContext {
    const { swarm, time, checker } = this;
    const { tickMs, electionTicks, heartbeatTicks } = swarm;
    const tight = {
      inflightMessagesMax: 2,
      messageBytesMax: 60,
      inflightBytesMax: 120,
      groupBytesMax: 100,
      uncommittedBytesMax: 400,
      queuedMax: 8,
    };
    const { clock } = server;
    return {
      clock,
      random: prng(`raft/${this.seed}/core/${server.peer}/${time.now}`),
      limits: {
        tickMs,
        electionTicks,
        heartbeatTicks,
        ...(swarm.smallMessages ? { messageBytesMax: 60, inflightMessagesMax: 4 } : {}),
        ...(swarm.tightLimits ? tight : {}),
      },
      send: (message) => {
        if (server.node !== undefined) checker.sent(server.observed, message);
        this.identity.recordSender(server, message);
        this.network.send(message);
      },
      observe: (event) => this.#observe(server, event),
      failed: () => {
        clock.stop();
        time.after(0, () => this.guard(() => this.failed(server, clock)));
      },
      applied: (applied) => {
        this.#committed(applied);
        checker.appliedAt(server.observed, applied);
      },
      recovered: (applied) => {
        this.#committed(applied);
        checker.committedAt(server.peer, applied);
      },
      stampedEarlierMs: () => this.stampedEarlierMs,
      rows: (index, rows) => this.named.rowsAt(index, rows),
      mark: (name) => this.trace.mark(name),
      restored: (index) => checker.restored(server.observed, index),
    };
  }

  /** Gives each committed frame of a named log to its history once. */
  #committed({ index, named }: Applied): void {
    if (named === undefined || this.checker.applied.has(index)) return;
    if (!this.cursors.committed(named, index, this.trueMs)) this.named.committed(named, index);
  }

  #start(server: SimServer): void {
    const node = server.replica.start();
    server.observed = observedServer(server, node);
    server.node = node;
    this.checker.started(server.observed);
  }

  #observe(server: SimServer, event: CoreEvent): void {
    this.trace.mark(event.kind);
    // The constructor of a core emits events before its node can be observed.
    if (server.node === undefined) return;
    this.trace.note(() => `${server.peer} ${describe(event)}`);
    this.guard(() => this.checker.event(server.observed, event));
    // No server lies: one that has lost a promise is rejected before it can send a message.
    if (event.kind === "peer-fault") {
      this.guard(() => {
        throw new Violation("peer-fault", `${server.peer}: ${event.why} of ${event.message.from}`);
      });
    }
    if (isCritical(event)) this.onCriticalEvent(server, event.kind !== "became");
  }

  #deliver(message: Message): void {
    const target = this.servers.get(message.to);
    if (target?.node === undefined) return;
    if (target.clock.paused) {
      // The message waits in the socket.
      target.clock.soon(() => this.#receive(target, message));
      return;
    }
    this.#receive(target, message);
  }

  #receive(target: SimServer, message: Message): void {
    this.trace.hash(
      `${message.from}>${message.to} ${message.type} ${message.term} ${message.index} ${message.commit}`,
    );
    this.trace.note(
      () =>
        `${message.from}→${message.to} ${message.type} term ${message.term} ${message.logTerm}/${message.index}` +
        `${message.entries.length > 0 ? ` +${message.entries.length}` : ""}${message.reject ? " refused" : ""}` +
        `${message.commit > 0 ? ` commit ${message.commit}` : ""}`,
    );
    if (!this.identity.accepts(target, message)) return;
    if (message.snapshot !== undefined && target.replica.rows !== undefined)
      this.#fetchRows(target, message, message.snapshot);
    else this.#pass(target, message);
  }

  /** Passes a snapshot on once the rows that it names have arrived. A process that ends meanwhile gets nothing. */
  #fetchRows(target: SimServer, message: Message, snapshot: Snapshot): void {
    const { node, clock } = target;
    const ask = async (range: RowsRange): Promise<Uint8Array> => {
      await new Promise<void>((resolve) => clock.after(1, resolve));
      const leader = this.servers.get(message.from);
      if (leader?.node === undefined) throw new Fault("unavailable");
      return leader.replica.rows!.read(range);
    };
    const pass = (): Snapshot | undefined => {
      if (target.node !== node) return undefined;
      this.guard(() => this.#pass(target, message));
      return target.node?.status().pendingSnapshot;
    };
    target.replica.rows!.fetch(snapshot, ask, pass).catch((reason: unknown) => {
      if (target.node !== node || (reason instanceof Fault && reason.kind !== "disk-failed")) return;
      if (errorCode(reason) !== "" || reason instanceof DiskUncertain) return;
      this.guard(() =>
        this.runInProcess(target, () => {
          throw reason;
        }),
      );
    });
  }

  #pass(target: SimServer, message: Message): void {
    // A follower reads the entry before a new one. The power can fail during that read.
    this.runInProcess(target, () => {
      const fault = target.node?.receive(message, memberOf(message.from).directory);
      assert(fault === undefined, `a message arrived corrupt: ${fault?.message}`);
    });
  }

  /** Ends the process. A power cut also loses what its disk has not synced. */
  crash(server: SimServer, powerCut: boolean): void {
    if (server.node === undefined) return;
    this.trace.event(`${server.peer} ${powerCut ? "loses power" : "is killed"}`);
    this.trace.mark(powerCut ? "power-cut" : "kill");
    this.identity.processEnds(server);
    server.clock.stop();
    void server.node.close().catch(() => {});
    server.node = undefined;
    server.clock = this.#clock(server.setByMs);
    server.replica = server.replica.reopen(this.#context(server), powerCut);
  }

  /** Sets the wall clock to the true time plus `byMs`. */
  setClock(server: SimServer, byMs: number): void {
    server.setByMs = byMs;
    server.clock.offsetMs = byMs;
  }

  restart(server: SimServer): void {
    if (server.node !== undefined || this.identity.rejected.has(server.peer)) return;
    this.trace.event(`${server.peer} starts`);
    this.#start(server);
  }

  /** Handles a failed disk: ends the process with this clock, and restarts it later. */
  failed(server: SimServer, clock: VirtualClock): void {
    if (server.clock !== clock) return;
    this.trace.event(`${server.peer} stops: its disk has failed`);
    this.crash(server, true);
    this.time.after(500, () => this.guard(() => this.restart(server)));
  }

  /** Reports what a server has applied. Returns false if the power failed, so that nothing more can be observed. */
  observe(server: SimServer): boolean {
    return this.runInProcess(server, () => server.replica.reportApplied());
  }

  /**
   * Runs work of a process outside of its own events. Ends the process and returns false if the power fails during it.
   */
  runInProcess(server: SimServer, work: () => void): boolean {
    const { clock } = server;
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
      this.time.after(0, () => this.guard(() => this.failed(server, clock)));
      return false;
    }
    return true;
  }

  running(): SimServer[] {
    return [...this.servers.values()].filter((server) => server.node !== undefined);
  }

  /** Returns a random running server. */
  pickRunning(random: Prng): SimServer | undefined {
    const running = this.running();
    return running.length === 0 ? undefined : random.pick(running);
  }

  /** Returns a value that was not written before. */
  nextValue(prefix: string): string {
    const value = `${prefix}${++this.#values}`;
    // A short record takes no more space than a settled one.
    return this.swarm.settles ? value.padEnd(60, ".") : value;
  }

  leader(): SimLeader | undefined {
    const leaders = this.running().filter((server) => server.node?.isLeader === true);
    return leaders.sort((a, b) => (b.node?.term ?? 0) - (a.node?.term ?? 0))[0] as SimLeader | undefined;
  }

  replicas(): Map<PeerId, SimReplica> {
    return new Map([...this.servers].map(([peer, server]) => [peer, server.replica]));
  }

  /** Stores the first error, so that it ends the run even if the caller swallows it. */
  guard(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.#failure ??= thrown;
    }
  }

  /** Waits for Node to report unhandled rejections. Throws the first stored error. */
  async drainRejections(): Promise<void> {
    await new Promise(setImmediate);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Runs until `end`, or until `until` returns true. Throws the first stored error. */
  async run(end: number, until: () => boolean = () => false): Promise<boolean> {
    while (this.#failure === undefined) {
      if (until()) return true;
      const { next } = this.time;
      if (next === undefined || next > end) break;
      this.guard(() => this.time.step());
      this.events++;
      if (this.events % 1000 === 0) await this.drainRejections();
      for (let hops = this.swarm.realLog ? 16 : 3; hops > 0; hops--) await null;
      this.guard(() => {
        for (const server of this.servers.values()) {
          if (server.node === undefined) continue;
          // The process may be ending, in the middle of any operation.
          if (this.observe(server)) this.checker.check(server.observed);
        }
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
    this.time.now = Math.max(this.time.now, end);
    return false;
  }
}

function describe(event: CoreEvent): string {
  const facts = Object.entries(event)
    .filter(([key, value]) => key !== "kind" && typeof value !== "object")
    .map(([key, value]) => `${key} ${value}`);
  return `${event.kind} ${facts.join(", ")}`;
}
