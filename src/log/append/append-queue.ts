/**
 * The queue of appends that were accepted and not proposed yet. Each log has a flow, in which its appends wait in the order of
 * their arrival; their records are already copied into groups. A write group takes from the flows in turn (deficit round
 * robin), so a log with many appends does not hold up the others. Within a write group each log's frames lie together.
 *
 * An append is accepted when it arrives, against the end of its log plus everything queued in its flow. So when a write group
 * fails, everything that is queued fails too.
 *
 * The queue is limited in bytes and in appends. The room is divided: see FairShares.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { LogId, ProducerStamp, RecordRun } from "../../types.ts";
import type { LogSettings } from "../frame/command.ts";
import { type BatchKind, commandBytes } from "../frame/frame.ts";
import { groupBytesMax } from "../frame/frame-group.ts";
import type { ProducedBatch } from "../state/produced-batch.ts";
import { producerFenced } from "../state/producer-faults.ts";
import { type ProducerTable, producerKey } from "../state/producer-table.ts";
import { DeficitRoundRobin, type WaitingFlow } from "./deficit-round-robin.ts";
import { FailedGroups } from "./failed-groups.ts";
import { FairShares, type ShareOwner } from "./fair-shares.ts";
import { GroupBufferPool } from "./group-buffer-pool.ts";
import { type DraftTarget, GroupBuilder } from "./group-builder.ts";
import { QueuedGroup, type QueuedStream } from "./queued-group.ts";
import { noItems, withItem } from "./short-list.ts";
import { WriteGroup } from "./write-group.ts";

/** Whether records of a producer may be appended. Otherwise they are duplicates of staged or queued records. */
export type QueuedVerdict =
  | { readonly append: true }
  | { readonly staged: ProducedBatch }
  | { readonly queued: QueuedGroup; readonly place: number };

export interface QueueLimits {
  /** Bytes of records. One append may be larger if nothing else is queued. */
  readonly bytesMax: number;
  readonly appendsMax: number;
}

export type QueueClock = Pick<Clock, "soon" | "monotonicMs">;

/** An append to be queued. */
export interface NewAppend {
  readonly run: RecordRun;
  readonly producer?: ProducerStamp | undefined;
  /** With `alone` and `target`. */
  readonly stream?: QueuedStream | undefined;
  /** The append gets a batch of its own. */
  readonly alone?: boolean;
  readonly traceparent?: string | undefined;
  /** Undefined: `default`. */
  readonly target?: DraftTarget | undefined;
  /** Whose room it uses. */
  readonly owner: ShareOwner;
}

/** What a log may write before it is another log's turn. */
const quantumBytes = 256 * 1024;
/** A write group takes several groups up to this size. */
const writeBytesMax = 1024 * 1024;
/**
 * All appends of a write group are acknowledged in one turn of the event loop, each of which takes 4 µs. So a small append counts as
 * so many bytes, and a write group has at most 2,048 appends.
 */
const appendBytesMin = 512;
/** A command about a named log makes or changes a row and takes about 40 µs: a write group has at most 128. */
const commandBytesMin = 8 * 1024;
const expectedBytesMin = 4096;
/** What the first buffer of a group of a named log has beside its first run: the head of a frame. */
const namedHeadBytes = 64;

/** The bytes that a group counts as, however small it is. */
const leastBytes = ({ appends, commands }: QueuedGroup): number =>
  (appends - commands) * appendBytesMin + commands * commandBytesMin;

/** What is queued for one log. */
class Flow implements WaitingFlow<QueuedGroup> {
  readonly logId: LogId;
  #groups: QueuedGroup[] | undefined;
  deficit = 0;
  records = 0;

  constructor(logId: LogId) {
    this.logId = logId;
  }

  get groups(): readonly QueuedGroup[] {
    return this.#groups ?? noItems;
  }

  add(group: QueuedGroup): void {
    this.#groups = withItem(this.#groups, group);
  }

  firstBytes(): number | undefined {
    const [first] = this.groups;
    return first && Math.max(first.builder.usedBytes, leastBytes(first));
  }

  takeFirst(): QueuedGroup {
    const group = this.#groups!.shift()!;
    this.records -= group.builder.records;
    return group;
  }
}

export class AppendQueue {
  /** The flows that are not empty. */
  readonly #flows = new Map<LogId, Flow>();
  readonly #turns = new DeficitRoundRobin<QueuedGroup, Flow>(quantumBytes);
  readonly #shares: FairShares;
  /** Buffers of groups of `default`, of which one after another is filled. */
  readonly #pool = new GroupBufferPool();
  /** Buffers of groups of named logs, and of joined groups. */
  readonly #sidePool = new GroupBufferPool();
  /** The expected size of the next group of `default`: a moving average. */
  #expectedBytes = expectedBytesMin;

  /** Groups that failed keep their room until their appends are told. */
  readonly #failed: FailedGroups;

  readonly #clock: QueueClock | undefined;

  /** Without a clock, all appends that fail are told at once, and groups have no times. */
  constructor({ bytesMax, appendsMax }: QueueLimits, clock?: QueueClock) {
    this.#clock = clock;
    this.#shares = new FairShares({ bytesMax, countMax: appendsMax });
    const soon = clock === undefined ? undefined : (work: () => void) => clock.soon(work);
    this.#failed = new FailedGroups((group) => this.#release(group), soon);
  }

  get empty(): boolean {
    return this.#turns.size === 0;
  }

  /** The queued groups. Those of one log are in order. */
  *groups(): Generator<QueuedGroup> {
    for (const { groups } of this.#turns.flows) yield* groups;
  }

  /** The group of this log that will be proposed last. */
  last(logId: LogId): QueuedGroup | undefined {
    return this.#flows.get(logId)?.groups.at(-1);
  }

  /** Bytes of the frames that are queued for this log. */
  bytesOf(logId: LogId): number {
    let bytes = 0;
    for (const { builder } of this.#flows.get(logId)?.groups ?? []) bytes += builder.usedBytes;
    return bytes;
  }

  /** The appends of a stream that are queued for this log. */
  streamsOf(logId: LogId): readonly QueuedStream[] {
    return streamsIn(this.#flows.get(logId)?.groups ?? noItems);
  }

  /** How many records of this log are queued. The next append follows them. */
  recordsOf(logId: LogId): number {
    return this.#flows.get(logId)?.records ?? 0;
  }

  /**
   * Reserves room for an append that is added later. Returns the function that releases it.
   * @throws Fault "overloaded" if the owner has no room
   */
  reserve(owner: ShareOwner, runBytes: number): () => void {
    this.#requireRoom(owner, runBytes);
    const share = this.#shares.take(owner, runBytes);
    return () => this.#shares.release(share, runBytes, 1);
  }

  /** Returns true if add() would take a run of this size. */
  hasRoom(owner: ShareOwner, runBytes: number): boolean {
    return this.#failed.fault === undefined && this.#shares.hasRoom(owner, runBytes);
  }

  /**
   * Queues a run. `place` is as in QueuedAppend.
   * @throws Fault "overloaded" if the owner has no room; the fault of earlier appends that failed, while they are being told: their
   *   client must not see a later one succeed first
   */
  add({ run, producer, alone = false, traceparent, target, owner, stream }: NewAppend): {
    group: QueuedGroup;
    place: number;
  } {
    const { fault } = this.#failed;
    if (fault !== undefined) throw fault;
    const bytes = run.bytes.length + commandBytes(stream?.encoded);
    const { flow, group } = this.#groupFor(target?.logId ?? 0, bytes, owner);
    const keyed = producer === undefined ? undefined : { key: producerKey(producer), stamp: producer };
    const place = group.add(run, keyed, alone, target, stream);
    flow.records += run.count;
    if (traceparent !== undefined) group.builder.trace(traceparent);
    return { group, place };
  }

  /**
   * Queues a command. It comes after the appends of its log that are queued, and before later ones.
   * @throws Fault "overloaded" if the owner has no room
   */
  addCommand(kind: BatchKind, command: Uint8Array, owner: ShareOwner, target?: DraftTarget): QueuedGroup {
    const { group } = this.#groupFor(target?.logId ?? 0, command.length, owner);
    group.addCommand(kind, command, target);
    return group;
  }

  /** Takes the groups that are to be proposed now. */
  take(): WriteGroup | undefined {
    const parts: QueuedGroup[] = [];
    for (const units of this.#turns.take(writeBytesMax)) parts.push(...units);
    if (parts.length === 0) return undefined;
    for (const group of parts) {
      if (group.logId === 0) this.#expect(group.builder.usedBytes);
      if (this.#flows.get(group.logId)?.groups.length === 0) this.#flows.delete(group.logId);
      this.#release(group);
    }
    return new WriteGroup(parts, this.#sidePool);
  }

  /** Fails all queued groups. Their appends are told in turns of the event loop, if there are many. */
  fail(fault: Fault): void {
    const groups = [...this.groups()];
    this.#turns.clear();
    this.#flows.clear();
    this.#failed.add(groups, fault);
  }

  /**
   * Does what ProducerTable.check() does, and also considers the queued groups and the groups `ahead`, which were taken and
   * are not staged yet.
   */
  check(
    stamp: ProducerStamp,
    count: number,
    table: ProducerTable,
    nowMs: number,
    settings: LogSettings,
    ahead: readonly WriteGroup[],
  ): QueuedVerdict {
    const key = producerKey(stamp);
    let expected: number | undefined;
    const { logId = 0 } = stamp;
    const queued = this.#flows.get(logId)?.groups ?? [];
    const groups = ahead.length === 0 ? queued : [...ahead.flatMap((taken) => taken.of(logId)), ...queued];
    for (let at = groups.length - 1; at >= 0; at--) {
      const group = groups[at]!;
      const producer = group.producers?.get(key);
      if (producer === undefined) continue;
      if (expected === undefined) {
        if (stamp.epoch < producer.epoch) throw producerFenced(producer.epoch);
        expected = stamp.epoch > producer.epoch ? 0 : producer.next;
        if (stamp.sequence === expected) return { append: true };
      }
      if (stamp.epoch !== producer.epoch) continue;
      const run = producer.runs.find(
        ({ sequence, count: length }) =>
          stamp.sequence >= sequence && stamp.sequence + count <= sequence + length,
      );
      if (run !== undefined) return { queued: group, place: run.place + stamp.sequence - run.sequence };
    }
    if (expected === undefined) {
      const verdict = table.check(stamp, count, nowMs, settings);
      return "append" in verdict ? verdict : { staged: verdict.duplicate };
    }
    const staged = table.duplicate(stamp, count);
    if (staged !== undefined) return { staged };
    throw table.refusal(stamp, expected);
  }

  #requireRoom(owner: ShareOwner, runBytes: number): void {
    if (this.#shares.hasRoom(owner, runBytes)) return;
    const own = this.#shares.usedBy(owner);
    const all = this.#shares.used;
    throw new Fault("overloaded", {
      message: `too many appends wait for the disk: ${all.count}, of these ${own.count} of this client in this log`,
      facts: { waitingBytes: all.bytes, waitingAppends: all.count },
    });
  }

  /** The group to which the next append of a log is added, and its flow. */
  #groupFor(logId: LogId, runBytes: number, owner: ShareOwner): { flow: Flow; group: QueuedGroup } {
    this.#requireRoom(owner, runBytes);
    let flow = this.#flows.get(logId);
    if (flow === undefined) {
      flow = new Flow(logId);
      this.#flows.set(logId, flow);
    }
    let group = flow.groups.at(-1);
    if (group === undefined || !this.#fits(group, runBytes)) {
      group = new QueuedGroup(logId, this.#newBuilder(logId, runBytes), this.#clock?.monotonicMs());
      flow.add(group);
      this.#turns.waits(flow);
    }
    group.charge(this.#shares.take(owner, runBytes), runBytes);
    return { flow, group };
  }

  /** Groups are kept small while several logs wait. */
  #fits(group: QueuedGroup, runBytes: number): boolean {
    const { builder } = group;
    const isShared = this.#turns.size > 1;
    if (leastBytes(group) >= (isShared ? quantumBytes : writeBytesMax)) return false;
    return builder.fits(runBytes, isShared ? quantumBytes : groupBytesMax);
  }

  #newBuilder(logId: LogId, runBytes: number): GroupBuilder {
    if (logId === 0) return new GroupBuilder(Math.max(this.#expectedBytes, runBytes + 512), this.#pool);
    return new GroupBuilder(runBytes + namedHeadBytes, this.#sidePool, true);
  }

  #expect(usedBytes: number): void {
    const average = Math.ceil(0.5 * this.#expectedBytes + 0.6 * usedBytes);
    this.#expectedBytes = Math.max(expectedBytesMin, average);
  }

  #release(group: QueuedGroup): void {
    for (const { share, bytes, count } of group.charges) this.#shares.release(share, bytes, count);
  }
}

/** The appends of a stream in these groups, in order. */
export function streamsIn(groups: readonly QueuedGroup[]): readonly QueuedStream[] {
  let found: readonly QueuedStream[] = noItems;
  for (const { streams } of groups)
    if (streams.length > 0) found = found.length === 0 ? streams : [...found, ...streams];
  return found;
}
