/**
 * The nodes and messages of an interaction transcript. The commands move each message explicitly.
 *
 * The state machine of a node appends what it applies. Each applied entry adds a snapshot to its history. A node sends the
 * newest of them.
 */

import { prng } from "../../src/lib/prng.ts";
import {
  appendThread,
  applyThread,
  Core,
  type CoreConfig,
  type Entry,
  type HardState,
  type LogStorage,
  type Message,
  type MessageType,
  type PeerId,
  type Snapshot,
  type StepRefusal,
} from "../../src/raft/core/mod.ts";
import { emptySnapshot, MemoryLogStorage } from "../support/disk/memory-log-storage.ts";
import type { Output } from "./output.ts";
import { entriesText, messageText, readyText } from "./render.ts";
import { eventLine } from "./render-events.ts";

export interface InteractionNode {
  core: Core;
  readonly storage: MemoryLogStorage;
  readonly config: NodeOptions;
  readonly history: Snapshot[];
  appendWork: Message[];
  applyWork: Message[];
}

export type NodeOptions = Omit<CoreConfig, "id" | "storage" | "initial" | "random" | "observe">;

export interface Recipient {
  readonly id: PeerId;
  readonly drop: boolean;
}

const refusals: Readonly<Record<StepRefusal, string>> = {
  "proposal-dropped": "raft proposal dropped",
  "peer-not-found": "raft: cannot step as peer not found",
  "storage-message-from-peer": "raft: cannot step raft local message",
};

export const refusalText = (refusal: StepRefusal): string => refusals[refusal];

/** Returns whether the message stays within its node. Such a message cannot be dropped. */
function isLocal(message: Message): boolean {
  const threads = [appendThread, applyThread];
  return message.from === message.to || threads.includes(message.from) || threads.includes(message.to);
}

export class InteractionCluster {
  readonly nodes: InteractionNode[] = [];
  messages: Message[] = [];
  readonly output: Output;

  constructor(output: Output) {
    this.output = output;
  }

  node(id: PeerId): InteractionNode {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  addNode(options: NodeOptions, bootstrap: Snapshot | undefined): void {
    const id = this.nodes.length + 1;
    const storage = new MemoryLogStorage();
    if (bootstrap !== undefined) storage.install(bootstrap);
    const history = [bootstrap ?? emptySnapshot];
    storage.newest = () => history.at(-1);
    const core = this.#start(id, storage, options);
    this.nodes.push({ core, storage, config: options, history, appendWork: [], applyWork: [] });
  }

  /** Ends the process: unwritten state and all messages from and to it are lost. */
  crash(id: PeerId): void {
    const node = this.node(id);
    node.appendWork = [];
    node.applyWork = [];
    this.messages = this.messages.filter((message) => message.to !== id && message.from !== id);
  }

  /** Restarts the process from its storage. */
  restart(id: PeerId): void {
    const node = this.node(id);
    this.crash(id);
    node.core = this.#start(id, node.storage, node.config, node.history.at(-1));
  }

  #start(id: PeerId, storage: LogStorage & MemoryLogStorage, options: NodeOptions, state?: Snapshot): Core {
    const initial = storage.initialState();
    return new Core({
      ...options,
      id,
      storage,
      initial:
        state === undefined
          ? initial
          : { ...initial, configuration: state.configuration, applied: state.index },
      random: prng(`transcript/${id}`),
      observe: (event) => this.output.log(...eventLine(id, event)),
    });
  }

  processReady(id: PeerId): void {
    const node = this.node(id);
    const ready = node.core.ready();
    this.output.write(readyText(ready));
    if (!ready.messages.some((one) => one.to === appendThread) && node.config.asyncStorage !== true) {
      this.#write(node, ready.hardState, ready.entries, ready.snapshot);
      this.#apply(node, ready.committedEntries);
    }
    for (const message of ready.messages) {
      if (message.to === appendThread) node.appendWork.push(message);
      else if (message.to === applyThread) node.applyWork.push(message);
      else this.messages.push(message);
    }
    if (node.config.asyncStorage !== true) node.core.advance();
  }

  processAppendThread(id: PeerId): void {
    const node = this.node(id);
    const work = node.appendWork.shift();
    if (work === undefined) {
      this.output.write("no append work to perform");
      return;
    }
    this.#processing(work, () => {
      const { term, vote, commit } = work;
      const empty = term === 0 && vote === 0 && commit === 0;
      this.#write(node, empty ? undefined : { term, vote, commit }, work.entries, work.snapshot);
    });
  }

  processApplyThread(id: PeerId): void {
    const node = this.node(id);
    const work = node.applyWork.shift();
    if (work === undefined) {
      this.output.write("no apply work to perform");
      return;
    }
    this.#processing(work, () => this.#apply(node, work.entries));
  }

  #processing(work: Message, perform: () => void): void {
    this.output.line("Processing:");
    this.output.line(messageText({ ...work, responses: [] }));
    perform();
    this.output.line("Responses:");
    for (const response of work.responses) this.output.line(messageText(response));
    this.messages.push(...work.responses);
  }

  #write(
    node: InteractionNode,
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    if (hardState !== undefined) node.storage.hardState = hardState;
    node.storage.append(entries);
    if (snapshot === undefined) return;
    if (entries.length > 0) throw new Error("can't apply snapshot and entries at the same time");
    if (!node.storage.install(snapshot)) {
      throw new Error("requested index is older than the existing snapshot");
    }
    node.history.push(snapshot);
  }

  #apply(node: InteractionNode, entries: readonly Entry[]): void {
    for (const { index, term, bytes, change } of entries) {
      const before = node.history.at(-1) as Snapshot;
      if (change !== undefined) {
        const refused = node.core.applyChange(change);
        if (refused !== undefined) throw new Error(`a change could not be applied: ${refused}`);
      }
      node.history.push({
        index,
        term,
        data: Buffer.concat([before.data, bytes]),
        configuration: change === undefined ? before.configuration : node.core.configuration,
      });
    }
  }

  /** Returns the messages for one node, in order. */
  messagesTo(id: PeerId, type?: MessageType, dropping = false): Message[] {
    return this.messages.filter(
      (message) =>
        message.to === id && (type === undefined || message.type === type) && !(dropping && isLocal(message)),
    );
  }

  /** Delivers or drops the messages for these nodes. Returns their number. */
  deliver(recipients: readonly Recipient[], type?: MessageType): number {
    let count = 0;
    for (const { id, drop } of recipients) {
      const taken = new Set(this.messagesTo(id, type, drop));
      this.messages = this.messages.filter((message) => !taken.has(message));
      count += taken.size;
      for (const message of taken) {
        this.output.line(`${drop ? "dropped: " : ""}${messageText(message)}`);
        if (drop) continue;
        const refusal = this.node(id).core.step(message);
        if (refusal !== undefined) this.output.line(refusalText(refusal));
      }
    }
    return count;
  }

  /** Lets these nodes work until they have no work left. */
  stabilize(ids: readonly PeerId[]): void {
    const titled = (title: string, work: () => void): void => {
      this.output.line(`> ${title}`);
      this.output.indented(work);
    };
    for (let busy = true; busy; ) {
      busy = false;
      for (const id of ids) {
        if (!this.node(id).core.hasReady()) continue;
        titled(`${id} handling Ready`, () => this.processReady(id));
        busy = true;
      }
      for (const id of ids) {
        if (this.messagesTo(id).length === 0) continue;
        titled(`${id} receiving messages`, () => this.deliver([{ id, drop: false }]));
        busy = true;
      }
      for (const [queue, name] of [
        ["appendWork", "append"],
        ["applyWork", "apply"],
      ] as const) {
        for (const id of ids) {
          const node = this.node(id);
          if (node[queue].length === 0) continue;
          this.output.line(`> ${id} processing ${name} thread`);
          while (node[queue].length > 0) {
            this.output.indented(() =>
              name === "append" ? this.processAppendThread(id) : this.processApplyThread(id),
            );
          }
          busy = true;
        }
      }
    }
  }

  raftLog(id: PeerId): void {
    const { storage } = this.node(id);
    const { firstIndex, lastIndex } = storage;
    if (lastIndex < firstIndex) {
      this.output.write(`log is empty: first index=${firstIndex}, last index=${lastIndex}`);
      return;
    }
    this.output.write(
      entriesText(storage.entries(firstIndex, lastIndex + 1, Number.POSITIVE_INFINITY) ?? []),
    );
  }
}
