/**
 * The keys and the revocations of tokens on this node: it follows the log `_tokens` of the cluster.
 *
 *   read the log from its first record → show the state → wait for a record → show the state → …
 *
 * A node that receives the log again, by a snapshot, reads it from the start, and shows the state before until it has done so.
 */
import { Fault } from "../../fault.ts";
import { tokensLog } from "../../lib/names/log-name.ts";
import type { Logger } from "../../lib/telemetry.ts";
import { type Clock, delay } from "../../lib/time/clock.ts";
import { decodeRecord, RecordCursor } from "../../log/mod.ts";
import { decodeChange, type TokenSource, TokenState } from "../../tokens/mod.ts";
import type { MultiTail, NamedCommitLog, Offset } from "../../types.ts";

export interface TokenRegistryOptions {
  readonly logs: {
    followOwn(name: string): Promise<MultiTail>;
    open(log: { readonly name: string }): Pick<NamedCommitLog, "bounds">;
  };
  /** The last committed index on this node. */
  readonly commitIndex: () => number;
  /** Called after each change of the state. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The wait before a log that cannot be read is read again. */
const retryMs = 1_000;
/** How long a token waits for what the leader knows. */
const refreshMs = 5_000;

export class TokenRegistry implements TokenSource, Disposable {
  readonly #options: TokenRegistryOptions;
  #state = new TokenState();
  #version = 1;
  /** The offset after the last record that the state includes. */
  #next: Offset = 0;
  #tail: MultiTail | undefined;
  #isConfirmed = false;
  #waiting: (() => void)[] = [];
  #refreshing: Promise<void> | undefined;
  #closed = false;

  constructor(options: TokenRegistryOptions) {
    this.#options = options;
    void this.#run();
  }

  get state(): TokenState {
    return this.#state;
  }

  get version(): number {
    return this.#version;
  }

  get next(): Offset {
    return this.#next;
  }

  /** True once the state was compared with that of the leader. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  /**
   * Resolves once the state includes all changes that were acknowledged before the call.
   * @throws Fault "unavailable" if the leader cannot be asked in time
   */
  async refresh(): Promise<void> {
    // The one under way may have asked the leader before the call.
    await this.#refreshing?.catch(() => undefined);
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const { clock, commitIndex, logs } = this.#options;
    const deadlineMs = clock.monotonicMs() + refreshMs;
    try {
      await logs.open({ name: tokensLog }).bounds({ mode: "linearizable", deadlineMs });
    } catch (reason) {
      // Before the first key there is no such log.
      const { kind, message } = Fault.from(reason);
      if (kind !== "not-found")
        throw new Fault("unavailable", {
          message: `tokens cannot be checked now: ${message}`,
          cause: reason,
        });
    }
    const target = commitIndex();
    const timer = clock.after(refreshMs, () => this.#wake());
    try {
      while (!this.#hasReached(target)) {
        if (this.#closed || clock.monotonicMs() >= deadlineMs)
          throw new Fault("unavailable", {
            message: "tokens cannot be checked now: their log is being read",
          });
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      timer.cancel();
    }
    this.#isConfirmed = true;
  }

  #hasReached(index: number): boolean {
    return this.#tail !== undefined && this.#tail.position.index > index;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  async #run(): Promise<void> {
    const { clock, logger, logs } = this.#options;
    while (!this.#closed) {
      try {
        using tail = await logs.followOwn(tokensLog);
        await this.#follow(tail);
      } catch (reason) {
        const fault = Fault.from(reason);
        // A revocation may be missing. Until the log is read again, no further token is taken.
        this.#isConfirmed = false;
        if (fault.kind !== "unavailable") logger.error({ err: fault }, "the log of tokens cannot be read");
      }
      this.#tail = undefined;
      if (!this.#closed) await delay(clock, retryMs);
    }
    this.#wake();
  }

  /** Returns when the tail ends. */
  async #follow(tail: MultiTail): Promise<void> {
    const { clock } = this.#options;
    const reading = { state: new TokenState(), next: 0 };
    let isNew = true;
    while (!this.#closed) {
      const taken = tail.take();
      if (taken === "later") await new Promise<void>((resolve) => clock.soon(resolve));
      else if (taken !== undefined && "slice" in taken) {
        const cursor = new RecordCursor(taken.slice.frames, taken.from);
        while (cursor.next()) {
          const { value } = decodeRecord(cursor.frames, cursor.start, cursor.end);
          reading.state.apply(decodeChange(value));
        }
        reading.next = taken.slice.nextOffset;
        isNew = true;
      } else if (taken === undefined) {
        this.#tail = tail;
        if (isNew) this.#show(reading.state, reading.next);
        isNew = false;
        this.#wake();
        if (!(await tail.ready())) return;
      }
    }
  }

  #show(state: TokenState, next: Offset): void {
    this.#state = state;
    this.#next = next;
    this.#version++;
    this.#options.onChange();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#tail?.[Symbol.dispose]();
    this.#wake();
  }
}
