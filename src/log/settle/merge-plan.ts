/** Finds settled segments that follow each other and fit into one. Pure. */
import type { Offset, RaftIndex } from "../../types.ts";
import type { LogSettings } from "../frame/command.ts";
import { entryBytes } from "../index/offset-index.ts";
import { ageMaxMs, namedFramesMax } from "../segment/roll-policy.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";

/** The frames of a merged segment at most, as in a roll. Its indexes are written in one turn of the event loop. */
const framesMax = namedFramesMax;
/** So many segments at most become one. One transaction of the catalog removes them. */
const partsMax = 64;
/** It is so many times as large as the largest of its parts. So a byte is copied again a few times, and not for each neighbour. */
const growthMin = 1.5;
/** What an entry of an index can hold beyond the first one. */
const u32Max = 0xffff_ffff;

export interface MergeLimits {
  readonly settings: LogSettings;
  /** A merged segment has so many bytes at most. */
  readonly storeBytesMax: number;
  /** The lowest offset of `default`. */
  readonly lowest: Offset;
  /** Segments up to this index may be merged. */
  readonly lastMax: RaftIndex;
  /** True if a segment must begin here, so that it is not merged with those before it, from `first` on. */
  readonly beginsApart: (segment: SealedSegment, first: SealedSegment) => boolean;
  /** True if the segment is damaged, or has too much in it to be merged with any other. */
  readonly staysAlone: (segment: SealedSegment) => boolean;
}

/** The first segments that are worth merging, two or more; undefined if there are none. */
export function planMerge(
  sealed: readonly SealedSegment[],
  limits: MergeLimits,
): readonly [SealedSegment, SealedSegment, ...SealedSegment[]] | undefined {
  for (let at = 0; at + 1 < sealed.length; at++) {
    const run = runFrom(sealed, at, limits);
    while (run.length > 1 && !isWorth(run)) run.pop();
    const [first, second, ...others] = run;
    if (first !== undefined && second !== undefined) return [first, second, ...others];
  }
  return undefined;
}

/** The segments from this one on that fit into one. */
function runFrom(sealed: readonly SealedSegment[], at: number, limits: MergeLimits): SealedSegment[] {
  const run: SealedSegment[] = [];
  const sum = { bytes: 0, entries: 0 };
  const first = sealed[at]!;
  for (let k = at; k < sealed.length && run.length < partsMax; k++) {
    const segment = sealed[k]!;
    if (!isSettled(segment, limits) || (k > at && limits.beginsApart(segment, first))) break;
    sum.bytes += segment.bytes;
    sum.entries += segment.seal.entries;
    if (!fits(first, segment, sum, limits)) break;
    run.push(segment);
  }
  return run;
}

const isSettled = (segment: SealedSegment, { lastMax, staysAlone }: MergeLimits): boolean =>
  segment.meta.settled !== undefined && segment.end.index <= lastMax && !staysAlone(segment);

/** Also what a roll keeps to: an entry of the index holds each frame, and `default` is not kept longer than its settings say. */
function fits(
  first: SealedSegment,
  last: SealedSegment,
  { bytes, entries }: { readonly bytes: number; readonly entries: number },
  { settings, storeBytesMax, lowest }: MergeLimits,
): boolean {
  const spanMs = last.lastTimestampMs - first.meta.baseTimestampMs;
  const holdsDefault = last.nextOffset > Math.max(lowest, first.baseOffset);
  return (
    bytes <= storeBytesMax &&
    entries <= framesMax &&
    entries * entryBytes <= settings.segmentIndexBytesMax &&
    spanMs <= (holdsDefault ? ageMaxMs(settings) : u32Max) &&
    last.nextOffset - first.baseOffset <= u32Max
  );
}

function isWorth(run: readonly SealedSegment[]): boolean {
  let [all, largest] = [0, 0];
  for (const { bytes } of run) {
    all += bytes;
    largest = Math.max(largest, bytes);
  }
  return all >= growthMin * largest;
}
