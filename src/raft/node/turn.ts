/**
 * One turn of a node: all inputs since the last turn are handled together.
 *
 *   gather → proposals become one append, reads one question → each Ready: sealed, sent, written, applied
 *
 * A turn does not wait. A message that promises something durable is sent by durable(), after the write.
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { appendThread, applyThread, type Core, type Message, type Ready } from "../core/mod.ts";
import type { EntryFormat, RaftTransport, StateMachine } from "./ports.ts";
import type { PromiseBook } from "./promise.ts";
import type { Proposals } from "./proposals.ts";
import type { Proposer } from "./proposer.ts";
import type { RaftMembership } from "./raft-membership.ts";
import type { Reads } from "./reads.ts";
import type { Writer } from "./writer.ts";

export interface TurnPorts {
  readonly core: Core;
  readonly writer: Writer;
  readonly machine: StateMachine;
  readonly transport: Pick<RaftTransport, "send" | "members">;
  readonly format: EntryFormat | undefined;
  readonly membership: RaftMembership;
  readonly proposals: Proposals;
  readonly proposer: Proposer;
  readonly reads: Reads;
  readonly promises: PromiseBook;
  readonly isStopped: () => boolean;
  /** An entry cannot be applied: the node stops. */
  readonly failed: (cause: Fault) => void;
}

/** With a storage that writes at once, a write leads to the next Ready: after this many others get their turn. */
const readiesMax = 16;

export class Turn {
  readonly #ports: TurnPorts;
  #isRunning = false;

  constructor(ports: TurnPorts) {
    this.#ports = ports;
  }

  /** Takes a turn, unless one is running. `askAgain`: all unanswered reads are asked again. Returns whether it was taken. */
  take(now: number, askAgain: boolean): boolean {
    const { core, machine, proposer, reads, isStopped } = this.#ports;
    if (isStopped() || this.#isRunning) return false;
    this.#isRunning = true;
    machine.gather?.();
    proposer.proposeQueued();
    reads.ask(now, askAgain, (context) => core.readIndex(context));
    for (let count = 0; count < readiesMax && core.hasReady() && !isStopped(); count++) {
      this.#handle(core.ready());
    }
    this.#isRunning = false;
    return true;
  }

  /** A group is durable: its snapshot is in force, and the messages that waited for it are sent. */
  durable(works: readonly Message[]): void {
    const { core, machine, transport, membership, proposals, reads, promises } = this.#ports;
    for (const { snapshot, responses } of works) {
      if (snapshot !== undefined) {
        membership.restore(snapshot.configuration);
        machine.restore(snapshot);
        transport.members(membership.configuration);
        proposals.coveredBy(snapshot.index);
      }
      for (const response of responses) {
        promises.sent(response, (index) => (response.term === core.term ? core.termAt(index) : undefined));
        if (response.to === core.id) core.step(response);
        else transport.send(response);
      }
    }
    reads.appliedTo(core.applied);
  }

  #handle(ready: Ready): void {
    const { core, reads, writer } = this.#ports;
    this.#seal(ready);
    const work = this.#send(ready);
    for (const state of ready.readStates) reads.answered(state, core.applied);
    for (const message of work) {
      try {
        this.#apply(message);
      } catch (cause) {
        // An entry that cannot be applied is like one that cannot be written. Anything but a Fault is a bug.
        if (!(cause instanceof Fault)) throw cause;
        this.#ports.failed(cause);
        return;
      }
    }
    writer.run();
  }

  /** Writes the place of this node's own new entries into their drafts. */
  #seal({ entries }: Ready): void {
    const { core, format } = this.#ports;
    if (entries.length > 0) format?.seal(entries, (index) => core.unstableEntry(index));
  }

  /** Sends what may be sent at once, and queues what is to be written. Returns the messages with entries to apply. */
  #send({ messages }: Ready): Message[] {
    const { core, writer, transport } = this.#ports;
    const work: Message[] = [];
    const requests = messages.filter(({ type }) => type === "vote");
    for (const message of messages) {
      // Requests for votes wait for their term to be durable: in a term that a crash takes back, this node could be elected
      // a second time.
      if (message.type === "vote") continue;
      // An append of a past term is of no use, and its entries may have been replaced before they were sealed.
      if (message.type === "append" && message.term < core.term) continue;
      if (message.to === appendThread) {
        writer.push(
          requests.length === 0
            ? message
            : { ...message, responses: [...requests.splice(0), ...message.responses] },
        );
      } else if (message.to === applyThread) work.push(message);
      else transport.send(message);
    }
    assert(requests.length === 0, "a candidate's new term is written");
    return work;
  }

  #apply({ entries, responses }: Message): void {
    const { core, machine, transport, membership, proposals, reads } = this.#ports;
    let from = 0;
    for (const [at, entry] of entries.entries()) {
      if (entry.change === undefined) continue;
      if (at > from) machine.apply(entries.slice(from, at));
      from = at + 1;
      // A refusal is the same on every node, as it depends on the log alone.
      const refused = core.applyChange(entry.change);
      if (refused === undefined) {
        membership.apply(entry.change, core.configuration);
        transport.members(membership.configuration);
      }
      machine.configure(entry, membership.configuration);
    }
    if (from < entries.length) machine.apply(from === 0 ? entries : entries.slice(from));
    for (const response of responses) core.step(response);
    proposals.applied(entries);
    reads.appliedTo(core.applied);
  }
}
