/** The places of the searched text in the rows of what a search has found, computed for the rows that are drawn. */
import type { FormatChoice } from "../core/decode.ts";
import { lineMarks, type Marks } from "../core/filter.ts";
import { format, searchedText } from "../state/app.ts";

const cachedMax = 600;

class FoundMarks {
  readonly #known = new Map<number, Marks>();
  #text: string | undefined;
  #format: FormatChoice | undefined;
  #marks: ((record: Uint8Array) => Marks) | undefined;

  /** Returns the same object for the same record while text and format are the same. */
  of(offset: number, record: Uint8Array): Marks | undefined {
    const text = searchedText.value;
    if (text !== this.#text || format.value !== this.#format || this.#known.size >= cachedMax) {
      this.#known.clear();
      this.#text = text;
      this.#format = format.value;
      this.#marks = text === undefined || text === "" ? undefined : lineMarks(text, format.value);
    }
    if (this.#marks === undefined) return undefined;
    const known = this.#known.get(offset) ?? this.#marks(record);
    this.#known.set(offset, known);
    return known;
  }
}

export const foundMarks = new FoundMarks();
