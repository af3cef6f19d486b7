/**
 * Writes the settled files of a sealed segment beside it: a store in which dead batches are settled frames, and its index. Nothing
 * uses them until the catalog says so (replace-segment.ts).
 *
 * Each frame is checked as it is copied, along the chain to the end of the segment. So the copy holds exactly the frames of the
 * segment, whole or settled.
 */
import { type DiskFile, syncFileAside, syncNames } from "../../lib/disk/disk.ts";
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import { scanSteps } from "../frame/chain.ts";
import {
  batchKind,
  frameBytes,
  frameKind,
  frameLogId,
  frameNextOffset,
  settledFrame,
} from "../frame/frame.ts";
import { encodeFooter } from "../index/index-file.ts";
import { ActiveIndex } from "../index/offset-index.ts";
import { enterFrame, indexBody, isNamedBatch } from "../index/segment-index.ts";
import type { SealedSegment, StoreToScan } from "../segment/sealed-segment.ts";
import { baseOf, type SegmentMeta } from "../segment/segment.ts";
import { type SegmentFiles, settledName } from "../segment/segment-files.ts";

/** What is read and checked in one turn of the event loop. */
const stepBytes = 64 * 1024;
/** The disk is told so far ahead what is read. */
const aheadBytes = 1024 * 1024;
/** So much is written between two syncs: other syncs do not wait long behind one. */
const syncBytes = 4 * 1024 * 1024;

export interface SettledCopy {
  /** What the catalog holds of the segment once the files are in its place. */
  readonly meta: SegmentMeta;
  /** Batches that were settled by this copy. */
  readonly frames: number;
  readonly gainBytes: number;
}

export interface SettledCopyParts {
  readonly files: SegmentFiles;
  readonly directoryId: Uint8Array;
  /** The records of each log below this offset cannot be read any more. Other logs are not settled. */
  readonly below: ReadonlyMap<LogId, Offset>;
  /** The log was applied up to this index when that was found. */
  readonly settledAt: RaftIndex;
  /** Called after so many bytes were read. Resolves when the copy may go on, to false if it is not needed any more. */
  readonly goesOn: (bytes: number) => Promise<boolean>;
}

/**
 * Returns undefined if it was not needed any more, or nothing was to be settled. The files are complete and durable otherwise.
 * @throws Fault "corrupt" if the segment is damaged; what the disk throws. The caller removes the files
 */
export async function writeSettled(
  segment: SealedSegment,
  parts: SettledCopyParts,
): Promise<SettledCopy | undefined> {
  const { files } = parts;
  files.removeSettled(segment.first);
  const store = segment.openStore();
  try {
    const target = files.disk.open(settledName(segment.path), "create");
    try {
      const copied = await copy(segment, store, target, parts);
      if (copied === undefined) return undefined;
      await syncFileAside(target);
      await writeIndex(segment.first, copied, parts);
      syncNames(files.disk, files.directory);
      const { meta, frames } = copied;
      return { meta, frames, gainBytes: store.bytes - meta.seal!.storeBytes };
    } finally {
      target.close();
    }
  } finally {
    store.close();
  }
}

const nothing = new Uint8Array(0);

interface Copied {
  readonly meta: SegmentMeta;
  readonly index: ActiveIndex;
  readonly frames: number;
}

async function copy(
  segment: SealedSegment,
  store: StoreToScan,
  target: DiskFile,
  { below, settledAt, goesOn }: SettledCopyParts,
): Promise<Copied | undefined> {
  const { bytes, meta, seal } = store;
  const index = new ActiveIndex(baseOf(meta));
  const out = new OutBuffer();
  const settled = { frames: 0, bytes: 0 };
  let [frames, namedBytes, unsynced] = [0, 0, 0];
  const steps = scanSteps(
    store,
    bytes,
    meta.before,
    (from, at, _, before) => {
      const whole = from.subarray(at, at + frameBytes(from, at));
      const smaller = isDead(whole, below) ? settledFrame(whole, 0, settledAt) : undefined;
      const frame = smaller ?? whole;
      const flaw = enterFrame(index, frame, 0, out.position, before);
      if (flaw !== undefined) return flaw;
      if (smaller !== undefined) frames++;
      if (frameKind(frame, 0) === batchKind.settled) {
        settled.frames++;
        settled.bytes += frame.length;
      }
      if (isNamedBatch(frame, 0)) namedBytes += frame.length;
      out.add(frame);
      return undefined;
    },
    stepBytes,
  );
  for (let position = 0, hinted = 0; ; ) {
    if (hinted < position + aheadBytes / 2) {
      store.willRead?.(position, aheadBytes);
      hinted = position + aheadBytes;
    }
    const step = steps.next();
    // Of a segment that is mostly dead, many steps give one write.
    const written = out.filled >= stepBytes || step.done === true ? out.take() : nothing;
    if (written.length > 0) await target.writeAsync(written, out.position - written.length);
    unsynced += written.length;
    if (unsynced >= syncBytes) {
      await syncFileAside(target);
      unsynced = 0;
    }
    if (step.done === true) {
      const { flaw, position: end, end: last } = step.value;
      if (flaw !== undefined || end !== bytes || last.crc !== seal.lastCrc)
        throw segment.damaged(end, flaw ?? "length");
      break;
    }
    position += step.value;
    if (!(await goesOn(step.value))) return undefined;
  }
  if (frames === 0) return undefined;
  const named = meta.namedBatches === undefined ? {} : { namedBytes };
  const sealed = { ...seal, storeBytes: out.position };
  return { meta: { ...meta, ...named, seal: sealed, settled }, index, frames };
}

/** The checked frame itself decides, and no index: a wrong place must never cost a record. */
const isDead = (frame: Uint8Array, below: ReadonlyMap<LogId, Offset>): boolean =>
  frameKind(frame, 0) === batchKind.data &&
  frameNextOffset(frame, 0) <= (below.get(frameLogId(frame, 0)) ?? 0);

async function writeIndex(
  first: RaftIndex,
  { meta, index }: Copied,
  { files, directoryId }: SettledCopyParts,
): Promise<void> {
  const body = indexBody(directoryId, meta.before.crc, index);
  const file = files.disk.open(settledName(files.indexPath(first)), "create");
  try {
    await file.writeAsync(Buffer.concat([body, encodeFooter(body, meta.seal!)]), 0);
    await syncFileAside(file);
  } finally {
    file.close();
  }
}

/** The bytes that the next write takes. */
class OutBuffer {
  /** Where the next frame begins in the file. */
  position = 0;
  #bytes = new Uint8Array(2 * stepBytes);
  #filled = 0;

  add(frame: Uint8Array): void {
    if (this.#filled + frame.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#filled + frame.length));
      grown.set(this.#bytes.subarray(0, this.#filled));
      this.#bytes = grown;
    }
    this.#bytes.set(frame, this.#filled);
    this.#filled += frame.length;
    this.position += frame.length;
  }

  /** Bytes since the last take(). */
  get filled(): number {
    return this.#filled;
  }

  /** The frames since the last call. They stay the same until the next add(). */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#filled);
    this.#filled = 0;
    return taken;
  }
}
