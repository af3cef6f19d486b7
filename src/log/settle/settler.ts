/**
 * Settles sealed segments in the background (SETTLING.md): looks at one after the other, the oldest first, and copies those that
 * become much smaller. It counts what removed records hold of them, also if settling is off.
 *
 *   look     which records can nothing read any more? A few milliseconds of work, then a rest
 *   copy     the settled files are written at a bounded rate
 *   replace  one transaction, while nothing holds it
 *
 * Nothing is settled unless everything committed is synced here: the trims and deletes that make records unreadable are.
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { errorCode, troubleOf } from "../../lib/disk/disk.ts";
import type { SpaceUse } from "../../lib/disk/space-use.ts";
import { type Logger, noLogger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Bounds, RaftIndex } from "../../types.ts";
import { settledLevel } from "../frame/log-command.ts";
import type { Catalog } from "../segment/catalog.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";
import type { SegmentSet } from "../segment/segment-set.ts";
import type { LogState } from "../state/log-state.ts";
import type { DiskHealth } from "../write/disk-health.ts";
import { CopyRate } from "./copy-rate.ts";
import { forgetReplacement, replaceBySettled } from "./replace-segment.ts";
import { planSettling, type SettlePlan } from "./settle-plan.ts";
import { type SettledCopy, writeSettled } from "./settled-store.ts";
import { SpaceCensus } from "./space-census.ts";

/** What it needs of the log. */
export interface SettledLog {
  readonly commitIndex: RaftIndex;
  readonly syncedIndex: RaftIndex;
  readonly state: LogState;
  /** Of `default`. */
  readonly bounds: Bounds;
  /** Its commit index is the one that the catalog holds. */
  readonly committed: { readonly savedCommit: RaftIndex };
}

/** Space that is kept for copies on a full disk. */
export interface SettleReserve {
  /** Frees the space. Returns false if there is none. */
  release(): boolean;
  /** Takes the space again, if there is enough. */
  refill(): void;
}

export interface SettlerParts {
  readonly clock: Clock;
  /** Read from segments and copied. 0: nothing is settled, and space is only counted. */
  readonly bytesPerSecond: number;
  readonly logger: Logger | undefined;
  readonly files: SegmentFiles;
  readonly directoryId: Uint8Array;
  readonly catalog: Catalog;
  readonly set: Pick<SegmentSet, "sealed">;
  readonly log: SettledLog;
  readonly health: Pick<DiskHealth, "usable" | "failed" | "refusal">;
  readonly reserve: SettleReserve | undefined;
  readonly pace: SettlePace;
}

/** When it works, and what is worth it. */
export interface SettlePace {
  /** A segment is settled when that frees this part of its store. */
  readonly gainMin: number;
  /** On a full disk, less is worth it. */
  readonly gainMinFull: number;
  /** Looks go on for so long, then other work has so much time. */
  readonly lookMs: number;
  readonly restMs: number;
  readonly firstPassMs: number;
  /** From the end of a pass over all segments to the next one. */
  readonly nextPassMs: number;
  /** After a copy that the disk refused. */
  readonly retryMs: number;
}

/** Totals since the log was opened. */
export interface SettledTotals {
  readonly segments: number;
  readonly frames: number;
  /** Bytes of stores that were freed. */
  readonly freedBytes: number;
}

export class Settler {
  readonly #parts: SettlerParts;
  readonly #log: Logger;
  /** Dead batches of a segment when a copy of it was not worth it, or could not be made. */
  readonly #seen = new WeakMap<SealedSegment, number>();
  #totals: SettledTotals = { segments: 0, frames: 0, freedBytes: 0 };
  #space: (Omit<SpaceUse, "ageMs"> & { readonly countedMs: number }) | undefined;
  /** The log as it was before the last count. */
  #counted = "";
  #holds = 0;
  #closed = false;
  #timer: Timer | undefined;
  #wake: (() => void) | undefined;
  #refused: string | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(parts: SettlerParts) {
    this.#parts = parts;
    this.#log = parts.logger ?? noLogger;
  }

  /** Begins to settle. */
  start(): void {
    this.#ended = this.#run();
  }

  /** False if it only counts space. */
  get settles(): boolean {
    return this.#parts.bytesPerSecond > 0;
  }

  get totals(): SettledTotals {
    return this.#totals;
  }

  /** What removed records hold of the sealed segments, as the last pass found. Undefined before it. */
  get space(): SpaceUse | undefined {
    if (this.#space === undefined) return undefined;
    const { countedMs, ...space } = this.#space;
    return { ...space, ageMs: Math.round(this.#parts.clock.monotonicMs() - countedMs) };
  }

  /** Nothing is replaced until the returned function is called: a backup is being made. */
  hold(): () => void {
    let isHeld = true;
    this.#holds++;
    return () => {
      if (isHeld) this.#holds--;
      isHeld = false;
    };
  }

  /** Ends the work. See ended(). */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#wake?.();
  }

  /** Resolves once nothing is under way any more after close(). */
  ended(): Promise<void> {
    return this.#ended;
  }

  async #run(): Promise<void> {
    const { pace } = this.#parts;
    await this.#sleep(pace.firstPassMs);
    while (this.#isOn) {
      try {
        await this.pass();
        this.#refused = undefined;
        await this.#sleep(pace.nextPassMs);
      } catch (reason) {
        // A sync failed, or a replacement stopped half-way: the state of the disk is unknown.
        if (!(reason instanceof Fault) && troubleOf(reason) === "lost") {
          this.#parts.health.failed(reason);
          return;
        }
        this.#note(reason);
        await this.#sleep(pace.retryMs);
      }
    }
  }

  /** Logs why nothing can be settled now, once for each reason. */
  #note(err: unknown): void {
    const why = err instanceof Error ? err.message : String(err);
    if (this.#refused === why) return;
    this.#refused = why;
    this.#log.warn({ err }, "a segment could not be settled now");
  }

  get #isOn(): boolean {
    return !this.#closed && this.#parts.health.usable;
  }

  /** All rows are known. */
  get #mayLook(): boolean {
    const { logs } = this.#parts.log.state;
    return this.#isOn && !logs.isBehind && !logs.isDamaged;
  }

  /** The level says that all members know settled frames. */
  get #maySettle(): boolean {
    return this.settles && this.#holds === 0 && this.#parts.log.state.logs.level >= settledLevel;
  }

  /** Looks at all segments once. @throws what keeps it from settling one */
  async pass(): Promise<void> {
    const { set, log, reserve, pace, clock } = this.#parts;
    const counted = `${log.commitIndex} ${set.sealed.length} ${set.sealed[0]?.first}`;
    if (!this.settles && counted === this.#counted) return;
    const census = new SpaceCensus((id) => log.state.logs.peek(id));
    let isFirst = true;
    let restedMs = clock.monotonicMs();
    reserve?.refill();
    for (const segment of set.sealed) {
      if (!this.#mayLook) return;
      const lastMax = Math.min(log.commitIndex, log.committed.savedCommit);
      if (segment.end.index > lastMax) break;
      const plan = await this.#look(segment, census.wantsLive);
      // The first segments are removed once they are dead.
      isFirst &&= plan?.isDead === true;
      if (plan === undefined) continue;
      const isSettled = !isFirst && this.#isWorth(segment, plan) && (await this.#settle(segment, plan));
      const found = isSettled ? await this.#look(segment, census.wantsLive) : plan;
      if (found !== undefined) await this.#drive(segment, census.add(segment.bytes, found));
      if (!isSettled && clock.monotonicMs() - restedMs < pace.lookMs) continue;
      await this.#sleep(pace.restMs);
      restedMs = clock.monotonicMs();
    }
    this.#space = { ...census.report(), countedMs: clock.monotonicMs() };
    this.#counted = counted;
  }

  /** Undefined if the segment is removed meanwhile, or looking is over. */
  #look(segment: SealedSegment, wantsLive: boolean): Promise<SettlePlan | undefined> {
    const { log } = this.#parts;
    const readable = { lowest: log.bounds.lowest, table: log.state.logs };
    return this.#drive(segment, planSettling(segment, readable, wantsLive));
  }

  async #drive<T>(segment: SealedSegment, steps: Generator<void, T>): Promise<T | undefined> {
    const { clock, pace } = this.#parts;
    for (;;) {
      const untilMs = clock.monotonicMs() + pace.lookMs;
      do {
        if (!this.#mayLook || !this.#isThere(segment)) return undefined;
        const step = this.#stepOf(steps, segment);
        if (step === undefined) return undefined;
        if (step.done === true) return step.value;
      } while (clock.monotonicMs() < untilMs);
      await this.#sleep(pace.restMs);
    }
  }

  /** Undefined if the segment cannot be read. Damage is reported where it is found. */
  #stepOf<T>(steps: Generator<void, T>, segment: SealedSegment): IteratorResult<void, T> | undefined {
    try {
      return steps.next();
    } catch (reason) {
      if (!(reason instanceof Fault)) throw reason;
      this.#log.warn({ err: reason, file: segment.path }, "a segment could not be looked at for settling");
      return undefined;
    }
  }

  #isThere(segment: SealedSegment): boolean {
    return this.#parts.set.sealed.includes(segment);
  }

  #isWorth(segment: SealedSegment, { gainBytes, deadFrames }: SettlePlan): boolean {
    const { health, pace } = this.#parts;
    if (!this.#maySettle) return false;
    const part = health.refusal?.kind === "disk-full" ? pace.gainMinFull : pace.gainMin;
    return gainBytes >= part * segment.bytes && gainBytes > 0 && this.#seen.get(segment) !== deadFrames;
  }

  /** Returns true if the segment was replaced. */
  async #settle(segment: SealedSegment, plan: SettlePlan): Promise<boolean> {
    const { catalog, log, pace } = this.#parts;
    const { commitIndex: settledAt, syncedIndex } = log;
    // What the rows say can be undone by a crash until it is synced.
    if (syncedIndex < settledAt) return false;
    // A file that an earlier replacement left, and that the catalog names, is not touched.
    forgetReplacement(catalog);
    const copy = await this.#copy(segment, plan, settledAt);
    const isSmaller = copy !== undefined && copy.gainBytes >= pace.gainMinFull * segment.bytes;
    if (!isSmaller || !this.#mayReplace(segment)) {
      if (this.#mayReplace(segment)) this.#seen.set(segment, plan.deadFrames);
      this.#remove(segment);
      return false;
    }
    this.#replace(segment, copy);
    const { segments, frames, freedBytes } = this.#totals;
    this.#totals = {
      segments: segments + 1,
      frames: frames + copy.frames,
      freedBytes: freedBytes + copy.gainBytes,
    };
    const facts = { file: segment.path, bytes: segment.bytes, freedBytes: copy.gainBytes };
    this.#log.info({ ...facts, frames: copy.frames }, "a segment was settled");
    forgetReplacement(catalog);
    return true;
  }

  /** If the catalog refused it, it is unchanged. Otherwise it may name the files: they stay for the next opening. */
  #replace(segment: SealedSegment, { meta }: SettledCopy): void {
    const { files, catalog } = this.#parts;
    try {
      replaceBySettled(segment, meta, files, catalog);
    } catch (reason) {
      if (troubleOf(reason) !== "lost") this.#remove(segment);
      throw reason;
    }
  }

  /**
   * Nothing names the files yet. So an error loses nothing, whatever its code is, unless a sync failed. Undefined if the copy is not
   * needed any more, or the segment is damaged.
   */
  async #copy(
    segment: SealedSegment,
    { below, deadFrames }: SettlePlan,
    settledAt: RaftIndex,
  ): Promise<SettledCopy | undefined> {
    const { files, directoryId, bytesPerSecond, reserve, clock } = this.#parts;
    const rate = new CopyRate(clock, bytesPerSecond);
    const goesOn = async (bytes: number): Promise<boolean> => {
      const pauseMs = rate.pauseAfter(bytes);
      if (pauseMs !== undefined) {
        await this.#sleep(pauseMs);
        rate.resumed();
      }
      return this.#mayReplace(segment);
    };
    const parts = { files, directoryId, below, settledAt, goesOn };
    for (let isFirst = true; this.#mayReplace(segment); isFirst = false) {
      try {
        return await writeSettled(segment, parts);
      } catch (reason) {
        if (errorCode(reason) === "" && !(reason instanceof Fault)) throw reason;
        this.#remove(segment);
        if (reason instanceof Fault && reason.kind === "corrupt") {
          this.#seen.set(segment, deadFrames);
          return undefined;
        }
        const mayRepeat = isFirst && troubleOf(reason) === "full" && reserve?.release() === true;
        if (!mayRepeat) throw reason instanceof Fault ? reason : new Fault("disk-busy", { cause: reason });
      }
    }
    return undefined;
  }

  /** Removes the files of a copy that is not used. What cannot be removed is removed by the next copy or opening. */
  #remove(segment: SealedSegment): void {
    if (!this.#isOn) return;
    try {
      this.#parts.files.removeSettled(segment.first);
    } catch (reason) {
      if (errorCode(reason) === "") throw reason;
      this.#note(reason);
    }
  }

  #mayReplace(segment: SealedSegment): boolean {
    return this.#isOn && this.#holds === 0 && this.#isThere(segment);
  }

  #sleep(ms: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (ms <= 0) return new Promise((resolve) => this.#parts.clock.soon(resolve));
    assert(this.#wake === undefined, "it waits for one thing at a time");
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wake = undefined;
        this.#timer = undefined;
        resolve();
      };
      this.#wake = wake;
      this.#timer = this.#parts.clock.after(ms, wake);
    });
  }
}
