/**
 * The records of a slice as server-sent events, in chunks of some 64 KiB: an event can be larger, since a record of line breaks
 * becomes six times as long. Readers at the same place send the same chunks.
 *
 *   event   "event: data", with the body of about 64 KiB of records (stream-text.ts); in base64 for bytes
 *
 * A character of text can be divided between two records. Its first bytes are held back, and begin the next event.
 */
import type { BatchSlice, Offset } from "../../../types.ts";
import { SliceTexts, type TextPart } from "../tails/slice-texts.ts";
import { pieces } from "./stream-text.ts";
import type { StreamForm } from "./stream-type.ts";

/** Bytes of text that are looked at for one chunk. */
const textBytes = 16 * 1024;
/** The same for base64, a multiple of 3. */
const rawBytes = 48 * 1024;
/** The text of a larger slice is not shared: with its line breaks it might be larger than the cache. */
const sharedBytesMax = 1_150_000;

/** The end of an event. */
export interface EventEnd {
  readonly records: number;
  /** The offset after the records of the event. */
  readonly next: Offset;
  /** The first bytes of a character that was not complete. */
  readonly held: Buffer;
}

export interface EventChunk extends TextPart {
  /** Of the last chunk of an event. */
  readonly ends?: EventEnd;
}

export const nothingHeld = Buffer.alloc(0);

/** Where a reader is in a slice. */
export interface EventStart {
  readonly from: Offset;
  /** What the event before has held back. */
  readonly held: Buffer;
}

/**
 * Yields the events with the records from `from` on.
 * @throws Fault "failed-precondition" for a value that is not JSON
 */
export function* eventChunks(
  form: StreamForm,
  slice: BatchSlice,
  { from, held }: EventStart,
): Generator<EventChunk, void, undefined> {
  let rest = held;
  for (const { body, records, next } of pieces(form, slice, from)) {
    if (form === "bytes") {
      yield* base64Event(body, { records, next, held: nothingHeld });
      continue;
    }
    const isShort = body.length <= 3;
    const whole = isShort ? Buffer.concat([rest, body]) : body;
    const at = form === "json" ? whole.length : whole.length - incompleteBytes(whole);
    const before = isShort ? nothingHeld : rest;
    // A copy: the few bytes would keep all of them.
    rest = Buffer.from(whole.subarray(at));
    yield* textEvent(form, [before, whole.subarray(0, at)], { records, next, held: rest });
  }
}

function* base64Event(body: Buffer, ends: EventEnd): Generator<EventChunk> {
  let before = "event: data\ndata:";
  let at = 0;
  for (; at + rawBytes < body.length; at += rawBytes) {
    yield { bytes: Buffer.from(before + body.toString("base64", at, at + rawBytes)) };
    before = "";
  }
  yield { bytes: Buffer.from(`${before}${body.toString("base64", at)}\n\n`), ends };
}

function* textEvent(
  form: StreamForm,
  [held, body]: readonly [Buffer, Buffer],
  ends: EventEnd,
): Generator<EventChunk> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const [open, close] = form === "json" ? ["[", "]"] : ["", ""];
  const begun = decoder.decode(held, { stream: true });
  // The line break at the end of a chunk: the next one may continue it.
  let carried = "";
  for (let at = 0; ; at += textBytes) {
    const isLast = at + textBytes >= body.length;
    const decoded = decoder.decode(body.subarray(at, at + textBytes), { stream: !isLast });
    const text = (at === 0 ? open + begun : carried) + decoded;
    carried = isLast ? "" : (/(?:\r\n|\n|\r)$/.exec(text)?.[0] ?? "");
    // A line that begins with a space gets another one, which readers remove.
    const lines = text.slice(0, text.length - carried.length).replace(/(?:\r\n|\n|\r)( ?)/g, "\ndata:$1$1");
    const begin = at > 0 ? "" : `event: data\ndata:${lines.startsWith(" ") ? " " : ""}`;
    if (isLast) {
      yield { bytes: Buffer.from(`${begin}${lines}${close}\n\n`), ends };
      return;
    }
    yield { bytes: Buffer.from(begin + lines) };
  }
}

export const controlEvent = (control: object): string => event("control", JSON.stringify(control));

/** `line` has no line break. */
export const dataEvent = (line: string): string => event("data", line);

const event = (name: string, line: string): string => `event: ${name}\ndata:${line}\n\n`;

/** Bytes at the end that begin a character of UTF-8 without ending it: 0 to 3. */
export function incompleteBytes(bytes: Uint8Array): number {
  for (let count = 1; count <= 3 && count <= bytes.length; count++) {
    const byte = bytes[bytes.length - count]!;
    if (byte >= 0x80 && byte < 0xc0) continue;
    const needed = byte >= 0xf5 || byte < 0xc2 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return needed > count ? count : 0;
  }
  return 0;
}

const joined = new WeakMap<EventChunk, { readonly control: string; readonly bytes: Buffer }>();

/**
 * Returns the end of an event with the control event after it, in one piece. Readers at the same place usually send the same
 * control event, so the last one is kept with the chunk.
 */
export function joinedWith(chunk: EventChunk, control: string): Buffer {
  const known = joined.get(chunk);
  if (known?.control === control) return known.bytes;
  const bytes = Buffer.concat([chunk.bytes, Buffer.from(control)]);
  joined.set(chunk, { control, bytes });
  return bytes;
}

/** Returns true if readers that begin at `from` share the text of the slice. */
export const isShared = (slice: BatchSlice, from: Offset): boolean =>
  from <= slice.firstOffset && slice.frames.length <= sharedBytesMax;

/** The events that several readers send. */
export class StreamEventCache {
  readonly #texts: SliceTexts<EventChunk>;

  constructor(...[memory]: ConstructorParameters<typeof SliceTexts<EventChunk>>) {
    this.#texts = new SliceTexts(memory);
  }

  /** Yields what eventChunks() yields. */
  chunks(form: StreamForm, slice: BatchSlice, start: EventStart): Generator<EventChunk, void, undefined> {
    const render = (): Generator<EventChunk> => eventChunks(form, slice, start);
    const { from } = start;
    return isShared(slice, from)
      ? this.#texts.parts(slice, `${form} ${start.held.toString("hex")}`, render)
      : render();
  }
}
