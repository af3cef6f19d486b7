/**
 * A read from a start to a stop, as slices: what ConsumeStream, ConsumeBatches and /tail have in common. It waits at
 * the end without polling, says when it has caught up and, on request, that it is alive.
 *
 * Never: looks inside a slice.
 */
import { type Clock, within } from "../../lib/time/clock.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { BatchSlice, CommitLog, Freshness, Offset, ReadStart, Tail } from "../../types.ts";
import { faultOfAbort } from "../calls/abort.ts";
import { mayRead, type ReadHold, type Sink, waitToRead } from "./read-admission.ts";
import type { ReadLimits } from "./read-limit.ts";

export interface ReadPlan {
  readonly start: ReadStart;
  readonly limits: ReadLimits;
  /** Stop at the end as it stands when the read begins. */
  readonly stopAtEnd: boolean;
  readonly freshness: Freshness;
}

/** A read that has begun. */
export interface OpenRead {
  readonly from: Offset;
  /** The plan's, its end brought down to the log's when it stops there. */
  readonly limits: ReadLimits;
  readonly tail: Tail;
  /** True when its end offset is the log's end as it stood: reaching it is having caught up. */
  readonly endsAtEnd: boolean;
}

/** What a read yields: a slice, or a marker between slices. */
export type ReadEvent = BatchSlice | "caught-up" | "heartbeat";

export interface ReadOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How often to say "heartbeat" while waiting; undefined is never. */
  readonly heartbeatMs?: number | undefined;
  /** About how many bytes a slice has at most. */
  readonly sliceBytes?: number | undefined;
  /** Where the slices go: nothing is read before it takes something. */
  readonly sink: Sink;
  readonly memory: MemoryBudget;
  /** Counts the slice that is being sent. */
  readonly hold: ReadHold;
}

/** Finds start and end. Throws Fault "out-of-range" with lowest and next. */
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
 * The slices of an open read, up to its end offset. Disposes of the tail, however it ends. Throws the fault of an
 * abort, and Fault "out-of-range" when retention overtakes the reader.
 *
 * The generator and its reader keep the last slice while they wait for the next: the options' hold is to count it that
 * long (ReadHold).
 */
export async function* readSlices(
  read: OpenRead,
  options: ReadOptions,
): AsyncGenerator<ReadEvent, void, undefined> {
  using steps = new ReadSteps(read, options);
  for (let event = await steps.next(); event !== undefined; event = await steps.next()) yield event;
}

/** The same, handed to `send` one by one until it answers false. Nothing of a slice is kept while it waits. */
export async function followSlices(
  read: OpenRead,
  options: ReadOptions,
  send: (event: ReadEvent) => Promise<boolean>,
): Promise<void> {
  using steps = new ReadSteps(read, options);
  // A function of its own: what it refers to is let go when it returns.
  const step = async (): Promise<boolean> => {
    const event = await steps.next();
    return event !== undefined && (await send(event));
  };
  while (await step());
}

class ReadSteps implements Disposable {
  readonly #read: OpenRead;
  readonly #options: ReadOptions;
  readonly #nextBytes = (): number => this.#read.tail.nextBytes?.() ?? 0;
  readonly #stop = (): void => this.#read.tail[Symbol.dispose]();
  /** The reader knows that it has caught up. */
  #told = false;
  #ready: Promise<boolean> | undefined;

  constructor(read: OpenRead, options: ReadOptions) {
    this.#read = read;
    this.#options = options;
    options.signal.addEventListener("abort", this.#stop, { once: true });
  }

  /** What comes next; undefined at the end. */
  async next(): Promise<ReadEvent | undefined> {
    const { tail, limits, endsAtEnd } = this.#read;
    const { signal, sink, memory, hold } = this.#options;
    hold.sent();
    while (limits.endOffset === undefined || tail.position < limits.endOffset) {
      if (signal.aborted) throw faultOfAbort(signal);
      while (!mayRead(sink, memory, this.#nextBytes)) {
        await waitToRead({ ...this.#options, nextBytes: this.#nextBytes });
      }
      const slice = tail.take(this.#options.sliceBytes);
      if (slice !== undefined) {
        this.#told = false;
        hold.hold(slice);
        return slice;
      }
      if (!this.#told) {
        this.#told = true;
        return "caught-up";
      }
      const woken = await this.#wait();
      if (woken === "late" && sink.writableBytes > 0) return "heartbeat";
      if (woken === false) return undefined;
    }
    if (!endsAtEnd || this.#told) return undefined;
    this.#told = true;
    return "caught-up";
  }

  /** True when there is more, false when there will be none, "late" when it is time for a sign of life. */
  async #wait(): Promise<boolean | "late"> {
    const { clock, signal, heartbeatMs } = this.#options;
    this.#ready ??= this.#read.tail.ready();
    const woken = await (heartbeatMs === undefined ? this.#ready : within(clock, this.#ready, heartbeatMs));
    if (woken === "late") return woken;
    this.#ready = undefined;
    if (signal.aborted) throw faultOfAbort(signal);
    return woken;
  }

  [Symbol.dispose](): void {
    this.#options.signal.removeEventListener("abort", this.#stop);
    this.#options.hold.release();
    this.#stop();
  }
}
