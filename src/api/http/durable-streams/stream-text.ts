/**
 * The records of a slice as the body of a response: for JSON an array of the values, otherwise the values, one after another. The
 * work is divided into turns of the event loop.
 */
import { Fault } from "../../../fault.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import { decodeRecord, RecordCursor } from "../../../log/mod.ts";
import type { BatchSlice, Offset } from "../../../types.ts";
import { isJson } from "./stream-json.ts";
import type { StreamForm } from "./stream-type.ts";

/** Bytes of values, and values, that are looked at in one turn. */
const pieceBytes = 64 * 1024;
const pieceRecords = 2_048;

/** Some records that follow each other. */
export interface Piece {
  readonly body: Buffer;
  readonly records: number;
  /** The offset after the last of them. */
  readonly next: Offset;
}

const comma = Buffer.from(",");
const open = Buffer.from("[");
const close = Buffer.from("]");

/** Returns the records from `from` on. @throws Fault "failed-precondition" for a value that is not JSON */
export async function bodyOf(
  form: StreamForm,
  slices: readonly BatchSlice[],
  from: Offset,
  clock: Clock,
): Promise<{ readonly body: Buffer; readonly records: number }> {
  const parts: Buffer[] = [];
  let records = 0;
  for (const slice of slices) {
    for (const piece of pieces(form, slice, from)) {
      if (form === "json" && parts.length > 0) parts.push(comma);
      parts.push(piece.body);
      records += piece.records;
      await workTurns(clock).next();
    }
  }
  return { body: Buffer.concat(form === "json" ? [open, ...parts, close] : parts), records };
}

/** Yields the records in pieces of about 64 KiB. The values of JSON have commas between them. */
export function* pieces(
  form: StreamForm,
  slice: BatchSlice,
  from: Offset,
): Generator<Piece, void, undefined> {
  const cursor = new RecordCursor(slice.frames, from);
  let values: Uint8Array[] = [];
  let bytes = 0;
  let records = 0;
  const flush = (next: Offset): Piece => {
    // One value is not copied: a reader that is slow would keep the copy for long.
    const [only] = values;
    const body = values.length === 1 && only !== undefined ? viewOf(only) : Buffer.concat(values);
    const piece = { body, records, next };
    [values, bytes, records] = [[], 0, 0];
    return piece;
  };
  while (cursor.next()) {
    const { value } = decodeRecord(cursor.frames, cursor.start, cursor.end);
    if (form === "json" && !isJson(value)) throw notJson(cursor.offset);
    if (records > 0 && value.length > pieceBytes) yield flush(cursor.offset);
    if (form === "json" && records > 0) values.push(comma);
    values.push(value);
    bytes += value.length;
    records++;
    if (bytes >= pieceBytes || records >= pieceRecords) yield flush(cursor.offset + 1);
  }
  if (records > 0) yield flush(cursor.offset + 1);
}

const viewOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, length);

const notJson = (offset: Offset): Fault =>
  new Fault("failed-precondition", {
    message: `the record at offset ${offset} is not JSON, which the content type of the stream is. It was not appended as a stream; GET /logs/NAME shows it`,
    facts: { reason: "NOT_JSON" },
  });
