/**
 * Settles sealed segments in the background (SETTLING.md): looks at one after the other, the oldest first, and copies those that
 * become much smaller. It counts what removed records hold of them, also if settling is off.
 *
 *   look     which records can nothing read any more? A few milliseconds of work, then a rest
 *   copy     the settled files are written at a bounded rate
 *   replace  one transaction, while nothing holds it
 *   merge    neighbours that were settled become one segment, after a pass over all (segment-merger.ts)
 *
 * Nothing is settled unless everything committed is synced here: the trims and deletes that make records unreadable are.
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { troubleOf } from "../../lib/disk/disk.ts";
import type { SpaceUse } from "../../lib/disk/space-use.ts";
import { type Logger, noLogger } from "../../lib/telemetry.ts";
import type { Timer } from "../../lib/time/clock.ts";
import { settledLevel } from "../frame/log-command.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import { forgetReplacement, replaceBySettled } from "./replace-segment.ts";
import { SegmentCopies } from "./segment-copies.ts";
import { type MergedTotals, SegmentMerger } from "./segment-merger.ts";
import { planSettling, type SettlePlan } from "./settle-plan.ts";
import type { SettlerParts } from "./settler-parts.ts";
import { SpaceCensus } from "./space-census.ts";

/** Totals since the log was opened. */
export interface SettledTotals {
  readonly segments: number;
  readonly frames: number;
  /** Bytes of stores that were freed. */
  readonly freedBytes: number;
}

/** Passes over all segments since the log was opened. */
export interface SettlePasses {
  /** Those that ended because the disk, or what is below, refused something. */
  readonly failed: number;
  /** How long the last whole one took, in milliseconds. Undefined before its end. */
  readonly lastMs: number | undefined;
}

export class Settler {
  readonly #parts: SettlerParts;
  readonly #log: Logger;
  readonly #copies: SegmentCopies;
  readonly #merger: SegmentMerger;
  /** Dead batches of a segment when a copy of it was not worth it, or could not be made. */
  readonly #seen = new WeakMap<SealedSegment, number>();
  #totals: SettledTotals = { segments: 0, frames: 0, freedBytes: 0 };
  #passes: SettlePasses = { failed: 0, lastMs: undefined };
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
    const turns = {
      sleep: (ms: number) => this.#sleep(ms),
      isOn: () => this.#isOn,
      mayReplace: (segments: readonly SealedSegment[]) => this.#mayReplace(segments),
      note: (reason: unknown) => this.#note(reason),
    };
    this.#copies = new SegmentCopies(parts, turns);
    this.#merger = new SegmentMerger(parts, this.#copies, turns);
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

  get passes(): SettlePasses {
    return this.#passes;
  }

  /** Segments that were merged since the log was opened. */
  get merged(): MergedTotals {
    return this.#merger.totals;
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
      const beganMs = this.#parts.clock.monotonicMs();
      try {
        await this.pass();
        this.#passes = { ...this.#passes, lastMs: this.#parts.clock.monotonicMs() - beganMs };
        this.#refused = undefined;
        await this.#sleep(pace.nextPassMs);
      } catch (reason) {
        this.#passes = { ...this.#passes, failed: this.#passes.failed + 1 };
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
    let mergedFrom = Number.POSITIVE_INFINITY;
    let restedMs = clock.monotonicMs();
    reserve?.refill();
    for (const segment of set.sealed) {
      if (!this.#mayLook) return;
      const lastMax = Math.min(log.commitIndex, log.committed.savedCommit);
      if (segment.end.index > lastMax) break;
      const plan = await this.#look(segment, census.wantsLive);
      // The first segments are removed once they are dead.
      isFirst &&= plan?.isDead === true;
      if (!isFirst) mergedFrom = Math.min(mergedFrom, segment.first);
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
    if (this.#mayLook && this.#maySettle) await this.#merger.pass(mergedFrom);
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
    const { files, catalog, log, pace } = this.#parts;
    const { commitIndex: settledAt, syncedIndex } = log;
    // What the rows say can be undone by a crash until it is synced.
    if (syncedIndex < settledAt) return false;
    // A file that an earlier replacement left, and that the catalog names, is not touched.
    forgetReplacement(catalog);
    const { below, deadFrames } = plan;
    const see = (): unknown => this.#seen.set(segment, deadFrames);
    const request = { below, settledAt, usesReserve: true, damaged: see };
    const copy = await this.#copies.copy({ segments: [segment], ...request });
    const isSmaller = copy !== undefined && copy.gainBytes >= pace.gainMinFull * segment.bytes;
    const mayReplace = this.#mayReplace([segment]);
    if (!isSmaller || !mayReplace) {
      if (mayReplace) see();
      this.#copies.remove([segment]);
      return false;
    }
    this.#copies.replace([segment], () => replaceBySettled(segment, copy.meta, files, catalog));
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

  #mayReplace(segments: readonly SealedSegment[]): boolean {
    const { sealed } = this.#parts.set;
    const at = segments.length === 0 ? 0 : sealed.indexOf(segments[0]!);
    return this.#isOn && this.#holds === 0 && segments.every((segment, k) => sealed[at + k] === segment);
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
