/**
 * Merges settled segments that follow each other into one (SETTLING.md, "Merging neighbours"): fewer files are opened by a read of a
 * log that keeps everything. The frames stay as they are.
 */
import { noLogger } from "../../lib/telemetry.ts";
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import type { ActiveLogIndex } from "../index/log-index.ts";
import { namedCommandsMax, namedLogsMax } from "../segment/roll-policy.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import { planMerge } from "./merge-plan.ts";
import { forgetReplacement, replaceByMerged } from "./replace-segment.ts";
import type { SegmentCopies } from "./segment-copies.ts";
import type { SettlerParts } from "./settler-parts.ts";

/** Nothing is settled by a merge. */
const nothing: ReadonlyMap<LogId, Offset> = new Map();
/** Steps on a log index that is missing, in one turn. */
const rebuildSteps = 8;

type Parts = Pick<SettlerParts, "files" | "catalog" | "set" | "log" | "pace" | "logger" | "health">;

/** What it needs of the settler. */
export interface MergeTurns {
  readonly sleep: (ms: number) => Promise<void>;
  readonly mayReplace: (segments: readonly SealedSegment[]) => boolean;
}

/** Totals since the log was opened. */
export interface MergedTotals {
  /** Segments that were merged, and those that they became. */
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

export class SegmentMerger {
  readonly #parts: Parts;
  readonly #copies: SegmentCopies;
  readonly #turns: MergeTurns;
  /** Segments that cannot be merged with the one before. */
  readonly #apart = new WeakSet<SealedSegment>();
  /** Segments that cannot be merged: one alone has more than a merged one may have. */
  readonly #alone = new WeakSet<SealedSegment>();
  totals: MergedTotals = { from: 0, to: 0, bytes: 0 };

  constructor(parts: Parts, copies: SegmentCopies, turns: MergeTurns) {
    this.#parts = parts;
    this.#copies = copies;
    this.#turns = turns;
  }

  /** Merges all that can be merged from this segment on. @throws what keeps it from merging */
  async pass(from: RaftIndex): Promise<void> {
    const { pace } = this.#parts;
    for (let run = this.#plan(from); run !== undefined; run = this.#plan(from)) {
      if (!(await this.#merge(run))) return;
      await this.#turns.sleep(pace.restMs);
    }
  }

  /** Nothing is merged on a full disk: it takes space before it gives some back. */
  #plan(from: RaftIndex): ReturnType<typeof planMerge> {
    const { set, log, files, health, pace } = this.#parts;
    const { settings } = log.state;
    const sealed = health.refusal === undefined && this.#turns.mayReplace([]) ? set.sealed : [];
    const merged = sealed.filter(({ first }) => first >= from);
    return planMerge(merged, {
      settings,
      storeBytesMax: pace.mergedShare * settings.segmentStoreBytesMax,
      lowest: log.bounds.lowest,
      lastMax: Math.min(log.commitIndex, log.committed.savedCommit),
      beginsApart: (segment, first) => this.#beginsApart(segment, first),
      staysAlone: (segment) => files.damage.has(segment.first) || this.#alone.has(segment),
    });
  }

  /** The next start needs a segment that begins where the rows on disk end, and one that has its producers. So does a removal. */
  #beginsApart(segment: SealedSegment, first: SealedSegment): boolean {
    const { set, log } = this.#parts;
    if (this.#apart.has(segment) || log.rows.isAsOf(segment.meta.before.index)) return true;
    const lacks = (one: SealedSegment): boolean => set.checkpoints.lacksProducers(one.first);
    if (lacks(first) && !lacks(segment)) return true;
    const last = set.all.findLast(({ first }) => !set.checkpoints.lacksProducers(first));
    return last?.first === segment.first;
  }

  /** Returns false if the segments cannot be merged now. */
  async #merge(segments: NonNullable<ReturnType<typeof planMerge>>): Promise<boolean> {
    const { catalog, files, set, log, logger } = this.#parts;
    const { mayReplace, sleep } = this.#turns;
    for (const segment of segments) {
      while (mayReplace(segments) && !segment.prepareLogs(rebuildSteps)) await sleep(0);
      await sleep(0);
    }
    if (!mayReplace(segments) || !this.#hasSpace(segments)) return false;
    // A file that an earlier replacement left, and that the catalog names, is not touched.
    forgetReplacement(catalog);
    let isApart = false;
    const setApart = (segment: SealedSegment): void => {
      (segment === segments[0] ? this.#alone : this.#apart).add(segment);
      isApart = true;
    };
    const copy = await this.#copies.copy({
      segments,
      below: nothing,
      settledAt: 0,
      usesReserve: false,
      fits: (logs, segment) => {
        if (isSmall(logs)) return true;
        setApart(segment);
        return false;
      },
      damaged: () => undefined,
    });
    // A removal of segments reads those that it began with.
    while (copy !== undefined && log.rows.readsSegments && mayReplace(segments)) await sleep(1);
    const isApartNow = segments.slice(1).some((segment) => this.#beginsApart(segment, segments[0]));
    const isDamaged = segments.some(({ first }) => files.damage.has(first));
    if (copy === undefined || isApartNow || isDamaged || !mayReplace(segments)) {
      this.#copies.remove(segments);
      return isApart;
    }
    this.#copies.replace(segments, () => replaceByMerged(segments, copy.meta, files, set));
    // What readers have learned of the segments is not true of the new one.
    log.committed.ladders.clear();
    const { from, to, bytes } = this.totals;
    const merged = copy.meta.seal!.storeBytes;
    this.totals = { from: from + segments.length, to: to + 1, bytes: bytes + merged };
    const facts = { file: segments[0].path, segments: segments.length, bytes: merged };
    (logger ?? noLogger).info(facts, "segments were merged");
    forgetReplacement(catalog);
    return true;
  }

  /** A merge takes no space that the next segment needs. */
  #hasSpace(segments: readonly SealedSegment[]): boolean {
    const { files, log } = this.#parts;
    const bytes = segments.reduce(
      (sum, segment) => sum + segment.bytes,
      log.state.settings.segmentStoreBytesMax,
    );
    return files.disk.freeBytes(files.directory) > bytes;
  }
}

/** The rows of a segment are folded together when it is removed (roll-policy.ts). */
const isSmall = ({ touched, commands }: ActiveLogIndex): boolean =>
  touched <= namedLogsMax && commands <= namedCommandsMax;
