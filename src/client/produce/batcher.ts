/**
 * Gathers runs into batches and says which batch to send when: linger, limits, order, sequences, repetition. Pure.
 *
 *   add → open batch → (full, lingered, or asked) sealed → sent: flying → acked
 *                                                            ↑       ↘ waiting (to be sent again) | dropped
 *
 * With a producer, batches carry its id, epoch and the sequence of their first record, counted by records, and
 * several fly at once. After any failure nothing new is sent, what flies comes home, and the waiting ones are sent
 * again one by one from the lowest sequence: so the order of appends is the order of add(), and nothing is doubled.
 * A batch is "in limbo" once the outcome of an attempt was unknown: its sequence is then its own for ever. When a
 * batch is dropped, those behind it move up to its sequence; if anything may still be under way in the network, they
 * move to a new epoch instead, which fences it.
 *
 * Without a producer only one batch flies unless told otherwise, and one in limbo is dropped as unknown.
 *
 * Invariant: at most `inFlightMax` are unresolved; at most `queueBytesMax` are held, a lone run excepted.
 *
 * Never: waits, sends, knows the time by itself.
 */
import { Fault, type FaultKind } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import type { Appended, RecordRun } from "../../types.ts";
import { afterFailure } from "../calls/fault-of.ts";
import type { Stamp } from "../raw-batches.ts";
import type { Batch, BatcherSettings, Item, Outcome } from "./batcher-types.ts";

/** One run of several made the whole batch fail: each is tried by itself. */
const partFaults: readonly FaultKind[] = ["bad-record", "bad-request", "too-large"];

/** What a server finds wrong with the sequence of a batch. */
const sequenceFaults: readonly FaultKind[] = ["out-of-sequence", "unknown-producer", "sequence-too-old"];

/** Runs travel together when they would give up at about the same time. */
const joinableMs = 250;

export class Batcher<Ticket> {
  readonly #settings: BatcherSettings;
  readonly #isCanceled: (ticket: Ticket) => boolean;
  #open: Item<Ticket>[] = [];
  #openBytes = 0;
  #openCount = 0;
  #openedAt = 0;
  #openExpiresAt = 0;
  #isDue = false;
  /** Sealed, not sent yet. */
  readonly #sealed: Batch<Ticket>[] = [];
  /** Sent and unresolved, in the order of their sequences. */
  #live: Batch<Ticket>[] = [];
  #bytes = 0;
  #epoch: number;
  #sequence = 0;
  /** A batch was dropped: where its sequence began, and whether a new epoch must fence what may be under way. */
  #gap: { readonly sequence: number; fence: boolean; readonly isCertain: boolean } | undefined;
  #failure: Fault | undefined;
  #outcomes: Outcome<Ticket>[] = [];

  /** A run whose ticket `isCanceled` when its batch is about to be sent for the first time is left out. */
  constructor(settings: BatcherSettings, isCanceled: (ticket: Ticket) => boolean = () => false) {
    this.#isCanceled = isCanceled;
    assert(settings.inFlightMax >= 1, "something must fly");
    this.#settings = settings;
    this.#epoch = settings.producer?.epoch ?? 0;
  }

  /** Bytes that are held: waiting or under way. */
  get bytes(): number {
    return this.#bytes;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get isIdle(): boolean {
    return this.#open.length === 0 && this.#sealed.length === 0 && this.#live.length === 0;
  }

  /** Is there room for a run of so many bytes? */
  hasRoom(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#settings.queueBytesMax;
  }

  /**
   * Takes a run, whose bytes must not change any more. It is tried until `expiresAt`, or a little less where it
   * travels with others. Throws Fault "overloaded" when there is no room.
   */
  add(run: RecordRun, ticket: Ticket, nowMs: number, expiresAt = nowMs + this.#settings.deliveryMs): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.hasRoom(run.bytes.length)) {
      const { queueBytesMax } = this.#settings;
      throw new Fault("overloaded", {
        message: `${this.#bytes} bytes wait to be appended, the limit is ${queueBytesMax}`,
        facts: { limit: queueBytesMax },
      });
    }
    const { recordsMax, bytesMax } = this.#settings;
    const tooMuch = this.#openCount + run.count > recordsMax || this.#openBytes + run.bytes.length > bytesMax;
    const isApart = Math.abs(expiresAt - this.#openExpiresAt) > joinableMs;
    if (this.#open.length > 0 && (tooMuch || isApart)) this.#seal();
    if (this.#open.length === 0) {
      this.#openedAt = nowMs;
      this.#openExpiresAt = expiresAt;
    }
    this.#openExpiresAt = Math.min(this.#openExpiresAt, expiresAt);
    this.#open.push({ run, ticket });
    this.#openBytes += run.bytes.length;
    this.#openCount += run.count;
    this.#bytes += run.bytes.length;
    if (this.#openCount >= recordsMax || this.#openBytes >= bytesMax) this.#seal();
  }

  /** What is open need not linger. */
  flush(): void {
    this.#isDue = this.#open.length > 0;
  }

  /** The batch to send now, if any. Ask again until there is none. */
  next(nowMs: number): Batch<Ticket> | undefined {
    this.#closeGap();
    this.#expire(nowMs);
    const waiting = this.#live.find(({ state }) => state === "waiting");
    if (waiting !== undefined || this.#gap !== undefined) {
      if (waiting === undefined || this.#isAnyInFlight || waiting.notBefore > nowMs) return undefined;
      return this.#send(waiting);
    }
    if (this.#live.length >= this.#settings.inFlightMax || this.#isRecovering) return undefined;
    if (this.#sealed.length === 0 && this.#open.length > 0 && this.#lingersUntil() <= nowMs) this.#seal();
    const batch = this.#takeSealed();
    if (batch === undefined) return undefined;
    if (this.#settings.producer !== undefined) {
      batch.stamp = this.#stampAt(this.#sequence);
      this.#sequence += batch.count;
    }
    this.#live.push(batch);
    return this.#send(batch);
  }

  /** The first sealed batch, without the runs that were canceled meanwhile. */
  #takeSealed(): Batch<Ticket> | undefined {
    for (let batch = this.#sealed.shift(); batch !== undefined; batch = this.#sealed.shift()) {
      const wanted = batch.items.filter(({ ticket }) => !this.#isCanceled(ticket));
      if (wanted.length === batch.items.length) return batch;
      const rest = this.#batchOf(wanted, batch.expiresAt);
      this.#bytes -= batch.bytes - rest.bytes;
      if (wanted.length > 0) return rest;
    }
    return undefined;
  }

  /** When next() may have something that it does not have now; undefined: only after an ack, a fault or an add. */
  wakeAt(): number | undefined {
    const { inFlightMax } = this.#settings;
    const times = [...this.#live, ...this.#sealed]
      .filter(({ state }) => state === "waiting")
      .map(({ expiresAt }) => expiresAt);
    if (this.#open.length > 0) times.push(this.#openExpiresAt);
    const waiting = this.#live.find(({ state }) => state === "waiting");
    if (waiting !== undefined) {
      if (!this.#isAnyInFlight) times.push(waiting.notBefore);
    } else if (this.#live.length < inFlightMax && this.#gap === undefined && !this.#isRecovering) {
      if (this.#sealed.length > 0) times.push(Number.NEGATIVE_INFINITY);
      else if (this.#open.length > 0) times.push(this.#lingersUntil());
    }
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** The batch was appended. */
  acked(batch: Batch<Ticket>, appended: Appended): void {
    this.#remove(batch);
    const gap = this.#gap;
    if (gap !== undefined && batch.stamp!.sequence > gap.sequence) gap.fence = true;
    let firstOffset = appended.firstOffset;
    for (const { run, ticket } of batch.items) {
      this.#outcomes.push({ ticket, appended: { ...appended, firstOffset, count: run.count } });
      firstOffset += run.count;
    }
  }

  /** An attempt failed. `againAt` is when another one may be made, if it comes to that. */
  failed(batch: Batch<Ticket>, fault: Fault, againAt: number): void {
    batch.state = "waiting";
    batch.notBefore = againAt;
    batch.lastFault = fault;
    if (batch.stamp === undefined) this.#failedPlain(batch, fault);
    else this.#failedStamped(batch, fault);
  }

  #failedPlain(batch: Batch<Ticket>, fault: Fault): void {
    if (fault.written === "unknown") this.#drop(batch, fault);
    else this.#refused(batch, fault);
  }

  #failedStamped(batch: Batch<Ticket>, fault: Fault): void {
    const { kind, written } = fault;
    // What the server makes of a sequence is certain: it speaks of what earlier attempts may have written.
    if (kind === "producer-fenced") this.fail(fault);
    else if (!sequenceFaults.includes(kind)) {
      if (written === "unknown") batch.isUncertain = true;
      else this.#refused(batch, fault);
    } else if (!batch.wasSentAlone || batch !== this.#live[0])
      batch.notBefore = 0; // it overtook one before it
    else if (kind === "sequence-too-old") this.#drop(batch, fault);
    else if (batch.isUncertain || batch.attempts > 8) this.#drop(batch, fault);
    // The server has forgotten this producer, or knows another history of it: begin anew in a new epoch.
    else this.#openGap(batch.stamp!.sequence, true, kind === "unknown-producer");
  }

  #refused(batch: Batch<Ticket>, fault: Fault): void {
    if (fault.retry) return;
    const isPart = batch.items.length > 1 && !batch.isUncertain && partFaults.includes(fault.kind);
    if (isPart) this.#split(batch);
    else this.#drop(batch, fault);
  }

  /** It is over: everything that is held fails so, and so does every later add. */
  fail(fault: Fault): void {
    this.#failure = fault;
    for (const batch of this.#live) {
      this.#settleFault(batch, fault, batch.isUncertain || batch.state === "in-flight");
    }
    this.#live = [];
    if (this.#open.length > 0) this.#seal();
    for (const batch of this.#sealed.splice(0)) this.#settleFault(batch, fault, false);
    this.#gap = undefined;
  }

  /** Is this batch still its concern? After fail(), what flew is not. */
  owns(batch: Batch<Ticket>): boolean {
    return this.#live.includes(batch);
  }

  takeOutcomes(): Outcome<Ticket>[] {
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    return outcomes;
  }

  get #isAnyInFlight(): boolean {
    return this.#live.some(({ state }) => state === "in-flight");
  }

  /** One is tried again: what is new waits for how it ends. */
  get #isRecovering(): boolean {
    return this.#live.some(({ attempts }) => attempts > 1);
  }

  #lingersUntil(): number {
    return this.#isDue ? Number.NEGATIVE_INFINITY : this.#openedAt + this.#settings.lingerMs;
  }

  #seal(): void {
    this.#sealed.push(this.#batchOf(this.#open, this.#openExpiresAt));
    this.#open = [];
    this.#openBytes = 0;
    this.#openCount = 0;
    this.#isDue = false;
  }

  #batchOf(items: readonly Item<Ticket>[], expiresAt: number): Batch<Ticket> {
    let bytes = 0;
    let count = 0;
    for (const { run } of items) {
      bytes += run.bytes.length;
      count += run.count;
    }
    const untried = {
      stamp: undefined,
      state: "waiting",
      notBefore: 0,
      attempts: 0,
      lastFault: undefined,
    } as const;
    return { items, bytes, count, expiresAt, ...untried, isUncertain: false, wasSentAlone: false };
  }

  #send(batch: Batch<Ticket>): Batch<Ticket> {
    batch.wasSentAlone = !this.#isAnyInFlight;
    batch.state = "in-flight";
    batch.attempts++;
    return batch;
  }

  #stampAt(sequence: number): Stamp {
    return { id: this.#settings.producer!.id, epoch: this.#epoch, sequence };
  }

  /** Waiting ones whose time is up are dropped, queued ones too. */
  #expire(nowMs: number): void {
    for (const batch of [...this.#live]) {
      if (batch.state !== "waiting" || batch.expiresAt > nowMs) continue;
      this.#drop(batch, afterFailure(new Fault("deadline"), batch.lastFault));
    }
    this.#closeGap();
    if (this.#open.length > 0 && this.#openExpiresAt <= nowMs) this.#seal();
    for (const late of this.#sealed.filter(({ expiresAt }) => expiresAt <= nowMs)) {
      this.#sealed.splice(this.#sealed.indexOf(late), 1);
      this.#settleFault(late, new Fault("deadline"), false);
    }
  }

  #split(batch: Batch<Ticket>): void {
    const parts = batch.items.map((item) => this.#batchOf([item], batch.expiresAt));
    let sequence = batch.stamp?.sequence ?? 0;
    for (const part of parts) {
      if (batch.stamp !== undefined) part.stamp = { ...batch.stamp, sequence };
      sequence += part.count;
    }
    this.#live.splice(this.#live.indexOf(batch), 1, ...parts);
  }

  #drop(batch: Batch<Ticket>, fault: Fault): void {
    const isUnknown = batch.isUncertain || fault.written === "unknown";
    this.#remove(batch);
    this.#settleFault(batch, fault, isUnknown, false);
    if (batch.stamp !== undefined) this.#openGap(batch.stamp.sequence, isUnknown, !isUnknown);
  }

  #openGap(sequence: number, fence: boolean, isCertain: boolean): void {
    const before = this.#gap;
    this.#gap = {
      sequence: Math.min(sequence, before?.sequence ?? sequence),
      fence: fence || before?.fence === true,
      isCertain: before === undefined || sequence < before.sequence ? isCertain : before.isCertain,
    };
  }

  /**
   * Once all are home and those before the gap are resolved, those behind it move up. Where the dropped one certainly
   * was not appended, none behind it can have been either; where that is not certain, one in limbo behind it stays
   * unknown and must not be sent anew.
   */
  #closeGap(): void {
    const gap = this.#gap;
    if (gap === undefined || this.#isAnyInFlight) return;
    const first = this.#live[0];
    if (first !== undefined && first.stamp!.sequence < gap.sequence) return;
    this.#gap = undefined;
    let fence = gap.fence;
    for (const batch of [...this.#live]) {
      if (!batch.isUncertain) continue;
      fence = true;
      if (gap.isCertain) batch.isUncertain = false;
      else {
        this.#remove(batch);
        this.#settleFault(batch, new Fault("unknown"), true, false);
      }
    }
    if (fence) this.#epoch++;
    this.#sequence = fence ? 0 : gap.sequence;
    for (const batch of this.#live) {
      batch.stamp = this.#stampAt(this.#sequence);
      this.#sequence += batch.count;
    }
  }

  #remove(batch: Batch<Ticket>): void {
    const at = this.#live.indexOf(batch);
    assert(at >= 0, "a batch that is not under way");
    this.#live.splice(at, 1);
    this.#bytes -= batch.bytes;
  }

  #settleFault(batch: Batch<Ticket>, fault: Fault, isUnknown: boolean, isHeld = true): void {
    if (isHeld) this.#bytes -= batch.bytes;
    const { kind, message, facts } = fault;
    const told =
      isUnknown === (fault.written === "unknown")
        ? fault
        : new Fault(kind, { message, facts, written: isUnknown ? "unknown" : "no", cause: fault });
    for (const { ticket } of batch.items) this.#outcomes.push({ ticket, fault: told });
  }
}
