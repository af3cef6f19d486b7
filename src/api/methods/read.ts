/**
 * A read from a start to a stop, as slices. ConsumeStream, ConsumeBatches and GET /tail share it. Its steps are in
 * read-steps.ts. Here they become a generator, or calls of a function that sends.
 */
import type { CommitLog, Freshness, ReadStart } from "../../types.ts";
import type { ReadLimits } from "./read-limit.ts";
import { type OpenRead, pending, type ReadEvent, type ReadOptions, ReadSteps } from "./tails/read-steps.ts";

export type { OpenRead, ReadEvent, ReadOptions } from "./tails/read-steps.ts";

export interface ReadPlan {
  readonly start: ReadStart;
  readonly limits: ReadLimits;
  /** Stop at the end that the log has when the read begins. */
  readonly stopAtEnd: boolean;
  readonly freshness: Freshness;
}

/**
 * Finds the start and the end of a read, and opens its tail. The caller disposes of the tail.
 * @throws Fault "out-of-range" with lowest and next; "not-found" for a log that was deleted; the fault of an abort
 */
export async function openRead(log: CommitLog, plan: ReadPlan, signal: AbortSignal): Promise<OpenRead> {
  const freshness: Freshness = { ...plan.freshness, signal };
  const from = await log.seek(plan.start, freshness);
  let { endOffset } = plan.limits;
  let endsAtEnd = false;
  if (plan.stopAtEnd) {
    const { next } = await log.bounds(freshness);
    endsAtEnd = endOffset === undefined || next <= endOffset;
    if (endsAtEnd) endOffset = next;
  }
  return { from, limits: { ...plan.limits, endOffset }, tail: log.follow(from), endsAtEnd };
}

/**
 * Yields the events of an open read, up to its end offset, and disposes of the tail. The generator and its consumer keep
 * the last slice while they wait for the next one, so the hold of the options must have `keeps`.
 * @throws the fault of an abort; Fault "out-of-range" when retention deletes the next record
 */
export async function* readSlices(
  read: OpenRead,
  options: ReadOptions,
): AsyncGenerator<ReadEvent, void, undefined> {
  let wake = (): void => undefined;
  using steps = new ReadSteps(read, options, () => wake());
  for (;;) {
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const event = steps.next();
    if (event === undefined) return;
    if (event === pending) await woken;
    else yield event;
  }
}

/** Sends an event. Returns false if nothing more is to be sent. */
export type SendEvent = (event: ReadEvent) => boolean | Promise<boolean>;

/**
 * Passes the events of an open read to `send` until it returns false, and disposes of the tail. No slice is kept while it
 * waits. All that need not wait runs in the turn of the pacer, without a promise.
 * @throws as readSlices()
 */
export function followSlices(read: OpenRead, options: ReadOptions, send: SendEvent): Promise<void> {
  return new Promise((resolve, reject) => new SliceFollower(read, options, send, resolve, reject).run());
}

class SliceFollower {
  readonly #steps: ReadSteps;
  readonly #send: SendEvent;
  readonly #resolve: () => void;
  readonly #reject: (reason: unknown) => void;
  #isOver = false;

  constructor(
    read: OpenRead,
    options: ReadOptions,
    send: SendEvent,
    resolve: () => void,
    reject: (reason: unknown) => void,
  ) {
    this.#steps = new ReadSteps(read, options, this.run);
    this.#send = send;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  readonly run = (): void => {
    if (this.#isOver) return;
    try {
      for (;;) {
        const event = this.#steps.next();
        if (event === pending) return;
        const goesOn = event === undefined ? false : this.#send(event);
        if (goesOn instanceof Promise) {
          goesOn.then(this.#onSent, this.#fail);
          return;
        }
        if (!goesOn) break;
      }
    } catch (reason) {
      this.#fail(reason);
      return;
    }
    this.#end();
    this.#resolve();
  };

  readonly #onSent = (goesOn: boolean): void => {
    if (goesOn) {
      this.run();
      return;
    }
    this.#end();
    this.#resolve();
  };

  readonly #fail = (reason: unknown): void => {
    this.#end();
    this.#reject(reason);
  };

  #end(): void {
    this.#isOver = true;
    this.#steps[Symbol.dispose]();
  }
}
