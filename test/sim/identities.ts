/**
 * What the handshake decides in a world without sockets: whether a process is let in by another, by src's own rules
 * (BootBook). And the fault that they are for: a data directory that is put back to an older copy.
 *
 * A process that is refused takes no part any more; an operator takes it out of the configuration.
 */
import type { Prng } from "../../src/lib/prng.ts";
import { type BootClaim, furthest, isBefore, type Position } from "../../src/replicated/boot.ts";
import { memberOf } from "./identity.ts";
import type { Message, PeerId } from "./raft.ts";
import type { Copy, SimReplica } from "./replica.ts";
import { Violation } from "./watch.ts";
import type { SimNode, World } from "./world.ts";

/** What the sender of a message says of itself. */
interface Sender {
  readonly made: SimNode;
  readonly replica: SimReplica;
  readonly claim: BootClaim;
  readonly promised: Position;
}

export class Identity {
  /** Refused until the directory is emptied or repaired. */
  readonly out = new Set<PeerId>();
  readonly #world: World;
  readonly #senders = new WeakMap<Message, Sender>();
  /** Process that judges → nonces that it has let in. */
  readonly #admitted = new WeakMap<SimReplica, Set<string>>();
  /** Furthest that each process of a node has promised to any node that heard it, by its nonce. */
  readonly #promises = new Map<PeerId, Map<string, Position>>();
  readonly #copies = new Map<PeerId, Copy>();

  constructor(world: World) {
    this.#world = world;
  }

  sends(made: SimNode, message: Message): void {
    const { replica, node } = made;
    const claim = replica?.boots?.claim;
    if (claim === undefined || node === undefined || message.from !== made.peer) return;
    this.#senders.set(message, { made, replica, claim, promised: node.promised });
  }

  /** Both ends of a connection judge each other. */
  mayHear(target: SimNode, message: Message): boolean {
    const sender = this.#senders.get(message);
    const own = target.replica.boots?.claim;
    if (sender === undefined || own === undefined || target.node === undefined) return true;
    const { made, replica, claim, promised } = sender;
    if (this.out.has(made.peer) || this.out.has(target.peer)) return false;
    // Of a process that is gone: its connection was let in, or was not.
    const isGone = made.replica !== replica || made.node === undefined;
    if (isGone) return this.#admitted.get(target.replica)?.has(claim.nonce) === true;
    if (!this.#admits(target, made, claim) || !this.#admits(made, target, own)) return false;
    target.replica.boots?.heard(memberOf(made.peer).directory, claim, promised);
    const promises = this.#promises.get(made.peer) ?? new Map<string, Position>();
    this.#promises.set(
      made.peer,
      promises.set(claim.nonce, furthest(promised, promises.get(claim.nonce) ?? promised)),
    );
    return true;
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

  /** A process ends: who was connected to it stores how far it had promised, and its leader tells the others. */
  leaves(made: SimNode): void {
    const { world } = this;
    const claim = made.replica?.boots?.claim;
    if (claim === undefined) return;
    const { directory } = memberOf(made.peer);
    const leader = world.leader();
    for (const other of world.up()) {
      const { boots } = other.replica;
      if (other === made || boots === undefined || world.network.isCut(made.peer, other.peer)) continue;
      const isTold = leader !== undefined && !world.network.isCut(leader.peer, other.peer);
      const promised = (isTold ? leader : other).node?.promisedBy(made.peer);
      world.mortal(other, () => {
        if (promised !== undefined) boots.heard(directory, claim, promised);
        boots.keep();
      });
    }
  }

  get world(): World {
    return this.#world;
  }

  /** Keeps a copy of a node's directory, or puts one back where that must be noticed. */
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
    this.leaves(leader);
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
