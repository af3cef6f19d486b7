/** Splits chunks of bytes into lines. A line can contain any bytes except the line end, which is left out. Pure. */
import { Fault } from "../../fault.ts";

const lineEnd = 10;

export class LineSplitter {
  readonly #lineBytesMax: number;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** The beginning of a line whose end has not arrived. */
  #rest: Uint8Array[] = [];
  #restBytes = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** Takes the next bytes. next() must have returned undefined before, and the bytes must not change. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * Returns the next complete line, mostly a view of its chunk; undefined if its end has not arrived.
   * @throws Fault "too-large" for a line of more than `lineBytesMax` bytes
   */
  next(): Uint8Array | undefined {
    const end = this.#chunk.indexOf(lineEnd, this.#at);
    if (end < 0) return this.#keepRest();
    const line = this.#chunk.subarray(this.#at, end);
    this.#at = end + 1;
    if (this.#restBytes === 0) return line;
    this.#add(line);
    return this.#takeRest();
  }

  /** Returns the bytes after the last line end, which are a line too; undefined if there are none. */
  last(): Uint8Array | undefined {
    return this.#restBytes === 0 ? undefined : this.#takeRest();
  }

  #keepRest(): undefined {
    if (this.#at < this.#chunk.length) this.#add(this.#chunk.subarray(this.#at));
    this.#at = this.#chunk.length;
  }

  #add(piece: Uint8Array): void {
    this.#rest.push(piece);
    this.#restBytes += piece.length;
    if (this.#restBytes <= this.#lineBytesMax) return;
    throw new Fault("too-large", { message: `a line has more than ${this.#lineBytesMax} bytes` });
  }

  #takeRest(): Uint8Array {
    const line = Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restBytes = 0;
    return line;
  }
}
