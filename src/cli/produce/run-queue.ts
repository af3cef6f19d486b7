/**
 * Appends records one run after the other, in order, while more are being added. A record waits only for the append that is in
 * flight: so a single line is appended at once, and lines that arrive faster share a run. There is no timer.
 *
 * At most one run is in flight and one is being filled, so the memory is bounded, and after a failure the outcome of one run is
 * open at most. add() waits while the run is full.
 */
import { Fault } from "../../fault.ts";
import type { RecordRun } from "../../types.ts";
import type { RunBuilder } from "./run-builder.ts";

export class RunQueue {
  readonly #builder: RunBuilder;
  readonly #wholeRun: number;
  readonly #append: (run: RecordRun) => Promise<void>;
  readonly #onFailure: () => void;
  #sending: Promise<void> | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #isEnded = false;
  #onRoom: (() => void) | undefined;

  /**
   * `append` appends one run. When it rejects, nothing more is appended, and `onFailure` is called. A run is sent when it has
   * `wholeRun` records, or at the end: 1 to send what is there.
   */
  constructor(
    builder: RunBuilder,
    wholeRun: number,
    append: (run: RecordRun) => Promise<void>,
    onFailure: () => void,
  ) {
    this.#builder = builder;
    this.#wholeRun = wholeRun;
    this.#append = append;
    this.#onFailure = onFailure;
  }

  /**
   * Adds a record. Returns a promise if it must wait for room; await it before the next call.
   * @throws what an append has thrown, and Fault "too-large" if `wholeRun` records are too large for one run; also as a rejection
   */
  add(value: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure.reason;
    if (!this.#builder.fits(value.length)) return this.#addLater(value);
    this.#builder.add(value);
    return undefined;
  }

  /** Appends what was added, now or after the append in flight. Call it when nothing more can be added at once. */
  start(): void {
    if (this.#failure === undefined) this.#sending ??= this.#isDue ? this.#appendDue() : undefined;
  }

  /**
   * Waits for the append in flight, and appends the rest, unless `isComplete` is false and the rest is no whole run: that was to
   * be appended as a whole.
   * @throws what an append has thrown
   */
  async end(isComplete: boolean): Promise<void> {
    this.#isEnded = isComplete;
    this.start();
    await this.#sending;
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  get #isDue(): boolean {
    return this.#builder.count >= (this.#isEnded ? 1 : this.#wholeRun);
  }

  async #addLater(value: Uint8Array): Promise<void> {
    while (this.#failure === undefined && !this.#builder.fits(value.length)) {
      this.start();
      if (this.#builder.fits(value.length)) break;
      if (this.#sending === undefined) throw tooLarge(this.#wholeRun);
      await new Promise<void>((resolve) => (this.#onRoom = resolve));
    }
    if (this.#failure !== undefined) throw this.#failure.reason;
    this.#builder.add(value);
  }

  async #appendDue(): Promise<void> {
    try {
      while (this.#isDue) {
        const run = this.#builder.take();
        this.#onRoom?.();
        await this.#append(run);
      }
    } catch (reason) {
      this.#failure = { reason };
      this.#onFailure();
    } finally {
      this.#sending = undefined;
      this.#onRoom?.();
    }
  }
}

const tooLarge = (records: number): Fault =>
  new Fault("too-large", {
    message: `${records} records are too large for one batch; nothing of it was sent`,
  });
