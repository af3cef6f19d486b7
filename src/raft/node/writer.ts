/**
 * The append thread: takes what the core wants written, in order, as one group while the last group is being made
 * durable, and lets the answers that depended on it go.
 *
 *   work of many turns → one group → one write, one sync → all its answers
 *
 * Never: lets an answer go before its group and all before it are durable.
 */
import { Fault } from "../../fault.ts";
import type { Entry, HardState, Message, Snapshot } from "../core/mod.ts";
import type { RaftStorage } from "./ports.ts";

export interface WriterOptions {
  readonly storage: RaftStorage;
  /** Bytes of entries in one group; a larger work goes alone. */
  readonly groupBytesMax: number;
  /** A group is durable: these are its works, in order. */
  readonly durable: (works: readonly Message[]) => void;
  /** Nothing can be made durable any more. Called once. */
  readonly failed: (cause: unknown) => void;
  /** The disk took nothing, for want of room or of something else that may come back: retry() is to be called later. */
  readonly full: () => void;
}

export class Writer {
  readonly #options: WriterOptions;
  #queue: Message[] = [];
  #busy = false;
  #blocked = false;
  #stopped = false;
  #underWay: Promise<void> | undefined;
  #saved: HardState;

  constructor(options: WriterOptions, saved: HardState) {
    this.#options = options;
    this.#saved = saved;
  }

  get idle(): boolean {
    return !this.#busy && this.#queue.length === 0;
  }

  /** The disk took nothing at the last write. */
  get full(): boolean {
    return this.#blocked;
  }

  push(work: Message): void {
    if (!this.#stopped) this.#queue.push(work);
  }

  /** Starts writing if there is something to write and nothing under way. */
  run(): void {
    while (!this.#busy && !this.#blocked && !this.#stopped && this.#queue.length > 0) {
      const works = this.#takeGroup();
      let pending: Promise<void> | undefined;
      try {
        pending = this.#options.storage.write(this.#changes(works));
      } catch (cause) {
        this.#refused(works, cause);
        return;
      }
      if (pending === undefined) {
        this.#options.durable(works);
        continue;
      }
      this.#busy = true;
      this.#underWay = pending.then(
        () => {
          this.#busy = false;
          if (this.#stopped) return;
          this.#options.durable(works);
          this.run();
        },
        (cause: unknown) => {
          this.#busy = false;
          if (!this.#stopped) this.#refused(works, cause);
        },
      );
    }
  }

  /** Tries again after the disk took nothing. */
  retry(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.run();
  }

  /** Nothing is written any more. Resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue = [];
    await this.#underWay;
  }

  /** Works from the front, up to the limit in bytes; a snapshot begins a group. */
  #takeGroup(): readonly Message[] {
    let [count, bytes] = [0, 0];
    for (const work of this.#queue) {
      for (const entry of work.entries) bytes += entry.bytes.length;
      if (count > 0 && (work.snapshot !== undefined || bytes > this.#options.groupBytesMax)) break;
      count++;
    }
    if (count < this.#queue.length) return this.#queue.splice(0, count);
    const all = this.#queue;
    this.#queue = [];
    return all;
  }

  #changes(works: readonly Message[]): Parameters<RaftStorage["write"]>[0] {
    let snapshot: Snapshot | undefined;
    const joined = new Joined();
    let hardState: HardState | undefined;
    for (const work of works) {
      snapshot ??= work.snapshot;
      joined.add(work.entries);
      if (work.term > 0) hardState = { term: work.term, vote: work.vote, commit: work.commit };
    }
    const { entries } = joined;
    const voted =
      hardState !== undefined && (hardState.term !== this.#saved.term || hardState.vote !== this.#saved.vote);
    const [first] = entries;
    if (hardState !== undefined && first !== undefined && hardState.commit >= first.index) {
      // Saved before the entries it counts, it would make committed what they replace if a crash took them back.
      hardState = { ...hardState, commit: first.index - 1 };
    }
    if (hardState !== undefined) this.#saved = hardState;
    return { snapshot, entries, hardState, sync: voted || entries.length > 0 || snapshot !== undefined };
  }

  #refused(works: readonly Message[], cause: unknown): void {
    if (cause instanceof Fault && (cause.kind === "disk-full" || cause.kind === "disk-busy")) {
      this.#queue = [...works, ...this.#queue];
      // What was to be saved was not: the next attempt must count the term and vote as news again.
      this.#saved = { term: -1, vote: -1, commit: 0 };
      this.#blocked = true;
      this.#options.full();
      return;
    }
    this.#stopped = true;
    this.#queue = [];
    this.#options.failed(cause);
  }
}

/** Entries of several works, later ones taking the place of earlier ones from their first index on. */
class Joined {
  entries: readonly Entry[] = [];
  /** Our own copy, once there is more than one work. */
  #own: Entry[] | undefined;

  add(after: readonly Entry[]): void {
    const [first, replaced] = [after[0], this.entries[0]];
    if (first === undefined) return;
    if (replaced === undefined || first.index <= replaced.index) {
      this.entries = after;
      this.#own = undefined;
      return;
    }
    this.#own ??= [...this.entries];
    this.#own.length = first.index - replaced.index;
    for (const entry of after) this.#own.push(entry);
    this.entries = this.#own;
  }
}
