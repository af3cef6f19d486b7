/**
 * Renders slices as the text of `/tail`, in chunks of about 64 KiB. Tails at the end of the log send the same text, so it
 * is rendered once and cached: the newest slices, at most 64 and at most 8 MiB with their text.
 */
import { decodeRecord, RecordCursor } from "../../log/mod.ts";
import type { BatchSlice, Offset, TailedLogName } from "../../types.ts";
import { logIdText } from "../methods/logs/log-id.ts";
import type { ReadLimit } from "../methods/read-limit.ts";
import { resumeToken } from "../methods/tails/resume-token.ts";
import { recordLine, type ValueFormat } from "./record-json.ts";

/** Approximate size of a chunk. */
const chunkBytes = 64 * 1024;
/** Limits of the cache: bytes of slices and text, and number of slices. */
const cacheBytesMax = 8 * 1024 * 1024;
const cacheSlicesMax = 64;

/** How records become text. */
export interface TextForm {
  /** Unique among the forms. */
  readonly name: "events" | "lines";
  /** The text of records, each a line of JSON. `id` is where a reader resumes after the last of them. */
  event(id: string, lines: readonly string[]): string;
}

/** How the records of a slice become text. */
export interface TextPlan {
  readonly form: TextForm;
  readonly format: ValueFormat;
  /** Records in one event, at most. */
  readonly batch: number;
  /** For a tail of several logs: the log of the slice, and the life of the cluster. */
  readonly of?: { readonly log: TailedLogName; readonly life: number };
}

/** Two slices with the same key and the same records become the same text. */
const keyOf = ({ form, format, batch, of }: TextPlan): string =>
  `${form.name} ${format} ${batch} ${of?.life ?? ""}`;

export interface TextChunk {
  readonly bytes: Buffer;
  readonly records: number;
}

/** Renders the records of the slice from `from` on, up to the limit. */
export function* textChunks(
  slice: BatchSlice,
  from: Offset,
  limit: ReadLimit | undefined,
  plan: TextPlan,
): Generator<TextChunk, void, undefined> {
  const { form, batch } = plan;
  const cursor = new RecordCursor(slice.frames, from);
  let text = "";
  let records = 0;
  let lines: string[] = [];
  let bytes = 0;
  let id = "";
  const endEvent = (): void => {
    if (lines.length > 0) text += form.event(id, lines);
    lines = [];
  };
  const flush = (): TextChunk => {
    const chunk = { bytes: Buffer.from(text), records };
    text = "";
    records = 0;
    bytes = 0;
    return chunk;
  };
  while (cursor.next()) {
    if (limit !== undefined && !limit.take(slice.frames, cursor.start, cursor.end, cursor.offset)) break;
    const line = lineAt(cursor, plan);
    id = idAt(cursor, plan);
    lines.push(line);
    bytes += line.length;
    records++;
    const isFull = bytes >= chunkBytes;
    if (lines.length >= batch || isFull) endEvent();
    if (isFull) yield flush();
  }
  endEvent();
  if (records > 0) yield flush();
}

function lineAt(cursor: RecordCursor, { form, format, of }: TextPlan): string {
  const { offset, timestampMs } = cursor;
  const parts = decodeRecord(cursor.frames, cursor.start, cursor.end);
  const line = recordLine({ ...parts, offset, timestampMs }, format);
  if (of === undefined) return line;
  const named = `${JSON.stringify(logMembers(of.log, of.life)).slice(0, -1)},${line.slice(1)}`;
  return form.name === "events" ? named : `${named.slice(0, -1)},"resume":"${tokenAt(cursor, of.life)}"}`;
}

/** The name of a log and its id, as members of a JSON object. `default` has no id. */
export const logMembers = ({ id, name }: TailedLogName, life: number): { log: string; log_id?: string } =>
  id === 0 ? { log: name } : { log: name, log_id: logIdText(life, id) };

const idAt = (cursor: RecordCursor, { of }: TextPlan): string =>
  of === undefined ? String(cursor.offset) : tokenAt(cursor, of.life);

const tokenAt = ({ index, offset, baseOffset }: RecordCursor, life: number): string =>
  resumeToken({ life, index, sent: offset - baseOffset + 1 });

/** The text of one slice, rendered as far as the furthest tail has read. */
class SliceText {
  readonly #source: Generator<TextChunk, void, undefined>;
  readonly #rendered: TextChunk[] = [];
  /** What the source threw. Without it, the source would look finished to the next reader. */
  #failure: { readonly reason: unknown } | undefined;
  bytes: number;

  constructor(slice: BatchSlice, plan: TextPlan) {
    this.#source = textChunks(slice, slice.firstOffset, undefined, plan);
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
  *chunks(slice: BatchSlice, plan: TextPlan): Generator<TextChunk, void, undefined> {
    const text = this.#textOf(slice, plan);
    for (let at = 0; ; at++) {
      const chunk = text.chunk(at);
      if (chunk === undefined) return;
      this.#evict();
      yield chunk;
    }
  }

  #textOf(slice: BatchSlice, plan: TextPlan): SliceText {
    let forms = this.#bySlice.get(slice);
    if (forms === undefined) {
      forms = new Map();
      this.#bySlice.set(slice, forms);
    }
    const name = keyOf(plan);
    let text = forms.get(name);
    if (text === undefined) {
      text = new SliceText(slice, plan);
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
