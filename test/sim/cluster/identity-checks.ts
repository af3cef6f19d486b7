/**
 * The identity checks of the peer handshake, without sockets: whether a process accepts another one (by the rules of
 * BootRecords in src/replication), and the boot records that members exchange. Also the fault that they detect: a data
 * directory that is replaced by an older copy.
 *
 *   message arrives       both ends check each other; what the message promises is recorded
 *   every second          reachable members are linked and report how far they have promised
 *   link opens            both ends exchange what they have recorded of the other members
 *   process ends          linked members store how far it had promised, and share that
 *
 * A rejected process takes no part any more. An operator removes it from the configuration.
 */
import type { Prng } from "../../../src/lib/prng.ts";
import { withEntryTerm } from "../../../src/raft/node/promise.ts";
import {
  type BootClaim,
  furthest,
  isBefore,
  noPosition,
  type Position,
} from "../../../src/replication/identity/boot.ts";
import { Violation } from "../checks/violation.ts";
import { type Message, type PeerId, promiseIn } from "../raft.ts";
import type { DirectoryCopy, SimReplica } from "../replicas/sim-replica.ts";
import { memberOf } from "./sim-members.ts";
import type { ClusterContext, SimServer } from "./sim-server.ts";

/** The sender of a message at the time it was sent. */
interface Sender {
  readonly server: SimServer;
  readonly replica: SimReplica;
  readonly claim: BootClaim;
  readonly promised: Position | undefined;
}

const pingMs = 1000;

export class IdentityChecks {
  /** Rejected until the directory is emptied or repaired. */
  readonly rejected = new Set<PeerId>();
  readonly #cluster: ClusterContext;
  readonly #senders = new WeakMap<Message, Sender>();
  /** Process → nonces of the processes that it accepted. */
  readonly #accepted = new WeakMap<SimReplica, Set<string>>();
  /** Processes that a process has a link to. */
  readonly #links = new WeakMap<SimReplica, WeakSet<SimReplica>>();
  /** The furthest promise in a delivered message, for each process of a server by its nonce. */
  readonly #promises = new Map<PeerId, Map<string, Position>>();
  readonly #copies = new Map<PeerId, DirectoryCopy>();

  constructor(cluster: ClusterContext) {
    this.#cluster = cluster;
  }

  recordSender(server: SimServer, message: Message): void {
    const { replica, node } = server;
    const claim = replica?.boots?.claim;
    if (claim === undefined || node === undefined || message.from !== server.peer) return;
    const made = promiseIn(message);
    const entryTerm = made && message.term === node.term ? node.termAt(made.index) : undefined;
    this.#senders.set(message, { server, replica, claim, promised: made && withEntryTerm(made, entryTerm) });
  }

  /** Returns whether the target accepts the message. Both ends of the connection check each other. */
  accepts(target: SimServer, message: Message): boolean {
    const sender = this.#senders.get(message);
    const own = target.replica.boots?.claim;
    if (sender === undefined || own === undefined || target.node === undefined) return true;
    const { server, replica, claim, promised } = sender;
    if (this.rejected.has(server.peer) || this.rejected.has(target.peer)) return false;
    const { directory } = memberOf(server.peer);
    // The sending process has ended. Its connection counts if it was accepted and no later process was accepted since.
    const isGone = server.replica !== replica || server.node === undefined;
    if (isGone) {
      if (this.#accepted.get(target.replica)?.has(claim.nonce) !== true) return false;
      if (target.replica.boots?.seen(directory)?.nonce !== claim.nonce) return false;
    } else if (!this.#link(server, target)) return false;
    if (promised === undefined) return true;
    target.replica.boots?.notePromise(directory, claim, promiseIn(message)!);
    // A message of an ended process can arrive after its directory was restored and accepted.
    if (isGone) return true;
    const promises = this.#promises.get(server.peer) ?? new Map<string, Position>();
    const before = promises.get(claim.nonce) ?? promised;
    this.#promises.set(server.peer, promises.set(claim.nonce, furthest(promised, before)));
    return true;
  }

  /** Every second, over the network as it is, links the reachable members and lets them report their promises. */
  startPings(): void {
    const { cluster } = this;
    cluster.time.after(pingMs, () => {
      cluster.guard(() => this.#linkAll(true));
      this.startPings();
    });
  }

  #linkAll(pings: boolean): void {
    const running = this.cluster
      .running()
      .filter(({ peer, clock }) => !this.rejected.has(peer) && !clock.paused);
    for (const one of running) {
      for (const other of running) {
        if (one.peer >= other.peer) continue;
        if (this.#isCut(one, other)) this.#unlink(one, other);
        else if (this.#link(one, other) && pings) {
          this.#ping(one, other);
          this.#ping(other, one);
        }
      }
    }
  }

  /** Returns false if one of both rejects the other. */
  #link(one: SimServer, other: SimServer): boolean {
    const claims = [one, other].map(({ replica }) => replica.boots?.claim);
    const [first, second] = claims;
    if (first === undefined || second === undefined) return true;
    if (!this.#accepts(other, one, first) || !this.#accepts(one, other, second)) return false;
    const linked = this.#links.get(one.replica) ?? new WeakSet<SimReplica>();
    if (linked.has(other.replica) || this.#isCut(one, other)) return true;
    const linkedBack = this.#links.get(other.replica) ?? new WeakSet<SimReplica>();
    this.#links.set(one.replica, linked.add(other.replica));
    this.#links.set(other.replica, linkedBack.add(one.replica));
    this.#ping(one, other);
    this.#ping(other, one);
    for (const about of this.cluster.servers.keys()) {
      this.#share(one, other, about);
      this.#share(other, one, about);
    }
    return true;
  }

  #unlink(one: SimServer, other: SimServer): void {
    this.#links.get(one.replica)?.delete(other.replica);
    this.#links.get(other.replica)?.delete(one.replica);
  }

  #isCut(one: SimServer, other: SimServer): boolean {
    const { network } = this.cluster;
    return network.isCut(one.peer, other.peer) || network.isCut(other.peer, one.peer);
  }

  #ping({ peer, replica, node }: SimServer, to: SimServer): void {
    const claim = replica.boots?.claim;
    if (claim === undefined || node === undefined) return;
    to.replica.boots?.notePromise(memberOf(peer).directory, claim, node.promised);
  }

  /** Shares what one server has recorded of a third. Returns false if the power fails during that write. */
  #share(from: SimServer, to: SimServer, about: PeerId): boolean {
    const { directory } = memberOf(about);
    const seen = from.replica.boots?.seen(directory);
    if (seen === undefined || about === from.peer || about === to.peer) return true;
    return this.cluster.runInProcess(to, () => to.replica.boots?.merge(directory, seen));
  }

  #accepts(checker: SimServer, other: SimServer, claim: BootClaim): boolean {
    const { boots } = checker.replica;
    if (boots === undefined || checker.node === undefined) return true;
    let accepted = this.#accepted.get(checker.replica);
    if (accepted === undefined) {
      accepted = new Set();
      this.#accepted.set(checker.replica, accepted);
    }
    if (accepted.has(claim.nonce)) return true;
    const { directory } = memberOf(other.peer);
    const flaw = boots.flawOf(directory, claim, checker.node.promisedBy(other.peer));
    if (flaw !== undefined) {
      this.#reject(other, checker, flaw);
      return false;
    }
    // If the power fails during this write, the process ends before it accepts the other one.
    const isAccepted = this.#cluster.runInProcess(checker, () => {
      if (boots.accept(directory, claim)) checker.node?.forgetProgress(other.peer);
    });
    if (isAccepted) {
      accepted.add(claim.nonce);
      this.#checkPromisesKept(other.peer, claim);
    }
    return isAccepted;
  }

  /** A process that takes part has, since its start, everything that its directory had promised before. */
  #checkPromisesKept(peer: PeerId, { nonce, start }: BootClaim): void {
    for (const [earlier, promised] of this.#promises.get(peer) ?? []) {
      if (earlier === nonce || !isBefore(start, promised)) continue;
      const [has, had] = [start, promised].map(({ term, index }) => `${term}/${index}`);
      throw new Violation("promise-lost", `${peer} takes part with ${has}, but had promised ${had}`);
    }
  }

  #reject(server: SimServer, by: SimServer, flaw: string): void {
    const { cluster } = this;
    if (this.rejected.has(server.peer)) return;
    if (!cluster.checker.wasRolledBack(server.peer))
      throw new Violation(
        "intact-refused",
        `${by.peer} refuses ${server.peer} (${flaw}), which has lost nothing`,
      );
    cluster.trace.event(`${server.peer} is refused by ${by.peer}: ${flaw}`);
    cluster.trace.mark("rejected-rolled-back");
    this.rejected.add(server.peer);
    cluster.time.after(0, () => cluster.guard(() => cluster.crash(server, false)));
    this.#requestRemoval(server.peer);
  }

  /** Requests the removal, as an operator, until it is done. Continues in the healed phase. */
  #requestRemoval(peer: PeerId): void {
    const { cluster } = this;
    const leader = cluster.leader();
    const configuration = leader?.node.configuration;
    const { voters = [], learners = [], votersOutgoing = [] } = configuration ?? {};
    const isMember = [...voters, ...learners, ...votersOutgoing].includes(peer);
    if (configuration !== undefined && isMember && votersOutgoing.length === 0) {
      const changes = [{ action: "remove" as const, peer }];
      leader?.node.proposeChange({ transition: "auto", changes }).catch(() => {});
    }
    cluster.time.after(500, () => cluster.guard(() => this.#requestRemoval(peer)));
  }

  /**
   * Called when a process ends: linked members store how far it had promised, and share that. Returns false if the power
   * fails on one of them meanwhile.
   */
  processEnds(server: SimServer): boolean {
    const { cluster } = this;
    const claim = server.replica?.boots?.claim;
    if (claim === undefined) return true;
    const { directory } = memberOf(server.peer);
    const others = cluster.running().filter((other) => other !== server && !this.#isCut(server, other));
    let isWhole = true;
    for (const other of others) {
      const { boots } = other.replica;
      const promised = other.node?.promisedBy(server.peer);
      const isStored = cluster.runInProcess(other, () => {
        if (promised !== undefined) boots?.notePromise(directory, claim, promised);
        boots?.save();
      });
      isWhole &&= isStored;
    }
    for (const from of others) {
      for (const to of others) {
        if (from === to || this.#isCut(from, to)) continue;
        const isStored = this.#share(from, to, server.peer);
        isWhole &&= isStored;
      }
    }
    return isWhole;
  }

  /** Returns whether one other server has recorded everything that this one has promised. */
  #isKnown({ peer }: SimServer): boolean {
    const { directory } = memberOf(peer);
    const promises = [...(this.#promises.get(peer)?.values() ?? [])];
    return this.cluster.running().some((other) => {
      const seen = other.peer === peer ? undefined : other.replica.boots?.seen(directory);
      const known = seen?.promised ?? noPosition;
      return promises.every((promised) => furthest(known, promised) === known);
    });
  }

  get cluster(): ClusterContext {
    return this.#cluster;
  }

  /**
   * Stores a copy of a server's directory, or restores one if the rollback must be detected: the network is whole, all
   * servers run, and one of them has recorded everything that the directory promised. It shares that when the process ends,
   * so it may be down when the directory returns.
   *
   * No server has recorded a promise that is less than a second old if its receiver was started since. Such a rollback
   * cannot be detected (src/replication/DESIGN.md). The same holds if the power fails while the others store the promises.
   */
  rollBackSome(random: Prng): void {
    const { cluster } = this;
    const server = cluster.pickRunning(random);
    if (server?.replica.copy === undefined) return;
    const copy = this.#copies.get(server.peer);
    if (copy === undefined || random.chance(0.3)) {
      this.#copies.set(server.peer, server.replica.copy());
      return;
    }
    const leader = cluster.leader();
    if (leader === undefined || leader === server || cluster.healed || this.rejected.size > 0) return;
    const { voters, votersOutgoing } = leader.node.configuration;
    // Without a majority nothing could be promised. The servers that recorded the promises must be running.
    const allRun = [...cluster.servers.values()].every(
      ({ node, clock }) => node !== undefined && !clock.paused,
    );
    if (voters.length < 3 || votersOutgoing.length > 0 || !voters.includes(server.peer) || !allRun) return;
    cluster.network.heal();
    this.#linkAll(false);
    if (this.rejected.size > 0) return;
    if (!this.#isKnown(server)) {
      cluster.trace.mark("rollback-undetectable");
      return;
    }
    if (!this.processEnds(server)) return;
    cluster.trace.event(`${server.peer} is put back to an older copy`);
    cluster.trace.mark("rolled-back");
    cluster.crash(server, false);
    server.replica.rollBack?.(copy);
    this.#copies.delete(server.peer);
    cluster.checker.rolledBack(server.peer);
    server.replica = server.replica.reopen(cluster.contextOf(server), false);
    cluster.time.after(random.between(1, 300), () => cluster.guard(() => cluster.restart(server)));
  }
}
