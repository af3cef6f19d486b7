/**
 * What the handshake decides in a world without sockets: whether a process is let in by another, by src's own rules
 * (BootRecords), and what members tell each other of it. And the fault that they are for: a data directory that is put back
 * to an older copy.
 *
 *   a message arrives           both ends judge each other; what it promises is noted
 *   every second                members that reach each other are linked, and say how far they have promised
 *   a link opens                both tell what they have seen of the others
 *   a process ends              who was linked to it stores how far it had promised, and tells the others
 *
 * A process that is refused takes no part any more; an operator takes it out of the configuration.
 */
import type { Prng } from "../../src/lib/prng.ts";
import {
  type BootClaim,
  furthest,
  isBefore,
  noPosition,
  type Position,
} from "../../src/replication/identity/boot.ts";
import { memberOf } from "./identity.ts";
import { type Message, type PeerId, promiseIn } from "./raft.ts";
import type { Copy, SimReplica } from "./replica.ts";
import { Violation } from "./watch.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { SimNode, World } from "./world.ts";

/** What the sender of a message says of itself. */
interface Sender {
  readonly made: SimNode;
  readonly replica: SimReplica;
  readonly claim: BootClaim;
  readonly promised: Position | undefined;
}

const pingMs = 1000;

export class Identity {
  /** Refused until the directory is emptied or repaired. */
  readonly out = new Set<PeerId>();
  readonly #world: World;
  readonly #senders = new WeakMap<Message, Sender>();
  /** Process that judges → nonces that it has let in. */
  readonly #admitted = new WeakMap<SimReplica, Set<string>>();
  /** Processes that a process has a link to. */
  readonly #links = new WeakMap<SimReplica, WeakSet<SimReplica>>();
  /** Furthest that each process of a node has promised in a message that was delivered, by its nonce. */
  readonly #promises = new Map<PeerId, Map<string, Position>>();
  readonly #copies = new Map<PeerId, Copy>();

  constructor(world: World) {
    this.#world = world;
  }

  sends(made: SimNode, message: Message): void {
    const { replica, node } = made;
    const claim = replica?.boots?.claim;
    if (claim === undefined || node === undefined || message.from !== made.peer) return;
    this.#senders.set(message, { made, replica, claim, promised: promiseIn(message) });
  }

  /** Both ends of a connection judge each other. */
  mayHear(target: SimNode, message: Message): boolean {
    const sender = this.#senders.get(message);
    const own = target.replica.boots?.claim;
    if (sender === undefined || own === undefined || target.node === undefined) return true;
    const { made, replica, claim, promised } = sender;
    if (this.out.has(made.peer) || this.out.has(target.peer)) return false;
    const { directory } = memberOf(made.peer);
    // Of a process that is gone: its connection was let in, or was not, and has ended where a later process was let in.
    const isGone = made.replica !== replica || made.node === undefined;
    if (isGone) {
      if (this.#admitted.get(target.replica)?.has(claim.nonce) !== true) return false;
      if (target.replica.boots?.seen(directory)?.nonce !== claim.nonce) return false;
    } else if (!this.#link(made, target)) return false;
    if (promised === undefined) return true;
    target.replica.boots?.heard(directory, claim, promised);
    // What arrives of a process that is gone may do so after its directory has come back and was let in.
    if (isGone) return true;
    const promises = this.#promises.get(made.peer) ?? new Map<string, Position>();
    const before = promises.get(claim.nonce) ?? promised;
    this.#promises.set(made.peer, promises.set(claim.nonce, furthest(promised, before)));
    return true;
  }

  /** Once a second, over the network as it is: who can be reached is linked, and says how far it has promised. */
  startPings(): void {
    const { world } = this;
    world.time.after(pingMs, () => {
      world.guard(() => this.#linkAll(true));
      this.startPings();
    });
  }

  #linkAll(pings: boolean): void {
    const up = this.world.up().filter(({ peer, clock }) => !this.out.has(peer) && !clock.paused);
    for (const one of up) {
      for (const other of up) {
        if (one.peer >= other.peer) continue;
        if (this.#isCut(one, other)) this.#unlink(one, other);
        else if (this.#link(one, other) && pings) {
          this.#ping(one, other);
          this.#ping(other, one);
        }
      }
    }
  }

  /** False where one of both does not let the other in. */
  #link(one: SimNode, other: SimNode): boolean {
    const claims = [one, other].map(({ replica }) => replica.boots?.claim);
    const [first, second] = claims;
    if (first === undefined || second === undefined) return true;
    if (!this.#admits(other, one, first) || !this.#admits(one, other, second)) return false;
    const linked = this.#links.get(one.replica) ?? new WeakSet<SimReplica>();
    if (linked.has(other.replica) || this.#isCut(one, other)) return true;
    const linkedBack = this.#links.get(other.replica) ?? new WeakSet<SimReplica>();
    this.#links.set(one.replica, linked.add(other.replica));
    this.#links.set(other.replica, linkedBack.add(one.replica));
    this.#ping(one, other);
    this.#ping(other, one);
    for (const about of this.world.nodes.keys()) {
      this.#tell(one, other, about);
      this.#tell(other, one, about);
    }
    return true;
  }

  #unlink(one: SimNode, other: SimNode): void {
    this.#links.get(one.replica)?.delete(other.replica);
    this.#links.get(other.replica)?.delete(one.replica);
  }

  #isCut(one: SimNode, other: SimNode): boolean {
    const { network } = this.world;
    return network.isCut(one.peer, other.peer) || network.isCut(other.peer, one.peer);
  }

  #ping({ peer, replica, node }: SimNode, to: SimNode): void {
    const claim = replica.boots?.claim;
    if (claim === undefined || node === undefined) return;
    to.replica.boots?.heard(memberOf(peer).directory, claim, node.promised);
  }

  /** One tells another what it has seen of a third. False where the power goes in writing that down. */
  #tell(from: SimNode, to: SimNode, about: PeerId): boolean {
    const { directory } = memberOf(about);
    const seen = from.replica.boots?.seen(directory);
    if (seen === undefined || about === from.peer || about === to.peer) return true;
    return this.world.mortal(to, () => to.replica.boots?.learn(directory, seen));
  }

  #admits(judge: SimNode, other: SimNode, claim: BootClaim): boolean {
    const { boots } = judge.replica;
    if (boots === undefined || judge.node === undefined) return true;
    let admitted = this.#admitted.get(judge.replica);
    if (admitted === undefined) {
      admitted = new Set();
      this.#admitted.set(judge.replica, admitted);
    }
    if (admitted.has(claim.nonce)) return true;
    const { directory } = memberOf(other.peer);
    const flaw = boots.flawOf(directory, claim, judge.node.promisedBy(other.peer));
    if (flaw !== undefined) {
      this.#refuse(other, judge, flaw);
      return false;
    }
    // Power that goes in this write ends the judge before the other is let in.
    const isLetIn = this.#world.mortal(judge, () => {
      if (boots.accept(directory, claim)) judge.node?.forgetProgress(other.peer);
    });
    if (isLetIn) {
      admitted.add(claim.nonce);
      this.#mustHaveAll(other.peer, claim);
    }
    return isLetIn;
  }

  /** Who takes part has, since its start, all that its directory had promised before. */
  #mustHaveAll(peer: PeerId, { nonce, start }: BootClaim): void {
    for (const [earlier, promised] of this.#promises.get(peer) ?? []) {
      if (earlier === nonce || !isBefore(start, promised)) continue;
      const [has, had] = [start, promised].map(({ term, index }) => `${term}/${index}`);
      throw new Violation("promise-forgotten", `${peer} takes part with ${has}, and had promised ${had}`);
    }
  }

  #refuse(refused: SimNode, by: SimNode, flaw: string): void {
    const { world } = this;
    if (this.out.has(refused.peer)) return;
    world.story.happen(`${refused.peer} is refused by ${by.peer}: ${flaw}`);
    world.story.mark("refused-rolled-back");
    this.out.add(refused.peer);
    world.time.after(0, () => world.guard(() => world.crash(refused, false)));
    this.#takeOut(refused.peer);
  }

  /** An operator asks for its removal until that is done, also once all is healed. */
  #takeOut(peer: PeerId): void {
    const { world } = this;
    const leader = world.leader();
    const configuration = leader?.node.configuration;
    const { voters = [], learners = [], votersOutgoing = [] } = configuration ?? {};
    const isMember = [...voters, ...learners, ...votersOutgoing].includes(peer);
    if (configuration !== undefined && isMember && votersOutgoing.length === 0) {
      const changes = [{ action: "remove" as const, peer }];
      leader?.node.proposeChange({ transition: "auto", changes }).catch(() => {});
    }
    world.time.after(500, () => world.guard(() => this.#takeOut(peer)));
  }

  /**
   * A process ends: who was linked to it stores how far it had promised, and tells the others. False where the power goes
   * in that.
   */
  leaves(made: SimNode): boolean {
    const { world } = this;
    const claim = made.replica?.boots?.claim;
    if (claim === undefined) return true;
    const { directory } = memberOf(made.peer);
    const others = world.up().filter((other) => other !== made && !this.#isCut(made, other));
    let isWhole = true;
    for (const other of others) {
      const { boots } = other.replica;
      const promised = other.node?.promisedBy(made.peer);
      const isStored = world.mortal(other, () => {
        if (promised !== undefined) boots?.heard(directory, claim, promised);
        boots?.keep();
      });
      isWhole &&= isStored;
    }
    for (const from of others) {
      for (const to of others) {
        if (from === to || this.#isCut(from, to)) continue;
        const isStored = this.#tell(from, to, made.peer);
        isWhole &&= isStored;
      }
    }
    return isWhole;
  }

  /** Does one of the others know all that this node has promised? */
  #isKnown({ peer }: SimNode): boolean {
    const { directory } = memberOf(peer);
    const promises = [...(this.#promises.get(peer)?.values() ?? [])];
    return this.world.up().some((other) => {
      const seen = other.peer === peer ? undefined : other.replica.boots?.seen(directory);
      return promises.every((promised) => !isBefore(seen?.promised ?? noPosition, promised));
    });
  }

  get world(): World {
    return this.#world;
  }

  /**
   * Keeps a copy of a node's directory, or puts one back where that must be noticed: the network is whole, all nodes are
   * up, and one of them knows all that the directory has promised. It tells the others when the process ends, so it need
   * not be there when the directory comes back. No node knows it where a promise is less than a second old and its receiver
   * was started since: that cannot be detected (src/replication/DESIGN.md). The same holds where the power goes while the
   * others write down what they are told.
   */
  rollBackSome(chance: Prng): void {
    const { world } = this;
    const made = world.pickUp(chance);
    if (made?.replica.copy === undefined) return;
    const copy = this.#copies.get(made.peer);
    if (copy === undefined || chance.chance(0.3)) {
      this.#copies.set(made.peer, made.replica.copy());
      return;
    }
    const leader = world.leader();
    if (leader === undefined || leader === made || world.healed || this.out.size > 0) return;
    const { voters, votersOutgoing } = leader.node.configuration;
    // With more than a minority lost nothing could be promised; and those who know what it promised must be there.
    const isCalm = [...world.nodes.values()].every(({ node, clock }) => node !== undefined && !clock.paused);
    if (voters.length < 3 || votersOutgoing.length > 0 || !voters.includes(made.peer) || !isCalm) return;
    world.network.mend();
    this.#linkAll(false);
    if (this.out.size > 0) return;
    if (!this.#isKnown(made)) {
      world.story.mark("rollback-unknowable");
      return;
    }
    if (!this.leaves(made)) return;
    world.story.happen(`${made.peer} is put back to an older copy`);
    world.story.mark("rolled-back");
    world.crash(made, false);
    made.replica.rollBack?.(copy);
    this.#copies.delete(made.peer);
    world.watch.rolledBack(made.peer);
    made.replica = made.replica.reopen(world.surroundingsOf(made), false);
    world.time.after(chance.between(1, 300), () => world.guard(() => world.restart(made)));
  }
}
