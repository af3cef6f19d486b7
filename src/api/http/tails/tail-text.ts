/**
 * Renders slices as the text of `/tail`, in chunks of about 64 KiB. Tails at the end of the log send the same text, so it
 * is rendered once and cached.
 */
import { decodeRecord, RecordCursor } from "../../../log/mod.ts";
import type { BatchSlice, Offset, TailedLogName } from "../../../types.ts";
import { logIdText } from "../../methods/logs/log-id.ts";
import type { ReadLimit } from "../../methods/read-limit.ts";
import { resumeToken } from "../../methods/tails/resume-token.ts";
import { recordLine, type ValueFormat } from "../record-json.ts";
import { eventId } from "../tail-request.ts";
import { SliceTexts, type TextPart } from "./slice-texts.ts";

/** Approximate size of a chunk. */
const chunkBytes = 64 * 1024;

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
  /** For a tail of one named log: its id. */
  readonly logId?: string | undefined;
  /** For a tail of several logs: the log of the slice, and the life of the cluster. */
  readonly of?: { readonly log: TailedLogName; readonly life: number };
}

const keys = new WeakMap<TextPlan, string>();

/** Two slices with the same key and the same records become the same text. */
function keyOf(plan: TextPlan): string {
  let key = keys.get(plan);
  if (key === undefined) {
    const { form, format, batch, logId, of } = plan;
    key = `${form.name} ${format} ${batch} ${logId ?? ""} ${of?.life ?? ""}`;
    keys.set(plan, key);
  }
  return key;
}

export interface TextChunk extends TextPart {
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
  const cursor = new RecordCursor(slice.frames, from, slice.kept);
  let text = "";
  let records = 0;
  let lines: string[] = [];
  let bytes = 0;
  let id = "";
  const endEvent = (): void => {
    if (lines.length > 0) text += form.event(id, lines);
    lines = [];
  };
  const flush = (isLast: boolean): TextChunk => {
    const chunk = { bytes: Buffer.from(text), records, isLast };
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
    if (isFull) yield flush(false);
  }
  endEvent();
  if (records > 0) yield flush(true);
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

const idAt = (cursor: RecordCursor, { of, logId }: TextPlan): string =>
  of === undefined ? eventId(cursor.offset, logId) : tokenAt(cursor, of.life);

const tokenAt = ({ index, offset, baseOffset }: RecordCursor, life: number): string =>
  resumeToken({ life, index, sent: offset - baseOffset + 1 });

/** The text that several tails send. */
export class TailTextCache {
  readonly #texts = new SliceTexts<TextChunk>();

  /** Returns the text of a whole slice. */
  chunks(slice: BatchSlice, plan: TextPlan): Generator<TextChunk, void, undefined> {
    const render = (): Generator<TextChunk> => textChunks(slice, slice.firstOffset, undefined, plan);
    return this.#texts.parts(slice, keyOf(plan), render);
  }
}
