/**
 * The live tail: a cursor on the log, the ring that it fills, the filter over it, and the scroll position.
 *
 * Invariants: the ring holds contiguous offsets, the stream continues at `ring.next`, and records that leave the ring or
 * are skipped are counted and shown as such.
 */
import { signal } from "@preact/signals";
import { localFailure, type StreamFailure } from "../core/failure.ts";
import { grouped } from "../core/format.ts";
import { ringLimits } from "../core/limits.ts";
import { RecordRing } from "../core/ring.ts";
import { defaultFrom, type From } from "../core/url-state.ts";
import type { Consumed } from "../core/wire.ts";
import { callsTo, ownBase } from "../io/calls.ts";
import { readTail } from "../io/tail-stream.ts";
import { oncePerFrame } from "../io/timing.ts";
import { Link } from "./link.ts";
import { Search } from "./search.ts";

/** Records above the window that stay when the reader is scrolled up. */
const keepAbove = 1_000;
/** Free records needed before a parked stream is opened again. */
const roomMin = 2_000;
/** After a jump to the end, this many are shown. */
const jumpBack = 500;

export interface Notice {
  readonly id: number;
  readonly text: string;
  /** Takes the person to where it happened, if anywhere. */
  readonly goTo: From | undefined;
}

/** How long the question may take whether a log whose tail ended is closed. */
const closedTimeoutMs = 5_000;
const utf8 = new TextDecoder();

export class Tail {
  /** The name of the log. Empty: the log `default`. */
  readonly log = signal("");
  readonly ring = new RecordRing(ringLimits);
  readonly search: Search;
  readonly link: Link;
  /** Grows once a frame while anything changes; what is drawn depends on it. */
  readonly version = signal(0);
  /** Sticks to the end. */
  readonly following = signal(true);
  /** One past the last committed record, as far as known. */
  readonly end = signal<number | undefined>(undefined);
  readonly caughtUp = signal(false);
  readonly from = signal<From>(defaultFrom);
  readonly notices = signal<readonly Notice[]>([]);
  /** The offset at the top of the window. */
  top = 0;
  /** Grows when the ring was emptied: the same offset may then be another record. */
  generation = 0;
  /** The list scrolls this offset to its top once it has arrived. */
  wanted: number | undefined;
  /** Where the log ended when the person paused; what is after it is new. */
  readonly pausedEnd = signal<number | undefined>(undefined);
  /** The first offset that may not be dropped while the reader is elsewhere. */
  #protect = 0;
  /** Is ring.next the place to read on? Before the first message it is not known. */
  #anchored = false;
  #noticeId = 0;
  /** The id of a named log, once it was received. A stream that continues states it, so it never shows another log. */
  #logId: string | undefined;
  #jumpFrom: number | undefined;
  readonly #frame = oncePerFrame(() => {
    this.search.pump();
    this.version.value++;
  });

  constructor() {
    this.search = new Search(this.ring, () => this.#frame());
    this.link = new Link(ownBase(), (node, abort) => this.#read(node, abort));
  }

  get anchored(): boolean {
    return this.#anchored;
  }

  /** The id of the log, as requests about its records state it. */
  get logId(): string | undefined {
    return this.#logId;
  }

  /** Reads another log, from here. */
  openLog(log: string, from: From, following?: boolean): void {
    this.log.value = log;
    this.#logId = undefined;
    this.#jumpFrom = undefined;
    this.end.value = undefined;
    this.notices.value = [];
    this.top = 0;
    this.start(from, following);
  }

  /** Empties the view and reads from here. */
  start(from: From, following = from.kind === "end" || from.kind === "last"): void {
    this.from.value = from;
    this.following.value = following;
    this.caughtUp.value = false;
    this.#anchored = false;
    this.wanted = undefined;
    this.pausedEnd.value = undefined;
    this.#protect = 0;
    this.ring.clear(0);
    this.search.restart();
    this.link.send({ kind: "open" });
    this.#frame();
  }

  /** Brings this offset to the top of the window, now or when it arrives. */
  show(offset: number): void {
    this.wanted = offset;
    this.#frame();
  }

  /** Sticks to the end again, by a jump when the end is farther than the ring is long. */
  follow(): void {
    this.following.value = true;
    this.pausedEnd.value = undefined;
    const end = this.end.peek();
    const behind = end === undefined ? 0 : end - this.ring.next;
    if (this.#anchored && behind > ringLimits.recordsMax) {
      this.#jumpFrom = this.ring.next;
      this.start({ kind: "last", count: jumpBack });
    } else {
      this.link.send({ kind: "unpark" });
    }
    this.#frame();
  }

  /** The user scrolled up, or paused. */
  pause(): void {
    if (!this.following.peek()) return;
    this.following.value = false;
    this.pausedEnd.value = Math.max(this.end.peek() ?? 0, this.ring.next);
    this.#protect = Math.max(this.ring.first, this.top - keepAbove);
    this.#frame();
  }

  /** The window shows these offsets now. */
  looked(top: number): void {
    this.top = top;
    if (this.following.peek()) return;
    this.#protect = Math.max(this.ring.first, top - keepAbove);
    if (this.#protect - this.ring.first >= roomMin) this.link.send({ kind: "unpark" });
  }

  /** Continues a parked search and drops the records that it has already searched. */
  searchOn(): void {
    this.#protect = this.ring.next;
    this.link.send({ kind: "unpark" });
  }

  /** The cluster reported the current end of the log. */
  learnEnd(end: number): void {
    const known = this.end.peek();
    if (known !== undefined && end <= known) return;
    this.end.value = end;
  }

  dismiss(id: number): void {
    this.notices.value = this.notices.peek().filter((notice) => notice.id !== id);
  }

  /** Shows a notice that leads to no place. */
  showNotice(text: string): void {
    this.#notice(text, undefined);
  }

  #notice(text: string, goTo: From | undefined): void {
    const notice = { id: ++this.#noticeId, text, goTo };
    this.notices.value = [...this.notices.peek().slice(-2), notice];
  }

  async #read(node: string, abort: AbortSignal): Promise<StreamFailure | undefined> {
    const failure = await this.#readOnce(node, abort);
    if (failure?.kind !== "ended" || abort.aborted) return failure;
    return (await this.#isAllRead(node, abort)) ? localFailure("closed", "the log is closed") : failure;
  }

  /** The server ends the tail of a closed log after its last record. */
  async #isAllRead(node: string, abort: AbortSignal): Promise<boolean> {
    const name = this.log.peek();
    if (name === "") return false;
    try {
      const { log } = await callsTo(node).logs.getLog(
        { name },
        { signal: abort, timeoutMs: closedTimeoutMs },
      );
      return log?.closed === true && (!this.#anchored || this.ring.next >= Number(log.nextOffset));
    } catch {
      return false;
    }
  }

  #readOnce(node: string, abort: AbortSignal): Promise<StreamFailure | undefined> {
    const position = this.#anchored ? this.ring.next : undefined;
    this.caughtUp.value = false;
    return readTail(
      {
        base: node,
        position: position ?? (this.from.peek().kind === "offset" ? offsetOf(this.from.peek()) : undefined),
        request: {
          ...(position === undefined ? startOf(this.from.peek()) : { offset: BigInt(position) }),
          seenOffset: BigInt(position === undefined || position === 0 ? 0 : position - 1),
          markers: true,
          log: this.log.peek(),
          ...(this.#logId !== undefined && { logId: this.#logId }),
        },
        onMessages: (messages) => this.#take(messages, abort),
      },
      abort,
    );
  }

  #take(messages: readonly Consumed[], abort: AbortSignal): Promise<void> | undefined {
    if (abort.aborted) return undefined;
    this.link.heard();
    for (const message of messages) {
      if (this.#logId === undefined && message.logId !== undefined) this.#logId = utf8.decode(message.logId);
      if (message.endOffset !== undefined) this.learnEnd(message.endOffset);
      if (message.record !== undefined) {
        if (!this.#add(message.offset, message.record)) {
          this.link.send({ kind: "park" });
          break;
        }
      } else if (message.caughtUp) {
        if (message.endOffset !== undefined && !this.#anchored) this.#anchor(message.endOffset);
        this.caughtUp.value = true;
      }
    }
    this.learnEnd(this.ring.next);
    this.#frame();
    return this.search.room();
  }

  /** Returns false if the ring is full: the record is not stored and must be read again later. */
  #add(offset: number, record: Uint8Array): boolean {
    if (!this.#anchored) this.#anchor(offset);
    if (offset < this.ring.next) return true;
    if (offset > this.ring.next) {
      const lost = offset - this.ring.next;
      this.#notice(
        `The server skipped ${grouped(lost)} records, ${grouped(this.ring.next)}–${grouped(offset - 1)}.`,
        undefined,
      );
      this.ring.clear(offset);
      this.search.restart();
    }
    if (!this.following.peek() && this.ring.wouldEvict(record.length) && this.ring.first >= this.#protect) {
      return false;
    }
    this.ring.push(record);
    return true;
  }

  #anchor(offset: number): void {
    this.#anchored = true;
    this.generation++;
    this.ring.clear(offset);
    this.search.restart();
    if (this.#jumpFrom !== undefined && offset > this.#jumpFrom) {
      const [from, to] = [this.#jumpFrom, offset - 1];
      this.#notice(
        `Jumped to the end over ${grouped(to - from + 1)} records, ${grouped(from)}–${grouped(to)}.`,
        {
          kind: "offset",
          offset: from,
        },
      );
    }
    this.#jumpFrom = undefined;
  }
}

const offsetOf = (from: From): number | undefined => (from.kind === "offset" ? from.offset : undefined);

/** `start` is asked for as a time, since only the server knows its lowest offset. */
function startOf(from: From) {
  switch (from.kind) {
    case "offset":
      return { offset: BigInt(from.offset) };
    case "last":
      return { start: { case: "last" as const, value: BigInt(from.count) } };
    case "time":
      return { start: { case: "fromTimeMs" as const, value: BigInt(from.atMs) } };
    case "start":
      return { start: { case: "fromTimeMs" as const, value: 0n } };
    case "end":
      return { start: { case: "fromEnd" as const, value: true } };
  }
}
