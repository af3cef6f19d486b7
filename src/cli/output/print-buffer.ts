/**
 * Collects pieces of text and bytes for standard output, so that many records are one write. Text is joined as text; bytes are
 * copied.
 */

/** Pieces are written when they have about so many bytes. */
const fullBytes = 64 * 1024;

export class PrintBuffer {
  #text = "";
  #bytes: Uint8Array[] = [];
  #size = 0;

  /** Whether it is time to write. Otherwise the pieces wait until there are no more at once. */
  get isFull(): boolean {
    return this.#size >= fullBytes;
  }

  text(piece: string): void {
    this.#text += piece;
    this.#size += piece.length;
  }

  /** Adds bytes, or text. The bytes must not change until take(). */
  add(piece: string | Uint8Array): void {
    if (typeof piece === "string") {
      this.text(piece);
      return;
    }
    this.#keepText();
    this.#bytes.push(piece);
    this.#size += piece.length;
  }

  /** Returns everything that was added; undefined if that is nothing. */
  take(): string | Uint8Array | undefined {
    if (this.#size === 0) return undefined;
    let all: string | Uint8Array = this.#text;
    if (this.#bytes.length > 0) {
      this.#keepText();
      all = Buffer.concat(this.#bytes);
    }
    this.#text = "";
    this.#bytes = [];
    this.#size = 0;
    return all;
  }

  #keepText(): void {
    if (this.#text !== "") this.#bytes.push(Buffer.from(this.#text));
    this.#text = "";
  }
}
