/** What the catalog holds of a segment that was copied from others. Pure. */
import { assert } from "../../lib/assert.ts";
import { batchKind, frameBytes, frameKind } from "../frame/frame.ts";
import type { SegmentMeta, SettledFrames } from "../segment/segment.ts";

/** What is counted while the frames are copied. */
export interface CopiedFrames {
  readonly storeBytes: number;
  /** Of batches of named logs. */
  readonly namedBytes: number;
  readonly settled: SettledFrames;
}

/** Adds the frame at `at` to `settled` if it is a settled one. */
export function countSettled(
  settled: { frames: number; bytes: number },
  bytes: Uint8Array,
  at: number,
): void {
  if (frameKind(bytes, at) !== batchKind.settled) return;
  settled.frames++;
  settled.bytes += frameBytes(bytes, at);
}

/** Describes the copy of these segments, which follow each other: one or more. */
export function mergedMeta(
  metas: readonly SegmentMeta[],
  { storeBytes, namedBytes, settled }: CopiedFrames,
): SegmentMeta {
  const [first, last] = [metas[0], metas.at(-1)];
  assert(first !== undefined && last?.seal !== undefined, "not sealed");
  let [entries, namedBatches] = [0, 0];
  for (const { seal, namedBatches: named = 0 } of metas) {
    entries += seal!.entries;
    namedBatches += named;
  }
  const { before, baseTimestampMs } = first;
  const seal = { ...last.seal, entries, storeBytes };
  return {
    ...{ before, baseTimestampMs, seal, settled },
    ...(namedBatches > 0 ? { namedBatches, namedBytes } : {}),
    ...namesLogs(metas),
  };
}

/** False if that is known of all of them, absent if it is known of none that is about named logs. */
function namesLogs(metas: readonly SegmentMeta[]): Pick<SegmentMeta, "namesLogs"> {
  if (metas.some((meta) => meta.namesLogs === true)) return { namesLogs: true };
  return metas.every((meta) => meta.namesLogs === false) ? { namesLogs: false } : {};
}
