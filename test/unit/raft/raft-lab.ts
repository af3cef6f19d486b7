/**
 * One Raft core, or several with the messages between them, with synchronous storage: entries are written and applied at
 * once, and the test decides which messages are delivered. Deterministic: random values come from a fixed seed.
 */
import { prng } from "../../../src/lib/prng.ts";
import {
  Core,
  type CoreConfig,
  type CoreEvent,
  type Entry,
  emptyConfState,
  type Message,
  type MessageType,
  message,
  type PeerId,
  proposal,
  type ReadState,
  type Term,
} from "../../../src/raft/core/mod.ts";
import { MemoryLogStorage } from "../../support/disk/memory-log-storage.ts";

export interface LabOptions extends Partial<Omit<CoreConfig, "storage" | "initial">> {
  readonly voters?: readonly PeerId[];
  readonly learners?: readonly PeerId[];
  /** The terms of the stored entries 1, 2, … */
  readonly log?: readonly Term[];
  readonly term?: Term;
  readonly vote?: PeerId;
  readonly commit?: number;
  /** Default: an empty one. */
  readonly storage?: MemoryLogStorage;
}

export class Lab {
  readonly core: Core;
  readonly storage: MemoryLogStorage;
  readonly events: CoreEvent[] = [];
  readonly applied: Entry[] = [];
  readonly reads: ReadState[] = [];

  constructor(options: LabOptions = {}) {
    const id = options.id ?? 1;
    this.storage = options.storage ?? new MemoryLogStorage();
    this.storage.append((options.log ?? []).map((term, at) => entry(term, at + 1)));
    this.core = new Core({
      electionTicks: 10,
      heartbeatTicks: 1,
      inflightMessagesMax: 256,
      random: prng(`lab/${id}`),
      observe: (event) => this.events.push(event),
      ...options,
      id,
      storage: this.storage,
      initial: {
        hardState: {
          term: options.term ?? options.log?.at(-1) ?? 0,
          vote: options.vote ?? 0,
          commit: options.commit ?? 0,
        },
        configuration: {
          ...emptyConfState,
          voters: options.voters ?? [1, 2, 3],
          learners: options.learners ?? [],
        },
        applied: this.storage.firstIndex - 1,
      },
    });
  }

  /** Writes and applies everything that is ready, and returns the messages to other nodes. */
  settle(): Message[] {
    const sent: Message[] = [];
    while (this.core.hasReady()) {
      const ready = this.core.ready();
      if (ready.hardState !== undefined) this.storage.hardState = ready.hardState;
      this.storage.append(ready.entries);
      if (ready.snapshot !== undefined) this.storage.install(ready.snapshot);
      for (const one of ready.committedEntries) {
        this.applied.push(one);
        if (one.change !== undefined) this.core.applyChange(one.change);
      }
      this.reads.push(...ready.readStates);
      sent.push(...ready.messages);
      this.core.advance();
    }
    return sent;
  }

  /** Steps a message to this node and returns the messages that it then sends. */
  receive(type: MessageType, fields: Partial<Message>): Message[] {
    this.core.step(message(type, this.core.id, fields));
    return this.settle();
  }

  tick(count: number): Message[] {
    for (let left = count; left > 0; left--) this.core.tick();
    return this.settle();
  }

  /** Makes this node the leader, with the votes of all others. */
  lead(): Message[] {
    this.core.campaign();
    let sent = this.settle();
    while (this.core.role !== "leader") {
      for (const { type, to, term } of sent) {
        if (type !== "vote" && type !== "pre-vote") continue;
        this.core.step(message(`${type}-response`, this.core.id, { from: to, term }));
      }
      sent = this.settle();
    }
    return sent;
  }

  propose(text: string): Message[] {
    this.core.propose([proposal(Buffer.from(text))]);
    return this.settle();
  }

  /** The terms of the stored entries, from the first. */
  get terms(): Term[] {
    const { firstIndex, lastIndex } = this.storage;
    return Array.from(
      { length: lastIndex - firstIndex + 1 },
      (_, at) => this.storage.term(firstIndex + at) as Term,
    );
  }
}

export function entry(term: Term, index: number, text = ""): Entry {
  return { term, index, bytes: Buffer.from(text), change: undefined };
}

/** Labs that exchange messages, except those that are cut. */
export class LabNetwork {
  readonly labs: Map<PeerId, Lab>;
  /** Returns true for a message that is dropped. */
  cut: (message: Message) => boolean = () => false;

  constructor(labs: readonly Lab[]) {
    this.labs = new Map(labs.map((lab) => [lab.core.id, lab]));
  }

  lab(id: PeerId): Lab {
    return this.labs.get(id) as Lab;
  }

  /** Delivers messages until none is left. */
  settle(first: readonly Message[] = []): void {
    let waiting = [...first];
    for (;;) {
      for (const lab of this.labs.values()) waiting.push(...lab.settle());
      if (waiting.length === 0) return;
      const now = waiting;
      waiting = [];
      for (const one of now) if (!this.cut(one)) this.labs.get(one.to)?.core.step(one);
    }
  }

  isolate(...ids: PeerId[]): void {
    this.cut = ({ from, to }) => ids.includes(from) !== ids.includes(to);
  }

  heal(): void {
    this.cut = () => false;
  }
}

export function network(size: number, options: LabOptions = {}): LabNetwork {
  const voters = Array.from({ length: size }, (_, at) => at + 1);
  return new LabNetwork(voters.map((id) => new Lab({ voters, ...options, id })));
}
