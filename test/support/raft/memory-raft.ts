/**
 * The ports of a Raft node in memory: a storage with the data that survives a crash, a state machine that records the
 * applied entries, and a hub that delivers messages. The test decides what fails. Deterministic.
 */
import type { Clock } from "../../../src/lib/time/clock.ts";
import type {
  ConfState,
  Entry,
  EntryFormat,
  HardState,
  InitialState,
  Message,
  PeerId,
  RaftStorage,
  RaftTransport,
  Snapshot,
  StateMachine,
  StorageChanges,
} from "../../../src/raft/mod.ts";
import { MemoryLogStorage } from "../disk/memory-log-storage.ts";

interface Image {
  readonly snapshot: Snapshot | undefined;
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
}

/** Storage and state machine in one, like the real log: the applied state is the log up to an index. */
export class MemoryRaft implements RaftStorage, StateMachine {
  #log = new MemoryLogStorage();
  #durable: Image = { snapshot: undefined, entries: [], hardState: { term: 0, vote: 0, commit: 0 } };
  readonly #clock: Clock;
  /** How long a write takes to become durable. 0: at once. */
  syncMs: () => number = () => 0;
  /** Called before each write. An exception makes the write fail. */
  beforeWrite: (changes: StorageChanges) => void = () => {};
  format?: EntryFormat;
  configuration: ConfState;
  readonly #first: ConfState;
  applied: Entry[] = [];
  appliedIndex = 0;
  writes: StorageChanges[] = [];
  onApply: (entry: Entry) => void = () => {};

  constructor(clock: Clock, configuration: ConfState) {
    this.#clock = clock;
    this.configuration = configuration;
    this.#first = configuration;
  }

  get firstIndex(): number {
    return this.#log.firstIndex;
  }
  get lastIndex(): number {
    return this.#log.lastIndex;
  }
  term(index: number): number | undefined {
    return this.#log.term(index);
  }
  entries(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    return this.#log.entries(low, high, bytesMax);
  }

  get durable(): Image {
    return this.#durable;
  }

  snapshot(): Snapshot | undefined {
    if (this.appliedIndex === 0) return undefined;
    return {
      index: this.appliedIndex,
      term: this.#log.term(this.appliedIndex) ?? 0,
      configuration: this.configuration,
      data: encodeApplied(this.applied),
    };
  }

  initialState(): InitialState {
    return {
      hardState: this.#log.hardState,
      configuration: this.configuration,
      applied: this.appliedIndex,
    };
  }

  write(changes: StorageChanges): Promise<void> | undefined {
    this.beforeWrite(changes);
    this.writes.push(changes);
    if (changes.snapshot !== undefined) this.#log.install(changes.snapshot);
    if (changes.hardState !== undefined) this.#log.hardState = changes.hardState;
    this.#log.append(changes.entries);
    const image = this.#image();
    const wait = changes.sync ? this.syncMs() : 0;
    if (wait === 0) {
      this.#durable = image;
      return undefined;
    }
    return new Promise((resolve) => {
      this.#clock.after(wait, () => {
        this.#durable = image;
        resolve();
      });
    });
  }

  #image(): Image {
    const { firstIndex, lastIndex, hardState } = this.#log;
    return {
      snapshot: this.#log.snapshot(),
      entries: this.#log.entries(firstIndex, lastIndex + 1, Number.POSITIVE_INFINITY) ?? [],
      hardState,
    };
  }

  apply(entries: readonly Entry[]): void {
    for (const entry of entries) this.#applied(entry);
  }

  configure(entry: Entry, configuration: ConfState): void {
    this.configuration = configuration;
    this.#applied(entry);
  }

  #applied(entry: Entry): void {
    if (entry.index !== this.appliedIndex + 1)
      throw new Error(`applied ${entry.index} after ${this.appliedIndex}`);
    this.appliedIndex = entry.index;
    this.applied.push(entry);
    this.onApply(entry);
  }

  restore(snapshot: Snapshot): void {
    this.applied = decodeApplied(snapshot.data);
    this.appliedIndex = snapshot.index;
    this.configuration = snapshot.configuration;
  }

  /** Deletes the entries up to and including `index`, at most the applied ones. */
  compact(index: number): void {
    this.#log.compact(Math.min(index, this.appliedIndex));
  }

  /** Returns the storage after a crash: it has only the durable data. */
  crashed(clock: Clock): MemoryRaft {
    const next = new MemoryRaft(clock, this.#first);
    const { snapshot, entries, hardState } = this.#durable;
    if (snapshot !== undefined && snapshot.index > 0) {
      next.#log.install(snapshot);
      next.restore(snapshot);
    }
    next.#log.append(entries);
    next.#log.hardState = hardState;
    next.#durable = this.#durable;
    return next;
  }
}

function encodeApplied(entries: readonly Entry[]): Uint8Array {
  return Buffer.from(
    JSON.stringify(
      entries.map(({ index, term, bytes, change }) => [
        index,
        term,
        Buffer.from(bytes).toString("base64"),
        change,
      ]),
    ),
  );
}

function decodeApplied(bytes: Uint8Array): Entry[] {
  const rows = JSON.parse(Buffer.from(bytes).toString("utf8")) as [number, number, string, Entry["change"]][];
  return rows.map(([index, term, data, change]) => ({
    index,
    term,
    bytes: Buffer.from(data, "base64"),
    change: change ?? undefined,
  }));
}

/** Delivers messages after a delay, unless the test drops them. */
export class MemoryHub {
  readonly receivers = new Map<PeerId, (message: Message) => void>();
  lost: (message: Message) => boolean = () => false;
  delayMs: (message: Message) => number = () => 1;
  sent: Message[] = [];
  /** Called by each flush of a transport. */
  onFlush: () => void = () => {};
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  transport(): RaftTransport {
    return {
      send: (message) => {
        this.sent.push(message);
        if (this.lost(message)) return;
        this.#clock.after(this.delayMs(message), () => this.receivers.get(message.to)?.(message));
      },
      flush: () => this.onFlush(),
      members: () => {},
    };
  }
}
