/**
 * The append thread: writes what the core hands out, in order. While one group is made durable, the work of later turns
 * queues up and becomes the next group. Messages that depend on a group are released when it and all before it are durable.
 *
 *   work of many turns → one group → one write, one sync → all its messages
 */
import { Fault } from "../../fault.ts";
import type { Entry, HardState, Message, Snapshot } from "../core/mod.ts";
import type { RaftStorage } from "./ports.ts";

export interface WriterOptions {
  readonly storage: RaftStorage;
  /** Bytes of entries in one group; a larger work goes alone. */
  readonly groupBytesMax: number;
  /** Called before entries are written. */
  readonly beforeWrite?: () => void;
  /** A group is durable; these are its works, in order. */
  readonly durable: (works: readonly Message[]) => void;
  /** A write failed and nothing more is written. Called once. */
  readonly failed: (cause: unknown) => void;
  /** The disk took nothing and may take it later: the owner calls retry(). */
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

  /** Whether the disk took nothing at the last write. */
  get full(): boolean {
    return this.#blocked;
  }

  push(work: Message): void {
    if (!this.#stopped) this.#queue.push(work);
  }

  /** Starts a write if there is work and no write is under way. */
  run(): void {
    while (!this.#busy && !this.#blocked && !this.#stopped && this.#queue.length > 0) {
      const works = this.#takeGroup();
      let pending: Promise<void> | undefined;
      const changes = this.#changes(works);
      if (changes.entries.length > 0) this.#options.beforeWrite?.();
      try {
        pending = this.#options.storage.write(changes);
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

  /** Repeats the write that the disk did not take. */
  retry(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.run();
  }

  /** Stops writing. Resolves when the write under way has ended. */
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
      // Hard state is saved before entries. If a crash took these back, a higher commit index would count what they replace.
      hardState = { ...hardState, commit: first.index - 1 };
    }
    if (hardState !== undefined) this.#saved = hardState;
    return { snapshot, entries, hardState, sync: voted || entries.length > 0 || snapshot !== undefined };
  }

  #refused(works: readonly Message[], cause: unknown): void {
    if (cause instanceof Fault && (cause.kind === "disk-full" || cause.kind === "disk-busy")) {
      this.#queue = [...works, ...this.#queue];
      // Term and vote were not saved: the next attempt must sync them.
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

/** The entries of several works. A later work replaces earlier entries from its first index on. */
class Joined {
  entries: readonly Entry[] = [];
  /** A copy, once there is more than one work. */
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
