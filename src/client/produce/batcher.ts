/**
 * Collects runs into batches and decides which batch to send when: linger, limits, order, sequences and retries. It has
 * no clock and does no I/O; the producer passes the time and the results in.
 *
 *   add → open → (full, lingered or flushed) sealed → sent: in flight → acknowledged
 *                                                         ↑          ↘ waiting for a retry | dropped
 *
 * With a producer, a batch carries its id, its epoch and the sequence of its first record, counted in records. Several
 * batches are in flight at once. After a failure no new batch is sent until those in flight have a result. The waiting
 * batches are then sent again, one by one, from the lowest sequence on. So the log has the order of add(), without
 * duplicates.
 *
 * A batch is uncertain if the outcome of an attempt was unknown: its sequence must not be used for other records. If a
 * batch is dropped, the later ones take over its sequence. If a write may still be under way in the network, they get a
 * new epoch instead, which fences that write.
 *
 * Without a producer one batch is in flight by default. An uncertain batch is dropped with an unknown outcome.
 *
 * Invariants: at most `inFlightMax` batches are unresolved, and with a producer at most as many are sent from the first
 * unresolved one on; at most `queueBytesMax` bytes are buffered, except for a single
 * larger run.
 */
import { Fault, type FaultKind } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import type { Appended, RecordRun } from "../../types.ts";
import { afterFailure } from "../calls/fault-context.ts";
import type { Stamp } from "../raw-batches.ts";
import { batchWithout, splitBatch } from "./batch.ts";
import type { Batch, BatcherSettings, Outcome } from "./batcher-types.ts";
import { OpenBatch } from "./open-batch.ts";

/** One run can cause these faults for the whole batch. Each run is then tried separately. */
const partFaults: readonly FaultKind[] = ["bad-record", "bad-request", "too-large"];

/** Faults about the sequence of a batch. */
const sequenceFaults: readonly FaultKind[] = ["out-of-sequence", "unknown-producer", "sequence-too-old"];

/** A batch that is rejected for its sequence so often is dropped. */
const sequenceAttemptsMax = 8;

/** A batch was dropped, and the later ones do not have their new sequences yet. */
interface Gap {
  /** The sequence of the dropped batch. */
  readonly sequence: number;
  /** Whether a new epoch must fence writes that may be under way. */
  fence: boolean;
  /** Whether the dropped batch was certainly not appended. */
  readonly isCertain: boolean;
}

export class Batcher<Ticket> {
  readonly #settings: BatcherSettings;
  readonly #isCanceled: (ticket: Ticket) => boolean;
  readonly #open: OpenBatch<Ticket>;
  /** Sealed and not sent yet. */
  readonly #sealed: Batch<Ticket>[] = [];
  /** Sent and not resolved, in the order of their sequences. */
  #live: Batch<Ticket>[] = [];
  #bytes = 0;
  #epoch: number;
  #sequence = 0;
  /** Batches that were sent, without their retries. */
  #started = 0;
  #gap: Gap | undefined;
  #failure: Fault | undefined;
  #outcomes: Outcome<Ticket>[] = [];

  /** Runs with a ticket that `isCanceled` are left out when their batch is sent for the first time. */
  constructor(settings: BatcherSettings, isCanceled: (ticket: Ticket) => boolean = () => false) {
    this.#isCanceled = isCanceled;
    assert(settings.inFlightMax >= 1, "at least one batch in flight");
    this.#settings = settings;
    this.#open = new OpenBatch(settings);
    this.#epoch = settings.producer?.epoch ?? 0;
  }

  /** Bytes that are queued or in flight. */
  get bytes(): number {
    return this.#bytes;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get isIdle(): boolean {
    return this.#open.isEmpty && this.#sealed.length === 0 && this.#live.length === 0;
  }

  /** Whether a run of so many bytes can be added. */
  hasRoom(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#settings.queueBytesMax;
  }

  /**
   * Takes a run. Its bytes are copied. It is tried until `expiresAt`, or until the earliest deadline in
   * its batch, which is at most 250 ms before.
   * @throws Fault "overloaded" if there is no room, and the fault of fail() after it
   */
  add(run: RecordRun, ticket: Ticket, nowMs: number, expiresAt = nowMs + this.#settings.deliveryMs): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.hasRoom(run.bytes.length)) {
      const { queueBytesMax } = this.#settings;
      throw new Fault("overloaded", {
        message: `${this.#bytes} bytes are waiting to be appended, the limit is ${queueBytesMax}`,
        facts: { limit: queueBytesMax },
      });
    }
    if (!this.#open.accepts(run, expiresAt)) this.#seal();
    this.#open.add(run, ticket, nowMs, expiresAt);
    this.#bytes += run.bytes.length;
    if (this.#open.isFull) this.#seal();
  }

  /** Ends the linger time of the open batch. */
  flush(): void {
    this.#open.flush();
  }

  /** Returns a batch to send now, if there is one. Call it again until it returns undefined. */
  next(nowMs: number): Batch<Ticket> | undefined {
    this.#closeGap();
    this.#expire(nowMs);
    const waiting = this.#live.find(({ state }) => state === "waiting");
    if (waiting !== undefined || this.#gap !== undefined) {
      if (waiting === undefined || this.#isAnyInFlight || waiting.notBefore > nowMs) return undefined;
      return this.#send(waiting);
    }
    if (!this.#mayStart) return undefined;
    if (this.#sealed.length === 0 && !this.#open.isEmpty && this.#open.lingersUntil <= nowMs) this.#seal();
    const batch = this.#takeSealed();
    if (batch === undefined) return undefined;
    if (this.#settings.producer !== undefined) {
      batch.stamp = this.#stampAt(this.#sequence);
      this.#sequence += batch.run.count;
    }
    batch.ordinal = this.#started++;
    this.#live.push(batch);
    return this.#send(batch);
  }

  /** Whether a batch that was not sent yet may be sent, if none waits for a retry. */
  get #mayStart(): boolean {
    const { inFlightMax, producer } = this.#settings;
    if (this.#live.length >= inFlightMax || this.#isRecovering) return false;
    // A retry of the first one must find its result on the node, however many of the later ones were acknowledged.
    const [first] = this.#live;
    return producer === undefined || first === undefined || this.#started - first.ordinal < inFlightMax;
  }

  /** Takes the first sealed batch, without the runs that have been canceled. */
  #takeSealed(): Batch<Ticket> | undefined {
    for (let batch = this.#sealed.shift(); batch !== undefined; batch = this.#sealed.shift()) {
      const rest = batchWithout(batch, this.#isCanceled);
      this.#bytes -= bytesOf(batch) - (rest === undefined ? 0 : bytesOf(rest));
      if (rest !== undefined) return rest;
    }
    return undefined;
  }

  /** When next() must be called again. Undefined: only after acked(), failed() or add(). */
  wakeAt(): number | undefined {
    const times = [...this.#live, ...this.#sealed]
      .filter(({ state }) => state === "waiting")
      .map(({ expiresAt }) => expiresAt);
    if (!this.#open.isEmpty) times.push(this.#open.expiresAt);
    const waiting = this.#live.find(({ state }) => state === "waiting");
    if (waiting !== undefined) {
      if (!this.#isAnyInFlight) times.push(waiting.notBefore);
    } else if (this.#gap === undefined && this.#mayStart) {
      if (this.#sealed.length > 0) times.push(Number.NEGATIVE_INFINITY);
      else if (!this.#open.isEmpty) times.push(this.#open.lingersUntil);
    }
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Records that the batch was appended. */
  acked(batch: Batch<Ticket>, appended: Appended): void {
    this.#remove(batch);
    const gap = this.#gap;
    if (gap !== undefined && batch.stamp!.sequence > gap.sequence) gap.fence = true;
    const { timestampMs, duplicate } = appended;
    let { firstOffset } = appended;
    for (const { count, ticket } of batch.items) {
      this.#outcomes.push({ ticket, appended: { firstOffset, count, timestampMs, duplicate } });
      firstOffset += count;
    }
  }

  /**
   * Records that an attempt failed. If the batch is retried, that is not before `retryAt`. With `mayRepeat` false (default
   * true) it is not retried after an unknown outcome.
   */
  failed(batch: Batch<Ticket>, fault: Fault, retryAt: number, mayRepeat = true): void {
    batch.state = "waiting";
    batch.notBefore = retryAt;
    batch.lastFault = fault;
    if (!mayRepeat && fault.written === "unknown") this.#drop(batch, fault);
    else if (batch.stamp === undefined) this.#failedWithoutStamp(batch, fault);
    else this.#failedWithStamp(batch, fault);
  }

  #failedWithoutStamp(batch: Batch<Ticket>, fault: Fault): void {
    if (fault.written === "unknown") this.#drop(batch, fault);
    else this.#rejected(batch, fault);
  }

  #failedWithStamp(batch: Batch<Ticket>, fault: Fault): void {
    const { kind, written } = fault;
    // A fault about the sequence is certain, whatever `written` says: that concerns earlier attempts.
    if (kind === "producer-fenced") this.fail(fault);
    else if (!sequenceFaults.includes(kind)) {
      if (written === "unknown") batch.isUncertain = true;
      else this.#rejected(batch, fault);
    } else if (!batch.wasSentAlone || batch !== this.#live[0])
      batch.notBefore = 0; // it arrived before an earlier batch
    else if (kind === "sequence-too-old") this.#drop(batch, fault);
    else if (batch.isUncertain || batch.attempts > sequenceAttemptsMax) this.#drop(batch, fault);
    // The node does not know this producer, or knows other sequences of it: start again with a new epoch.
    else this.#openGap(batch.stamp!.sequence, true, kind === "unknown-producer");
  }

  #rejected(batch: Batch<Ticket>, fault: Fault): void {
    if (fault.retry) return;
    const isPart = batch.items.length > 1 && !batch.isUncertain && partFaults.includes(fault.kind);
    if (isPart) this.#split(batch);
    else this.#drop(batch, fault);
  }

  /** Fails everything that is buffered, and every later add(), with this fault. */
  fail(fault: Fault): void {
    this.#failure = fault;
    for (const batch of this.#live) {
      this.#settleFault(batch, fault, batch.isUncertain || batch.state === "in-flight");
    }
    this.#live = [];
    if (!this.#open.isEmpty) this.#seal();
    for (const batch of this.#sealed.splice(0)) this.#settleFault(batch, fault, false);
    this.#gap = undefined;
  }

  /** Whether the batch is still unresolved. After fail() none is. */
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

  /** Whether a batch is being retried. New batches wait for its result. */
  get #isRecovering(): boolean {
    return this.#live.some(({ attempts }) => attempts > 1);
  }

  #seal(): void {
    this.#sealed.push(this.#open.seal());
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

  /** Drops the waiting and the queued batches whose deadline has passed. */
  #expire(nowMs: number): void {
    for (const batch of [...this.#live]) {
      if (batch.state !== "waiting" || batch.expiresAt > nowMs) continue;
      this.#drop(batch, afterFailure(new Fault("deadline"), batch.lastFault));
    }
    this.#closeGap();
    if (!this.#open.isEmpty && this.#open.expiresAt <= nowMs) this.#seal();
    for (const late of this.#sealed.filter(({ expiresAt }) => expiresAt <= nowMs)) {
      this.#sealed.splice(this.#sealed.indexOf(late), 1);
      this.#settleFault(late, new Fault("deadline"), false);
    }
  }

  #split(batch: Batch<Ticket>): void {
    this.#live.splice(this.#live.indexOf(batch), 1, ...splitBatch(batch));
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
   * Gives the batches after the gap their new sequences, once none is in flight and those before the gap are resolved. If
   * the dropped batch was certainly not appended, no later one was. Otherwise an uncertain batch after it stays unknown
   * and must not be sent again.
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
      this.#sequence += batch.run.count;
    }
  }

  #remove(batch: Batch<Ticket>): void {
    const at = this.#live.indexOf(batch);
    assert(at >= 0, "a batch that is not live");
    this.#live.splice(at, 1);
    this.#bytes -= bytesOf(batch);
  }

  #settleFault(batch: Batch<Ticket>, fault: Fault, isUnknown: boolean, isCounted = true): void {
    if (isCounted) this.#bytes -= bytesOf(batch);
    const { kind, message, facts } = fault;
    const settled =
      isUnknown === (fault.written === "unknown")
        ? fault
        : new Fault(kind, { message, facts, written: isUnknown ? "unknown" : "no", cause: fault });
    for (const { ticket } of batch.items) this.#outcomes.push({ ticket, fault: settled });
  }
}

const bytesOf = ({ run }: Batch<unknown>): number => run.bytes.length;
