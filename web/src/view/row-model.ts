/** What a row shows of a record, decoded once while it is near the window. */
import { type FormatChoice, lenientText, preview } from "../core/decode.ts";
import type { Marks } from "../core/filter.ts";
import { visibleLine } from "../core/visible.ts";
import { readRecord } from "../core/wire.ts";

export interface RowModel {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string;
  readonly headers: number;
  readonly line: string;
  readonly marks: Marks | undefined;
  readonly valueBytes: number;
}

const keyMax = 40;
const cachedRowsMax = 600;

export class RowModels {
  #format: FormatChoice | undefined;
  #generation = -1;
  /** A record with a key was seen, or one with headers: the list shows the column from then on. */
  hasKeys = false;
  hasHeaders = false;
  readonly #known = new Map<number, RowModel>();

  /** The row of a record. The same object as before while nothing about it has changed. */
  of(offset: number, record: Uint8Array, format: FormatChoice, marks: Marks | undefined): RowModel {
    if (format !== this.#format) this.#known.clear();
    this.#format = format;
    const known = this.#known.get(offset);
    if (known !== undefined && known.marks === marks) return known;
    const model = makeRow(offset, record, format, marks);
    this.hasKeys ||= model.key !== "";
    this.hasHeaders ||= model.headers > 0;
    if (this.#known.size >= cachedRowsMax) this.#known.clear();
    this.#known.set(offset, model);
    return model;
  }

  /** Drops the rows of an earlier generation: another log, or another start of it, has replaced them. */
  begin(generation: number): void {
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#known.clear();
    this.hasKeys = false;
    this.hasHeaders = false;
  }
}

function makeRow(
  offset: number,
  record: Uint8Array,
  format: FormatChoice,
  marks: Marks | undefined,
): RowModel {
  const view = readRecord(record);
  return {
    offset,
    timestampMs: view.timestampMs,
    key: visibleLine(lenientText(view.key.subarray(0, keyMax * 4)).slice(0, keyMax)),
    headers: view.headers.length,
    line: preview(view.value, format),
    marks,
    valueBytes: view.value.length,
  };
}
