/**
 * Slices as the text of `/tail`, in pieces that are worth a write each. What many tails at the end of the log would
 * render alike is rendered once, piece by piece, and kept: the newest slices, at most 64 and 8 MiB with their text.
 */
import { decodeRecord, RecordCursor } from "../../log/mod.ts";
import type { BatchSlice, Offset } from "../../types.ts";
import type { ReadLimit } from "../methods/read-limit.ts";
import { recordLine, type ValueFormat } from "./record-json.ts";

/** About how much is gathered before it is written. */
const pieceBytes = 64 * 1024;
/** Kept for other tails: slices, and their text. */
const keptBytesMax = 8 * 1024 * 1024;
const keptMax = 64;

/** How a record becomes text. The same function object stands for the same text. */
export interface TextForm {
  /** What tells it from other forms. */
  readonly name: string;
  record(offset: Offset, line: string): string;
}

export interface TextPiece {
  readonly bytes: Buffer;
  readonly records: number;
}

/** The pieces of the slice's records from `from` on, as far as the limit lets them through. */
export function* textPieces(
  slice: BatchSlice,
  from: Offset,
  limit: ReadLimit | undefined,
  form: TextForm,
  format: ValueFormat,
): Generator<TextPiece, void, undefined> {
  const cursor = new RecordCursor(slice.frames, from);
  let text = "";
  let records = 0;
  const piece = (): TextPiece => {
    const made = { bytes: Buffer.from(text), records };
    text = "";
    records = 0;
    return made;
  };
  while (cursor.next()) {
    if (limit !== undefined && !limit.take(slice.frames, cursor.start, cursor.end, cursor.offset)) break;
    const { offset, timestampMs } = cursor;
    const parts = decodeRecord(slice.frames, cursor.start, cursor.end);
    text += form.record(offset, recordLine({ ...parts, offset, timestampMs }, format));
    records++;
    if (text.length >= pieceBytes) yield piece();
  }
  if (records > 0) yield piece();
}

/** The text of one slice, rendered as far as some tail has come. */
class SliceText {
  readonly #source: Generator<TextPiece, void, undefined>;
  readonly #made: TextPiece[] = [];
  /** What the source threw: it would seem to have ended to the next reader. */
  #failure: { readonly reason: unknown } | undefined;
  bytes: number;

  constructor(slice: BatchSlice, form: TextForm, format: ValueFormat) {
    this.#source = textPieces(slice, slice.firstOffset, undefined, form, format);
    this.bytes = slice.frames.length;
  }

  piece(at: number): TextPiece | undefined {
    while (this.#made.length <= at) {
      const made = this.#next();
      if (made === undefined) return undefined;
      this.#made.push(made);
      this.bytes += made.bytes.length;
    }
    return this.#made[at];
  }

  #next(): TextPiece | undefined {
    if (this.#failure !== undefined) throw this.#failure.reason;
    try {
      return this.#source.next().value ?? undefined;
    } catch (reason) {
      this.#failure = { reason };
      throw reason;
    }
  }
}

export class TailTextCache {
  /** By slice and form; the newest last. */
  readonly #kept = new Map<BatchSlice, Map<string, SliceText>>();

  /** All of a slice, without limits. */
  *pieces(slice: BatchSlice, form: TextForm, format: ValueFormat): Generator<TextPiece, void, undefined> {
    const text = this.#textOf(slice, form, format);
    for (let at = 0; ; at++) {
      const piece = text.piece(at);
      if (piece === undefined) return;
      this.#evict();
      yield piece;
    }
  }

  #textOf(slice: BatchSlice, form: TextForm, format: ValueFormat): SliceText {
    let forms = this.#kept.get(slice);
    if (forms === undefined) {
      forms = new Map();
      this.#kept.set(slice, forms);
    }
    const name = `${form.name} ${format}`;
    let text = forms.get(name);
    if (text === undefined) {
      text = new SliceText(slice, form, format);
      forms.set(name, text);
    }
    return text;
  }

  /** Forgets the oldest slices. A tail that still sends one holds it. */
  #evict(): void {
    let bytes = 0;
    for (const forms of this.#kept.values()) for (const text of forms.values()) bytes += text.bytes;
    for (const [slice, forms] of this.#kept) {
      if (bytes <= keptBytesMax && this.#kept.size <= keptMax) return;
      for (const text of forms.values()) bytes -= text.bytes;
      this.#kept.delete(slice);
    }
  }
}
