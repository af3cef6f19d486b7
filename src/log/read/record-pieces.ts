/**
 * Reads single records of large batches. A batch that comes from a disk is read and checked as a whole once. Its pieces are
 * remembered with their checksums, so a later read of one of its records reads one piece, whatever the size of the batch.
 *
 * A piece that does not have the checksum of then is never shown: the batch is forgotten, and read and checked as a whole. So
 * damage is found, and a batch whose file was settled or whose index was used again is not mixed up.
 */
import type { BatchSlice, LogId, Offset, RaftIndex } from "../../types.ts";
import { batchKind, frameIndex, frameKind, headerBytes } from "../frame/frame.ts";
import { FramePieces, type Piece, pieceBuffer, pieceRecords } from "../frame/frame-pieces.ts";
import type { Segment } from "../segment/segment.ts";

/** Smaller batches are read as a whole each time. */
const wholeBytesMax = 16 * 1024;

/** A batch in a segment, as the indexes describe it. */
export interface BatchPlace {
  readonly segment: Pick<Segment, "read">;
  readonly logId: LogId;
  readonly index: RaftIndex;
  readonly position: number;
  readonly bytes: number;
}

/** The batch with ordinal `k` of the segment. */
export function batchPlace(segment: Segment, k: number, logId: LogId): BatchPlace {
  const [position, end] = segment.lookup((index) => [
    index.position(k),
    k + 1 < index.length ? index.position(k + 1) : segment.bytes,
  ]);
  return { segment, logId, index: segment.first + k, position, bytes: end - position };
}

export class RecordPieces {
  readonly #bytesMax: number;
  /** The batches, the least recently used first. */
  readonly #known = new Map<RaftIndex, FramePieces>();
  #bytes = 0;

  /** At most `bytesMax` bytes are used to remember batches. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that are used to remember batches. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Returns records of the batch, among them the one at `offset`, as a slice of one frame. `readWhole` reads and checks the batch.
   * @throws what `readWhole` throws; Fault "corrupt" for bytes that cannot be read
   */
  read(place: BatchPlace, offset: Offset, readWhole: () => BatchSlice): BatchSlice {
    if (place.bytes <= wholeBytesMax) return readWhole();
    const pieces = this.#find(place);
    const piece = pieces?.find(offset);
    if (pieces !== undefined && piece !== undefined) {
      const buffer = pieceBuffer(piece);
      place.segment.read(pieceRecords(buffer), place.position + piece.start);
      const slice = pieces.slice(piece, buffer);
      if (slice !== undefined) return slice;
      this.#forget(place.index);
    }
    return this.ofFrame(readWhole(), offset);
  }

  /** Returns records of a batch that was checked and is in memory. `batch` is one frame. */
  ofFrame(batch: BatchSlice, offset: Offset): BatchSlice {
    const { frames } = batch;
    if (frames.length <= wholeBytesMax || frameKind(frames, 0) !== batchKind.data) return batch;
    const index = frameIndex(frames, 0);
    let pieces = this.#known.get(index);
    if (pieces?.frameBytes !== frames.length) pieces = this.#remember(index, new FramePieces(frames));
    const piece = pieces.find(offset);
    if (piece === undefined) return batch;
    const buffer = pieceBuffer(piece);
    buffer.set(frames.subarray(piece.start, piece.start + piece.bytes), headerBytes);
    const slice = pieces.slice(piece, buffer);
    if (slice !== undefined) return slice;
    this.#forget(index);
    return batch;
  }

  /** About how many bytes read() reads. */
  readBytes(place: BatchPlace, offset: Offset): number {
    if (place.bytes <= wholeBytesMax) return place.bytes;
    return bytesOf(this.#find(place)?.find(offset)) ?? place.bytes;
  }

  /** About how many bytes ofFrame() copies. */
  frameBytes({ frames }: BatchSlice, offset: Offset): number {
    if (frames.length <= wholeBytesMax) return frames.length;
    const pieces = this.#known.get(frameIndex(frames, 0));
    const isKnown = pieces?.frameBytes === frames.length;
    return (isKnown ? bytesOf(pieces.find(offset)) : undefined) ?? frames.length;
  }

  /** Batches were cut off or replaced. */
  clear(): void {
    this.#known.clear();
    this.#bytes = 0;
  }

  #find({ index, logId, bytes }: BatchPlace): FramePieces | undefined {
    const pieces = this.#known.get(index);
    if (pieces?.frameBytes !== bytes || pieces.header.logId !== logId) return undefined;
    this.#known.delete(index);
    this.#known.set(index, pieces);
    return pieces;
  }

  #remember(index: RaftIndex, pieces: FramePieces): FramePieces {
    this.#forget(index);
    this.#known.set(index, pieces);
    this.#bytes += pieces.bytes;
    for (const oldest of this.#known.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#forget(oldest);
    }
    return pieces;
  }

  #forget(index: RaftIndex): void {
    this.#bytes -= this.#known.get(index)?.bytes ?? 0;
    this.#known.delete(index);
  }
}

const bytesOf = (piece: Piece | undefined): number | undefined =>
  piece === undefined ? undefined : headerBytes + piece.bytes;
