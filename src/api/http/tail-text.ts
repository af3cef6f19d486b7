/**
 * Renders slices as the text of `/tail`, in chunks of about 64 KiB. Tails at the end of the log send the same text, so it
 * is rendered once and cached: the newest slices, at most 64 and at most 8 MiB with their text.
 */
import { decodeRecord, RecordCursor } from "../../log/mod.ts";
import type { BatchSlice, Offset } from "../../types.ts";
import type { ReadLimit } from "../methods/read-limit.ts";
import { recordLine, type ValueFormat } from "./record-json.ts";

/** Approximate size of a chunk. */
const chunkBytes = 64 * 1024;
/** Limits of the cache: bytes of slices and text, and number of slices. */
const cacheBytesMax = 8 * 1024 * 1024;
const cacheSlicesMax = 64;

/** How a record becomes text. */
export interface TextForm {
  /** Unique among the forms. */
  readonly name: string;
  record(offset: Offset, line: string): string;
}

export interface TextChunk {
  readonly bytes: Buffer;
  readonly records: number;
}

/** Renders the records of the slice from `from` on, up to the limit. */
export function* textChunks(
  slice: BatchSlice,
  from: Offset,
  limit: ReadLimit | undefined,
  form: TextForm,
  format: ValueFormat,
): Generator<TextChunk, void, undefined> {
  const cursor = new RecordCursor(slice.frames, from);
  let text = "";
  let records = 0;
  const flush = (): TextChunk => {
    const chunk = { bytes: Buffer.from(text), records };
    text = "";
    records = 0;
    return chunk;
  };
  while (cursor.next()) {
    if (limit !== undefined && !limit.take(slice.frames, cursor.start, cursor.end, cursor.offset)) break;
    const { offset, timestampMs } = cursor;
    const parts = decodeRecord(slice.frames, cursor.start, cursor.end);
    text += form.record(offset, recordLine({ ...parts, offset, timestampMs }, format));
    records++;
    if (text.length >= chunkBytes) yield flush();
  }
  if (records > 0) yield flush();
}

/** The text of one slice, rendered as far as the furthest tail has read. */
class SliceText {
  readonly #source: Generator<TextChunk, void, undefined>;
  readonly #rendered: TextChunk[] = [];
  /** What the source threw. Without it, the source would look finished to the next reader. */
  #failure: { readonly reason: unknown } | undefined;
  bytes: number;

  constructor(slice: BatchSlice, form: TextForm, format: ValueFormat) {
    this.#source = textChunks(slice, slice.firstOffset, undefined, form, format);
    this.bytes = slice.frames.length;
  }

  chunk(at: number): TextChunk | undefined {
    while (this.#rendered.length <= at) {
      const next = this.#next();
      if (next === undefined) return undefined;
      this.#rendered.push(next);
      this.bytes += next.bytes.length;
    }
    return this.#rendered[at];
  }

  #next(): TextChunk | undefined {
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
  /** By slice and form. The newest slice is last. */
  readonly #bySlice = new Map<BatchSlice, Map<string, SliceText>>();

  /** Returns the text of a whole slice. */
  *chunks(slice: BatchSlice, form: TextForm, format: ValueFormat): Generator<TextChunk, void, undefined> {
    const text = this.#textOf(slice, form, format);
    for (let at = 0; ; at++) {
      const chunk = text.chunk(at);
      if (chunk === undefined) return;
      this.#evict();
      yield chunk;
    }
  }

  #textOf(slice: BatchSlice, form: TextForm, format: ValueFormat): SliceText {
    let forms = this.#bySlice.get(slice);
    if (forms === undefined) {
      forms = new Map();
      this.#bySlice.set(slice, forms);
    }
    const name = `${form.name} ${format}`;
    let text = forms.get(name);
    if (text === undefined) {
      text = new SliceText(slice, form, format);
      forms.set(name, text);
    }
    return text;
  }

  /** Removes the oldest slices. A tail that still sends one keeps its own reference. */
  #evict(): void {
    let bytes = 0;
    for (const forms of this.#bySlice.values()) for (const text of forms.values()) bytes += text.bytes;
    for (const [slice, forms] of this.#bySlice) {
      if (bytes <= cacheBytesMax && this.#bySlice.size <= cacheSlicesMax) return;
      for (const text of forms.values()) bytes -= text.bytes;
      this.#bySlice.delete(slice);
    }
  }
}
