/**
 * Fills an empty log from the files of a backup. Each frame is checked once, when it is staged. The frames of a piece are checked
 * while those of the piece before are written and synced, off the event loop.
 *
 *   source ─► whole frames ─► stage (checked) ─► every 4 MiB: write ─► every 8 MiB: sync      the last write is synced
 */
import { Fault } from "../../fault.ts";
import { type Clock, systemClock } from "../../lib/time/clock.ts";
import { inSlices } from "../../lib/time/in-slices.ts";
import { frameBytes, frameBytesMax, prefixBytes, type SegmentedLog } from "../../log/mod.ts";
import { type BackupSource, baseSourceOf, checkBackupBase } from "./backup.ts";
import type { BackupSnapshot } from "./backup-manifest.ts";

/** What is read of a source at a time, and what is checked without a pause, unless a frame is larger. */
const stepBytes = 1024 * 1024;
const writeBytes = 4 * 1024 * 1024;
/** Small, because a segment that becomes full is synced on the event loop. */
const syncBytes = 8 * 1024 * 1024;

/** What a restore needs of the source of a backup. */
type FrameSource = Omit<BackupSource, "size">;

/**
 * Fills an empty log from a backup. All of it is durable when the promise resolves.
 * @throws Fault "corrupt" if the frames do not form a chain, end early, or are not those that the snapshot names
 */
export async function restoreFrames(
  log: SegmentedLog,
  snapshot: BackupSnapshot,
  source: FrameSource,
  clock: Pick<Clock, "monotonicMs" | "soon"> = systemClock,
): Promise<void> {
  if (snapshot.base !== undefined) await source.prepare?.(snapshot.base.file);
  const rows = baseSourceOf(snapshot, source);
  // A node that restores before it joins answers probes meanwhile.
  if (rows !== undefined) await inSlices(clock, checkBackupBase(snapshot, rows));
  const start = rows === undefined ? snapshot.start : { ...snapshot.start, rows };
  await log.rows.prepare(start);
  log.reset(start);
  if (snapshot.base !== undefined) source.release?.(snapshot.base.file);
  const writer = new RestoredFrames(log);
  try {
    for (const { file, bytes, last, crc } of snapshot.files) {
      for await (const frames of wholeFrames(piecesOf(source, file, bytes), file, bytes)) {
        await writer.add(frames);
        await new Promise<void>((resolve) => clock.soon(resolve));
      }
      source.release?.(file);
      if (log.end.index === last && log.end.crc === (crc ?? log.end.crc)) continue;
      throw new Fault("corrupt", {
        message: `${file} is not the file that the snapshot of the backup names (${log.end.index === last ? "checksum" : "index"})`,
        facts: { file, why: "chain" },
      });
    }
    if (log.end.index !== snapshot.index) {
      throw new Fault("corrupt", {
        message: `the backup ends at index ${log.end.index}, its snapshot says ${snapshot.index}`,
      });
    }
    await writer.finish();
  } finally {
    await writer.settled();
  }
}

/** Stages frames, and writes them behind. */
class RestoredFrames {
  readonly #log: SegmentedLog;
  #stagedBytes = 0;
  #unsyncedBytes = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(log: SegmentedLog) {
    this.#log = log;
  }

  /** At most two writes are held: one that runs, and the frames that are staged meanwhile. */
  async add(frames: Uint8Array): Promise<void> {
    this.#log.stage(frames);
    this.#stagedBytes += frames.length;
    if (this.#stagedBytes < writeBytes) return;
    await this.#writing;
    this.#writing = this.#write();
    // It is awaited before the next write, and at the end.
    this.#writing.catch(() => undefined);
  }

  async finish(): Promise<void> {
    await this.#writing;
    await this.#write();
    await this.#log.syncWritten();
    this.#log.syncTo(this.#log.end.index);
  }

  /** Resolves when no write runs any more. */
  async settled(): Promise<void> {
    await this.#writing.catch(() => undefined);
  }

  async #write(): Promise<void> {
    this.#unsyncedBytes += this.#stagedBytes;
    this.#stagedBytes = 0;
    await this.#log.flush(false);
    this.#log.commitTo(this.#log.durableIndex);
    if (this.#unsyncedBytes < syncBytes) return;
    this.#unsyncedBytes = 0;
    await this.#log.syncWritten();
  }
}

/** The bytes of a file, in order. */
async function* piecesOf(source: FrameSource, file: string, bytes: number): AsyncGenerator<Uint8Array> {
  if (source.stream !== undefined) return yield* source.stream(file);
  await source.prepare?.(file);
  for (let position = 0; position < bytes; ) {
    // The log keeps this memory.
    const piece = Uint8Array.from(source.read(file, position, Math.min(stepBytes, bytes - position)));
    if (piece.length === 0) return;
    yield piece;
    position += piece.length;
  }
}

/**
 * Yields the frames of a file: about a step of them at a time, at least one. They are views of the pieces. Only a frame that two
 * pieces share is copied.
 * @throws Fault "corrupt" for a file that is shorter than `bytes`, or whose lengths cannot be right
 */
async function* wholeFrames(
  pieces: AsyncIterable<Uint8Array>,
  file: string,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  let position = 0;
  const cut = (why: string): Fault =>
    new Fault("corrupt", { message: `${file} is ${why}`, facts: { file, position } });
  const lengthAt = (piece: Uint8Array, at: number, before: number): number => {
    const length = frameBytes(piece, at);
    if (length > frameBytesMax || before + length > bytes) throw cut("damaged");
    return length;
  };
  /** The start of a frame that continues in the next piece. */
  let rest = new Uint8Array(0);
  for await (const piece of pieces) {
    let at = 0;
    while (at < piece.length) {
      if (rest.length > 0) {
        const wanted = rest.length < prefixBytes ? prefixBytes : lengthAt(rest, 0, position);
        const more = piece.subarray(at, at + wanted - rest.length);
        rest = Buffer.concat([rest, more]);
        at += more.length;
        if (rest.length < prefixBytes || rest.length < lengthAt(rest, 0, position)) continue;
        yield rest;
        position += rest.length;
        rest = new Uint8Array(0);
        continue;
      }
      let end = at;
      while (end - at < stepBytes && end + prefixBytes <= piece.length) {
        const length = lengthAt(piece, end, position + end - at);
        if (end + length > piece.length) break;
        end += length;
      }
      if (end === at) {
        rest = piece.slice(at);
        break;
      }
      yield piece.subarray(at, end);
      position += end - at;
      at = end;
    }
  }
  if (position < bytes) throw cut("too short");
}
