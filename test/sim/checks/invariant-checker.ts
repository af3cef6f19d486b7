/**
 * Checks the invariants of Raft after every event. They do not depend on the implementation of the core: they compare
 * sent messages, durable state, applied entries and leaders. What was observed before a crash still counts after it.
 */
import { batchKind, checkFrame, frameCrc, frameKind, frameOriginalBytes } from "../../../src/log/mod.ts";
import type { CoreEvent, Message, PeerId, RaftIndex, Term } from "../raft.ts";
import type { Applied, SimReplica } from "../replicas/sim-replica.ts";
import { isQuorum, type ObservedServer } from "./observed-server.ts";
import { Violation } from "./violation.ts";

interface Seen {
  term: Term;
  committed: RaftIndex;
  applied: RaftIndex;
  /** Set on a leader: its term and last index. */
  led: { term: Term; lastIndex: RaftIndex } | undefined;
  /** Configurations since the last start, newest last, with the index that was applied when each was first seen. */
  configurations: { readonly since: RaftIndex; readonly configuration: ObservedServer["configuration"] }[];
  /** The last pair that was equal to that of the other servers. */
  sound: { readonly applied: RaftIndex; readonly configuration: ObservedServer["configuration"] } | undefined;
}

export class InvariantChecker {
  /** Index → the first entry that any server applied there. */
  readonly applied = new Map<RaftIndex, Applied>();
  /** Offset → the value there, and the index of its entry. */
  readonly committed = new Map<number, { readonly value: string; readonly index: RaftIndex }>();
  highest: RaftIndex = 0;
  readonly #committedTerms = new Map<RaftIndex, Term>();
  #committedHighest: RaftIndex = 0;
  /** Term → the highest index that any server in that term knew to be committed. */
  readonly #committedIn = new Map<Term, RaftIndex>();
  /** Index → the configuration of the servers that have applied exactly that many entries. */
  readonly #configurations = new Map<
    RaftIndex,
    { readonly text: string; readonly members: ReadonlySet<PeerId> }
  >();
  readonly #leaders = new Map<Term, PeerId>();
  readonly #votes = new Map<string, PeerId>();
  readonly #entries = new Map<string, EntryDigest>();
  readonly #granted = new Map<string, Set<PeerId>>();
  readonly #seen = new Map<PeerId, Seen>();
  readonly #rolledBack = new Set<PeerId>();

  #fail(invariant: string, detail: string): never {
    throw new Violation(invariant, detail);
  }

  #of(peer: PeerId): Seen {
    let seen = this.#seen.get(peer);
    if (seen === undefined) {
      seen = { term: 0, committed: 0, applied: 0, led: undefined, configurations: [], sound: undefined };
      this.#seen.set(peer, seen);
    }
    return seen;
  }

  /** Records that a client requested to trim everything before this offset. */
  trimmedTo(before: number): void {
    this.#trimmedTo = Math.max(this.#trimmedTo, before);
  }
  #trimmedTo = 0;

  wasRolledBack(peer: PeerId): boolean {
    return this.#rolledBack.has(peer);
  }

  /**
   * Records that the directory was replaced by an older copy. Broken promises are not a violation then.
   */
  rolledBack(peer: PeerId): void {
    this.#highestVote.delete(peer);
    this.#seen.delete(peer);
    this.#rolledBack.add(peer);
  }

  /** Records a start of the server, the first one or a later one. */
  started(node: ObservedServer): void {
    const seen = this.#of(node.peer);
    // Promises made before the start must still hold. The commit index may be lower.
    if (node.term < this.#promised(node.peer)) {
      this.#fail(
        "term-regressed",
        `${node.peer} restarts in term ${node.term} after ${this.#promised(node.peer)}`,
      );
    }
    if (node.replica.firstIndex > node.replica.appliedIndex + 1) {
      this.#fail("log-gap", `${node.peer} starts at ${node.replica.firstIndex}`);
    }
    seen.term = node.term;
    seen.committed = node.committed;
    seen.configurations = [];
    seen.applied = node.replica.appliedIndex;
    seen.led = undefined;
  }

  /** Returns the highest term in which the server has voted. */
  #promised(peer: PeerId): Term {
    return this.#highestVote.get(peer) ?? 0;
  }
  readonly #highestVote = new Map<PeerId, Term>();

  event(node: ObservedServer, event: CoreEvent): void {
    if (event.kind === "vote-received" && event.granted && event.type === "vote-response") {
      if (event.from === node.peer) {
        this.#voted(node.peer, event.term, node.peer);
        const { hardState } = node.replica.durable;
        if (hardState.term < event.term) {
          this.#fail("vote-before-durable", `${node.peer} counts its own vote in term ${event.term}`);
        }
      }
      const key = `${node.peer}/${event.term}`;
      const granted = this.#granted.get(key) ?? new Set();
      this.#granted.set(key, granted.add(event.from));
    }
    if (event.kind === "became" && event.role === "leader") this.#elected(node, event.term);
  }

  #elected(node: ObservedServer, term: Term): void {
    const other = this.#leaders.get(term);
    if (other !== undefined)
      this.#fail("one-leader-per-term", `${other} and ${node.peer} lead in term ${term}`);
    this.#leaders.set(term, node.peer);
    const granted = this.#granted.get(`${node.peer}/${term}`);
    const voted = (peer: PeerId): boolean =>
      granted?.has(peer) === true && this.#votes.get(`${peer}/${term}`) === node.peer;
    if (!isQuorum(node.configuration, voted))
      this.#fail("elected-without-quorum", `${node.peer} leads in term ${term}`);
    // Committed in terms before this one. A late vote can still elect a leader in a past term.
    let highest = 0;
    for (const [past, index] of this.#committedIn) if (past < term) highest = Math.max(highest, index);
    const expected = this.#committedTerms.get(highest);
    const found = node.termAt(highest);
    if (highest > 0 && found !== expected && found !== undefined) {
      this.#fail(
        "leader-completeness",
        `${node.peer} has ${found}/${highest}, committed was ${expected}/${highest}`,
      );
    }
    if (node.lastIndex < highest) {
      this.#fail("leader-completeness", `${node.peer} ends at ${node.lastIndex}, committed was ${highest}`);
    }
  }

  /** Records a message that leaves the server. What it promises must be durable there. */
  sent(node: ObservedServer, message: Message): void {
    const { peer } = node;
    const { durable } = node.replica;
    const { type, term, to, index } = message;
    if (message.from !== peer) return;
    if (type === "vote-response" && !message.reject) {
      this.#voted(peer, term, to);
      const { hardState } = durable;
      if (hardState.term < term || (hardState.term === term && hardState.vote !== to)) {
        this.#fail("vote-before-durable", `${peer} votes for ${to} in term ${term}`);
      }
    }
    if (type === "append-response" && !message.reject && term === node.term) {
      if (durable.hardState.term < term) this.#fail("ack-before-durable", `${peer} responds in term ${term}`);
      if (index > durable.lastIndex) {
        this.#fail("ack-before-durable", `${peer} acknowledges ${index}, durable is ${durable.lastIndex}`);
      }
    }
    if (type === "append") {
      for (const entry of message.entries) this.#entry(entry.index, entry.term, digestOf(entry), peer);
      if (message.commit > this.#committedHighest) this.#commit(node, message.commit);
    }
    if (type === "snapshot" && (message.snapshot?.index ?? 0) > node.replica.appliedIndex) {
      this.#fail("snapshot-ahead", `${peer} sends a snapshot of ${message.snapshot?.index}`);
    }
  }

  #voted(peer: PeerId, term: Term, choice: PeerId): void {
    const key = `${peer}/${term}`;
    const before = this.#votes.get(key);
    if (before !== undefined && before !== choice) {
      this.#fail("one-vote-per-term", `${peer} votes for ${before} and ${choice} in term ${term}`);
    }
    this.#votes.set(key, choice);
    this.#highestVote.set(peer, Math.max(this.#highestVote.get(peer) ?? 0, term));
  }

  /** Log matching: an index and a term identify one entry on all servers. */
  #entry(index: RaftIndex, term: Term, entry: EntryDigest, peer: PeerId): void {
    const key = `${index}/${term}`;
    const before = this.#entries.get(key) ?? entry;
    const whole = before.whole ?? entry.whole;
    if (before.sum !== entry.sum || (entry.whole ?? whole) !== whole)
      this.#fail("log-matching", `${peer} has a different entry ${term}/${index}`);
    this.#entries.set(key, { ...before, whole });
  }

  #commit(node: ObservedServer, to: RaftIndex): void {
    for (let index = this.#committedHighest + 1; index <= to; index++) {
      const term = node.termAt(index);
      if (term === undefined) continue;
      this.#committedTerms.set(index, term);
    }
    this.#reached(node.term, to);
  }

  #reached(term: Term, index: RaftIndex): void {
    this.#committedHighest = Math.max(this.#committedHighest, index);
    this.#committedIn.set(term, Math.max(this.#committedIn.get(term) ?? 0, index));
  }

  appliedAt(node: ObservedServer, applied: Applied): void {
    const { index } = applied;
    const seen = this.#of(node.peer);
    // A state that is rebuilt from the log starts from zero. Without a restart each index follows the one before it.
    if (index !== seen.applied + 1)
      this.#fail("apply-order", `${node.peer} applies ${index} after ${seen.applied}`);
    seen.applied = index;
    this.committedAt(node.peer, applied);
    if (node.committed < index) this.#fail("applied-beyond-commit", `${node.peer} applies ${index}`);
  }

  /** State machine safety: every server applies the same entry at an index. */
  committedAt(peer: PeerId, applied: Applied): void {
    const { index, offset, values } = applied;
    const first = this.applied.get(index);
    if (first === undefined) {
      this.applied.set(index, applied);
      this.highest = Math.max(this.highest, index);
      for (const [place, value] of values.entries()) {
        const at = (offset ?? 0) + place;
        const before = this.committed.get(at);
        if (before !== undefined) this.#fail("one-value-per-offset", `${value} and ${before.value} at ${at}`);
        this.committed.set(at, { value, index });
      }
    } else if (first.digest !== applied.digest || first.offset !== applied.offset) {
      this.#fail(
        "state-machine-safety",
        `${peer} applies ${applied.digest} at ${index} as offset ${applied.offset}, before it was ` +
          `${first.digest} as ${first.offset}`,
      );
    }
  }

  restored(node: ObservedServer, index: RaftIndex): void {
    const seen = this.#of(node.peer);
    if (index <= seen.applied)
      this.#fail("snapshot-behind", `${node.peer} installs ${index} over ${seen.applied}`);
    seen.applied = index;
  }

  /**
   * Records an acknowledgment. Returns the index of the entry at the offset, or undefined if no server has applied it yet.
   */
  acknowledgedAt(value: string, offset: number): RaftIndex | undefined {
    const found = this.committed.get(offset);
    if (found !== undefined && found.value !== value) {
      this.#fail("wrong-offset", `${value} was acknowledged at ${offset}, but ${found.value} is there`);
    }
    return found?.index;
  }

  /** The entry must be durable on a majority of the voters, whichever servers are running. */
  checkAcknowledged(node: ObservedServer, index: RaftIndex, replicas: ReadonlyMap<PeerId, SimReplica>): void {
    const term = this.applied.get(index)?.term;
    const durable = (peer: PeerId): boolean => {
      // It may have acknowledged the entry before. A quorum that includes it counts: no leader relies on this server now.
      if (this.#rolledBack.has(peer)) return true;
      const image = replicas.get(peer)?.durable;
      if (image === undefined || image.lastIndex < index) return false;
      const found = image.term(index);
      return found === undefined || found === term;
    };
    const won = (configuration: ObservedServer["configuration"]): boolean => isQuorum(configuration, durable);
    // An entry can be committed and applied in the same turn as a change. Then the configuration before it decided.
    const earlier = this.#of(node.peer).configurations.slice(-3);
    if (won(node.configuration) || earlier.some(({ configuration }) => won(configuration))) return;
    this.#fail("acked-before-durable", `${term}/${index} is not durable on a majority`);
  }

  /** Checks a running server. Called after every event. */
  check(node: ObservedServer): void {
    const seen = this.#of(node.peer);
    if (node.term < seen.term) this.#fail("term-regressed", `${node.peer} from ${seen.term} to ${node.term}`);
    seen.term = node.term;
    const { committed } = node;
    if (committed < seen.committed) {
      this.#fail("commit-regressed", `${node.peer} from ${seen.committed} to ${committed}`);
    }
    if (committed > seen.committed) this.#newCommit(node, seen.committed, committed);
    seen.committed = committed;
    const { lowest } = node.replica;
    // No run takes as long as the retention time. Whatever the wall clocks show, no record is old enough to expire.
    if (lowest > this.#trimmedTo)
      this.#fail(
        "trimmed-too-young",
        `${node.peer} starts at ${lowest}, but trims were requested only up to ${this.#trimmedTo}`,
      );
    if (seen.configurations.at(-1)?.configuration !== node.configuration) {
      seen.configurations.push({ since: seen.applied, configuration: node.configuration });
    }
    this.#configured(node, seen);
    const { led } = seen;
    if (!node.isLeader) seen.led = undefined;
    else if (led === undefined || led.term !== node.term) {
      seen.led = { term: node.term, lastIndex: node.lastIndex };
    } else {
      if (node.lastIndex < led.lastIndex)
        this.#fail("leader-append-only", `${node.peer} in term ${node.term}`);
      led.lastIndex = node.lastIndex;
    }
  }

  /** State machine safety for the configuration: servers with the same applied index have the same configuration. */
  #configured({ peer, applied, configuration }: ObservedServer, seen: Seen): void {
    const { voters, votersOutgoing, learners } = configuration;
    if (seen.sound?.applied === applied && seen.sound.configuration === configuration) return;
    const members = [voters, votersOutgoing, learners].map((peers) => peers.toSorted((a, b) => a - b));
    const text = members.map((peers) => peers.join()).join(" | ");
    const before = this.#configurations.get(applied);
    if (voters.length === 0) {
      // The first configuration is not in the log. A server that joins later learns it with the change that adds it.
      if (before?.members.has(peer) !== true) return;
    } else if (before === undefined) {
      this.#configurations.set(applied, { text, members: new Set(members.flat()) });
      return;
    }
    if (before?.text === text) {
      seen.sound = { applied, configuration };
      return;
    }
    this.#fail(
      "one-configuration-per-index",
      `${peer} has ${text} at ${applied}, others had ${before?.text}`,
    );
  }

  #newCommit(node: ObservedServer, from: RaftIndex, to: RaftIndex): void {
    for (let index = from + 1; index <= to; index++) {
      const term = node.termAt(index);
      if (term === undefined) continue;
      const before = this.#committedTerms.get(index);
      if (before === undefined) this.#committedTerms.set(index, term);
      else if (before !== term) {
        this.#fail(
          "commit-safety",
          `${node.peer} commits ${term}/${index}, committed was ${before}/${index}`,
        );
      }
    }
    this.#reached(node.term, to);
  }
}

interface EntryDigest {
  /** Undefined of a settled frame. */
  readonly whole: string | undefined;
  /** The size and checksum of the frame, of a settled one those of the batch that was there. */
  readonly sum: string;
}

function digestOf(entry: Message["entries"][number]): EntryDigest {
  const { bytes } = entry;
  const isFrame = checkFrame(bytes, 0, bytes.length) === undefined;
  const sum = isFrame ? `${frameOriginalBytes(bytes, 0)}:${frameCrc(bytes, 0)}` : "";
  const isSettled = isFrame && frameKind(bytes, 0) === batchKind.settled;
  return { whole: isSettled ? undefined : wholeOf(entry), sum };
}

function wholeOf({ bytes, change }: Message["entries"][number]): string {
  return `${bytes.length}:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")}:${
    change === undefined ? "" : JSON.stringify(change.changes)
  }`;
}
