/**
 * A search of the whole log, from its start to its end as it is when the search begins. The nodes evaluate the condition and send
 * what matches, with positions. When a node has used its time for a request ("suspended") or a stream fails, the search goes on at
 * the position by itself.
 */
import { signal } from "@preact/signals";
import { localFailure, type StreamFailure } from "../core/failure.ts";
import { FoundRecords } from "../core/found-records.ts";
import { foundBeforeStop, foundLimits } from "../core/limits.ts";
import { Rate } from "../core/rate.ts";
import type { Consumed } from "../core/wire.ts";
import { ownBase } from "../io/calls.ts";
import { readTail } from "../io/tail-stream.ts";
import { monotonicMs, oncePerFrame } from "../io/timing.ts";
import { Link } from "./link.ts";

const utf8 = new TextDecoder();

export interface LogQuery {
  /** Empty: the log `default`. */
  readonly log: string;
  /** In CEL. */
  readonly condition: string;
}

/** off: there is no search. done: the end is reached. */
export type SearchPhase = "off" | "running" | "stopped" | "done";

export class LogSearch {
  readonly phase = signal<SearchPhase>("off");
  readonly link: Link;
  readonly found = new FoundRecords(foundLimits);
  /** Grows once a frame while anything changes; what is drawn depends on it. */
  readonly version = signal(0);
  /** The first offset searched. Undefined until the node has said it. */
  first: number | undefined;
  /** Everything before it was searched. */
  next = 0;
  /** The end of the log when the search began. Undefined until the node has said it. */
  end: number | undefined;
  /** Records passed over, because their evaluation would have cost too much. */
  skipped = 0;
  readonly #rate = new Rate();
  #query: LogQuery | undefined;
  #logId: string | undefined;
  /** The number of matches at which the search stops. */
  #stopAt = 0;
  /** Of the streams before this one. */
  #skippedBefore = 0;
  #suspended = false;
  /** The stream has sent what only a node that knows filters sends. */
  #isFiltered = false;
  readonly #frame = oncePerFrame(() => this.version.value++);

  constructor() {
    this.link = new Link(ownBase(), (node, abort) => this.#read(node, abort));
    this.link.cursor.subscribe(({ phase }) => {
      if (phase === "stopped") this.stop();
    });
  }

  /** Why the nodes refused the search. */
  get refusal(): StreamFailure | undefined {
    const { phase, failure } = this.link.cursor.value;
    return phase === "stopped" && this.phase.value === "stopped" ? failure : undefined;
  }

  /** Why the search waits for a node. */
  get trouble(): StreamFailure | undefined {
    const { phase, failure } = this.link.cursor.value;
    return phase === "waiting" && this.phase.value === "running" ? failure : undefined;
  }

  /** Records searched in a second, lately. Undefined while that is not known. */
  get perSecond(): number | undefined {
    return this.#rate.perSecond;
  }

  /** The search has stopped because of the number of matches. */
  get stoppedByCount(): boolean {
    return this.phase.value === "stopped" && this.found.total >= this.#stopAt;
  }

  get query(): LogQuery | undefined {
    return this.#query;
  }

  /** Begins a search or, with undefined, removes it with what it found. */
  set(query: LogQuery | undefined): void {
    this.#query = query;
    this.found.clear();
    this.first = undefined;
    this.end = undefined;
    this.next = 0;
    this.skipped = 0;
    this.#logId = undefined;
    if (query !== undefined) this.#begin();
    else this.#finish("off");
  }

  /** Stops at the position. What was found stays. */
  stop(): void {
    if (this.phase.peek() === "running") this.#finish("stopped");
  }

  /** Goes on at the position; after the end, with the records that were appended since. */
  goOn(): void {
    if (this.#query === undefined || this.phase.peek() === "running") return;
    if (this.phase.peek() === "done") this.end = undefined;
    this.#begin();
  }

  #begin(): void {
    this.phase.value = "running";
    this.#stopAt = this.found.total + foundBeforeStop;
    this.#rate.clear();
    this.link.send({ kind: "open" });
    this.#frame();
  }

  #finish(phase: SearchPhase): void {
    this.phase.value = phase;
    this.link.send({ kind: "park" });
    this.#frame();
  }

  get #isAtEnd(): boolean {
    return this.end !== undefined && this.next >= this.end;
  }

  async #read(node: string, abort: AbortSignal): Promise<StreamFailure | undefined> {
    // A hidden tab that is shown again opens its streams.
    if (this.phase.peek() !== "running") return undefined;
    for (;;) {
      const before = this.next;
      const failure = await this.#readOnce(node, abort);
      if (abort.aborted) return undefined;
      if (failure?.kind === "ended" && this.#isAtEnd) {
        this.#finish("done");
        return undefined;
      }
      if (failure?.kind === "trimmed" && failure.lowest !== undefined) this.next = failure.lowest;
      else if (!this.#suspended) return failure;
      // A node that evaluates nothing would be asked without an end.
      if (this.next === before) return failure;
    }
  }

  #readOnce(node: string, abort: AbortSignal): Promise<StreamFailure | undefined> {
    const { log, condition } = this.#query as LogQuery;
    this.#skippedBefore = this.skipped;
    this.#suspended = false;
    this.#isFiltered = false;
    const position = this.first === undefined ? undefined : this.next;
    return readTail(
      {
        base: node,
        position,
        request: {
          ...(position === undefined
            ? { start: { case: "fromTimeMs" as const, value: 0n } }
            : { offset: BigInt(position) }),
          ...(this.end === undefined ? { stopAtEnd: true } : { endOffset: BigInt(this.end) }),
          filter: condition,
          markers: true,
          log,
          ...(this.#logId !== undefined && { logId: this.#logId }),
        },
        onMessages: (messages) => this.#take(messages, abort),
      },
      abort,
    );
  }

  #take(messages: readonly Consumed[], abort: AbortSignal): undefined {
    if (abort.aborted) return;
    this.link.heard();
    for (const message of messages) {
      this.#isFiltered ||= message.nextOffset !== undefined;
      if (!this.#isFiltered) {
        // It ignores the filter and sends every record.
        const failure = localFailure("refused", "the node does not know filters: its version is too old");
        this.link.send({ kind: "failed", failure, nowMs: 0, chance: 0 });
        return;
      }
      this.#note(message);
      if (this.found.total >= this.#stopAt) {
        this.stop();
        return;
      }
    }
    this.#rate.note(monotonicMs(), this.next);
    this.#frame();
  }

  #note({ record, offset, nextOffset, endOffset, suspended, skipped, logId }: Consumed): void {
    if (this.#logId === undefined && logId !== undefined) this.#logId = utf8.decode(logId);
    if (nextOffset !== undefined) {
      this.first ??= nextOffset;
      this.end ??= endOffset ?? 0;
      this.next = Math.max(this.next, nextOffset);
      this.skipped = this.#skippedBefore + skipped;
      this.#suspended ||= suspended;
    } else if (record !== undefined && offset >= this.next) {
      this.found.add(offset, record);
      this.next = offset + 1;
    }
  }
}
