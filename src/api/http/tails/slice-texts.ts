/**
 * The text of slices. Readers at the end of a log send the same text, so it is rendered once, as far as the furthest of them
 * has read, and cached: the newest slices, at most 64 and at most 8 MiB with their text. What readers still use counts in the
 * memory budget, also after the cache has removed it.
 */
import type { MemoryBudget } from "../../../memory/mod.ts";
import type { BatchSlice } from "../../../types.ts";

/** Limits of the cache: bytes of slices and text, and number of slices. */
const cacheBytesMax = 8 * 1024 * 1024;
const cacheSlicesMax = 64;

/** A part of a text. */
export interface TextPart {
  readonly bytes: Buffer;
  /** No part follows. */
  readonly isLast?: boolean;
}

type Counted = Pick<MemoryBudget, "pin" | "unpin">;

/** The text of one slice, rendered as far as the furthest reader has read. */
class SliceText<Part extends TextPart> {
  readonly #source: Generator<Part>;
  readonly #memory: Counted | undefined;
  readonly #rendered: (Part | undefined)[] = [];
  #readers = 0;
  /** Parts before this one were forgotten. */
  #first = 0;
  /** The cache has removed it: no reader enters any more. */
  isRemoved = false;
  /** Adds to the bytes of the cache. */
  readonly #grow: (bytes: number) => void;
  /** What the source threw. Without it, the source would look finished to the next reader. */
  #failure: { readonly reason: unknown } | undefined;
  bytes = 0;

  constructor(source: Generator<Part>, memory: Counted | undefined, grow: (bytes: number) => void) {
    this.#source = source;
    this.#memory = memory;
    this.#grow = grow;
  }

  /** Counts bytes that the cache keeps for the text. */
  add(bytes: number): void {
    if (this.isRemoved) return;
    this.bytes += bytes;
    this.#grow(bytes);
  }

  /** A reader begins. It must leave(). */
  enter(): void {
    if (this.#readers++ === 0) for (const part of this.#rendered) this.#pin(part);
  }

  leave(): void {
    if (--this.#readers === 0) for (const part of this.#rendered) this.#unpin(part);
  }

  /** A reader has sent the part. What no other reader will send is forgotten. */
  sent(at: number): void {
    if (!this.isRemoved || this.#readers > 1) return;
    for (; this.#first <= at; this.#first++) {
      this.#unpin(this.#rendered[this.#first]);
      this.#rendered[this.#first] = undefined;
    }
  }

  #pin(part: Part | undefined): void {
    if (part !== undefined) this.#memory?.pin(part.bytes.buffer);
  }

  #unpin(part: Part | undefined): void {
    if (part !== undefined) this.#memory?.unpin(part.bytes.buffer);
  }

  part(at: number): Part | undefined {
    while (this.#rendered.length <= at) {
      const next = this.#next();
      if (next === undefined) return undefined;
      this.#rendered.push(next);
      this.#pin(next);
      this.add(next.bytes.length);
    }
    return this.#rendered[at];
  }

  #next(): Part | undefined {
    if (this.#failure !== undefined) throw this.#failure.reason;
    try {
      return this.#source.next().value ?? undefined;
    } catch (reason) {
      this.#failure = { reason };
      throw reason;
    }
  }
}

export class SliceTexts<Part extends TextPart> {
  /** By slice and form. The newest slice is last. */
  readonly #bySlice = new Map<BatchSlice, Map<string, SliceText<Part>>>();
  readonly #memory: Counted | undefined;
  /** Bytes of the slices and their text. */
  #bytes = 0;

  /** `memory`: counts what readers use. Undefined: nothing is counted. */
  constructor(memory?: Counted) {
    this.#memory = memory;
  }

  /** Returns the text of a whole slice. What `render` yields depends on the slice and `key` alone. */
  *parts(slice: BatchSlice, key: string, render: () => Generator<Part>): Generator<Part, void, undefined> {
    const text = this.#textOf(slice, key, render);
    text.enter();
    try {
      for (let at = 0; ; at++) {
        const part = text.part(at);
        if (part === undefined) return;
        this.#evict();
        yield part;
        text.sent(at);
        if (part.isLast === true) return;
      }
    } finally {
      text.leave();
    }
  }

  #textOf(slice: BatchSlice, key: string, render: () => Generator<Part>): SliceText<Part> {
    let forms = this.#bySlice.get(slice);
    if (forms === undefined) {
      forms = new Map();
      this.#bySlice.set(slice, forms);
    }
    let text = forms.get(key);
    if (text === undefined) {
      text = new SliceText(render(), this.#memory, this.#grow);
      forms.set(key, text);
      text.add(slice.frames.length);
    }
    return text;
  }

  readonly #grow = (bytes: number): void => {
    this.#bytes += bytes;
  };

  /** Removes the oldest slices. A reader that still sends one keeps its own reference. */
  #evict(): void {
    for (const [slice, forms] of this.#bySlice) {
      if (this.#bytes <= cacheBytesMax && this.#bySlice.size <= cacheSlicesMax) return;
      for (const text of forms.values()) {
        this.#bytes -= text.bytes;
        text.isRemoved = true;
      }
      this.#bySlice.delete(slice);
    }
  }
}
