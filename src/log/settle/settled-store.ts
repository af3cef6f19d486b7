/**
 * Writes the settled files of a sealed segment beside it: a store in which dead batches are settled frames, its index and its log
 * index. Or those of several neighbours, as one segment. Nothing uses them until the catalog says so (replace-segment.ts).
 *
 * Each frame is checked as it is copied, along the chain from the first frame to the end of the last segment. So the copy holds
 * exactly the frames of the segments, whole or settled.
 */
import { type DiskFile, syncFileAside, syncNames } from "../../lib/disk/disk.ts";
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import { type ChainEnd, scanSteps, type VisitFrame } from "../frame/chain.ts";
import {
  batchKind,
  frameBytes,
  frameKind,
  frameLogId,
  frameNextOffset,
  settledFrame,
} from "../frame/frame.ts";
import { encodeFooter } from "../index/index-file.ts";
import { ActiveLogIndex } from "../index/log-index.ts";
import { ActiveIndex } from "../index/offset-index.ts";
import { logIndexSteps } from "../index/sealed-log-index.ts";
import { enterFrame, enterNamed, indexBody, isNamedBatch } from "../index/segment-index.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import { baseOf, firstOf, type SegmentMeta } from "../segment/segment.ts";
import { type SegmentFiles, settledName } from "../segment/segment-files.ts";
import { mergedMeta } from "./merged-meta.ts";

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
  /** Returns false if a merged segment cannot hold what was copied so far, to the end of `segment`. */
  readonly fits?: (logs: ActiveLogIndex, segment: SealedSegment) => boolean;
}

/**
 * Copies a segment, or several that follow each other to one. Returns undefined if that was not needed any more, or nothing was to be
 * settled in the only one, or they do not fit. The files are complete and durable otherwise.
 * @throws Fault "corrupt" if a segment is damaged; what the disk throws. The caller removes the files
 */
export async function writeSettled(
  segments: readonly [SealedSegment, ...SealedSegment[]],
  parts: SettledCopyParts,
): Promise<SettledCopy | undefined> {
  const { files } = parts;
  const [{ path, first, meta: firstMeta }] = segments;
  files.removeSettled(first);
  const target = files.disk.open(settledName(path), "create");
  try {
    const copy = new Copy(firstMeta, target, parts);
    for (const segment of segments) {
      // It may have been removed while the end of the one before was written.
      if (copy.hasParts && !(await parts.goesOn(copy.lastStepBytes))) return undefined;
      if (!(await copy.add(segment))) return undefined;
    }
    const { meta, frames, gainBytes } = copy;
    if (segments.length === 1 && frames === 0) return undefined;
    await copy.syncAll();
    await writeFile(files, files.indexPath(first), copy.indexFile());
    if (copy.hasLogs) {
      const logs = await inTurns(copy.logsFile(), parts.goesOn);
      if (logs === undefined) return undefined;
      await writeFile(files, files.logsPath(first), logs);
    }
    syncNames(files.disk, files.directory);
    return { meta, frames, gainBytes };
  } finally {
    target.close();
  }
}

/** Runs the steps between which the copy may go on. Undefined if it is not needed any more. */
async function inTurns<T>(
  steps: Generator<void, T>,
  goesOn: SettledCopyParts["goesOn"],
): Promise<T | undefined> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (!(await goesOn(0))) return undefined;
  }
}

const nothing = new Uint8Array(0);

/** The new store, its index, and what is in it. */
class Copy {
  readonly #target: DiskFile;
  readonly #parts: SettledCopyParts;
  readonly #first: SegmentMeta;
  readonly #metas: SegmentMeta[] = [];
  readonly #index: ActiveIndex;
  readonly #logs = new ActiveLogIndex();
  readonly #out = new OutBuffer();
  /** What the next frame must follow. */
  #end: ChainEnd;
  #settledBytes = 0;
  #settledFrames = 0;
  #namedBytes = 0;
  #readBytes = 0;
  #unsynced = 0;
  frames = 0;
  /** What was read of the last segment since goesOn() was asked. */
  lastStepBytes = 0;

  constructor(first: SegmentMeta, target: DiskFile, parts: SettledCopyParts) {
    this.#first = first;
    this.#target = target;
    this.#parts = parts;
    this.#index = new ActiveIndex(baseOf(first));
    this.#end = first.before;
  }

  /** True once a segment was copied. */
  get hasParts(): boolean {
    return this.#metas.length > 0;
  }

  get gainBytes(): number {
    return this.#readBytes - this.#out.position;
  }

  get meta(): SegmentMeta {
    const settled = { frames: this.#settledFrames, bytes: this.#settledBytes };
    return mergedMeta(this.#metas, { storeBytes: this.#out.position, namedBytes: this.#namedBytes, settled });
  }

  indexFile(): Uint8Array {
    const body = indexBody(this.#parts.directoryId, this.#first.before.crc, this.#index);
    return Buffer.concat([body, encodeFooter(body, this.meta.seal!)]);
  }

  /** True if it holds batches of named logs. */
  get hasLogs(): boolean {
    return this.#logs.entries > 0;
  }

  /** Creates the log index, in steps: it can have as many entries as the segments have batches. */
  logsFile(): Generator<void, Uint8Array> {
    const { directoryId } = this.#parts;
    const described = { directoryId, first: firstOf(this.#first), store: this.meta.seal! };
    return logIndexSteps(this.#logs, described, this.#index);
  }

  syncAll(): Promise<void> {
    this.#unsynced = 0;
    return syncFileAside(this.#target);
  }

  /** Copies the frames of the next segment. Returns false if the copy is not needed any more, or does not fit. */
  async add(segment: SealedSegment): Promise<boolean> {
    const { goesOn, fits } = this.#parts;
    const store = segment.openStore();
    try {
      const { bytes, seal, meta } = store;
      const steps = scanSteps(store, bytes, this.#end, this.#visit(segment), stepBytes);
      for (let position = 0, hinted = 0; ; ) {
        if (hinted < position + aheadBytes / 2) {
          store.willRead?.(position, aheadBytes);
          hinted = position + aheadBytes;
        }
        const step = steps.next();
        await this.#write(step.done === true);
        if (step.done === true) {
          const { flaw, position: end, end: last } = step.value;
          if (flaw !== undefined || end !== bytes || last.crc !== seal.lastCrc)
            throw segment.damaged(end, flaw ?? "length");
          this.#end = last;
          this.#metas.push(meta);
          this.#readBytes += bytes;
          this.lastStepBytes = bytes - position;
          return fits?.(this.#logs, segment) !== false;
        }
        position += step.value;
        if (!(await goesOn(step.value))) return false;
      }
    } finally {
      store.close();
    }
  }

  #visit(segment: SealedSegment): VisitFrame {
    const { below, settledAt } = this.#parts;
    const previous = (id: LogId): RaftIndex => segment.batchesOf(id)?.previous ?? 0;
    return (from, at, _, before) => {
      const whole = from.subarray(at, at + frameBytes(from, at));
      const smaller = isDead(whole, below) ? settledFrame(whole, 0, settledAt) : undefined;
      const frame = smaller ?? whole;
      const flaw = enterFrame(this.#index, frame, 0, this.#out.position, before);
      if (flaw !== undefined) return flaw;
      enterNamed(this.#logs, this.#index.length - 1, frame, 0, previous);
      if (smaller !== undefined) this.frames++;
      if (frameKind(frame, 0) === batchKind.settled) {
        this.#settledFrames++;
        this.#settledBytes += frame.length;
      }
      if (isNamedBatch(frame, 0)) this.#namedBytes += frame.length;
      this.#out.add(frame);
      return undefined;
    };
  }

  /** Of segments that are mostly dead, many steps give one write. */
  async #write(isLast: boolean): Promise<void> {
    const out = this.#out;
    const written = out.filled >= stepBytes || isLast ? out.take() : nothing;
    if (written.length > 0) await this.#target.writeAsync(written, out.position - written.length);
    this.#unsynced += written.length;
    if (this.#unsynced >= syncBytes) await this.syncAll();
  }
}

/** The checked frame itself decides, and no index: a wrong place must never cost a record. */
const isDead = (frame: Uint8Array, below: ReadonlyMap<LogId, Offset>): boolean =>
  frameKind(frame, 0) === batchKind.data &&
  frameNextOffset(frame, 0) <= (below.get(frameLogId(frame, 0)) ?? 0);

async function writeFile({ disk }: SegmentFiles, path: string, bytes: Uint8Array): Promise<void> {
  const file = disk.open(settledName(path), "create");
  try {
    await file.writeAsync(bytes, 0);
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
