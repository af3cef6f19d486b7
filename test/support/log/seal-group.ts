/** Seals the drafts of a group behind an end of the log, as a leader does, for tests of the log alone. */

import type { GroupBuilder } from "../../../src/log/append/group-builder.ts";
import { endAfter } from "../../../src/log/frame/chain.ts";
import type { ChainEnd, FrameGroup } from "../../../src/log/mod.ts";
import { sealFrame } from "../../../src/log/mod.ts";

/** `nowMs` is raised to the time of `end`. Nothing may be added to the builder afterwards. */
export function sealGroup(
  builder: GroupBuilder,
  end: ChainEnd,
  term: number,
  nowMs: number,
): { group: FrameGroup; end: ChainEnd } {
  const drafts = builder.drafts();
  const positions = [0];
  let last = end;
  for (const bytes of drafts) {
    const place = {
      index: last.index + 1,
      term,
      baseOffset: last.nextOffset,
      timestampMs: Math.max(last.timestampMs, nowMs),
    };
    sealFrame(bytes, 0, bytes.length, place, last.crc);
    last = endAfter(last, bytes, 0);
    positions.push(positions[positions.length - 1]! + bytes.length);
  }
  const [first] = drafts;
  const bytes = new Uint8Array(first!.buffer, first!.byteOffset, builder.usedBytes);
  return { group: { bytes, positions, first: end.index + 1 }, end: last };
}
