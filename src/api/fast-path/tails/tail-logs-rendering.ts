/**
 * Encodes batches of one log as TailLogsResponse messages, a batch or a part of a large one each. What several tails send is
 * encoded once and cached with the slice.
 *
 *   TailLogsResponse := log=1  log_id=2  records=3 { stored bytes, offset=2, term=3, timestamp_ms=7 } …  resume=4
 */
import { varintBytes, writeVarint } from "../../../lib/bytes.ts";
import { envelopeBytes, writeEnvelopeHead } from "../../../lib/envelope.ts";
import { frameBytes, RecordCursor, recordContentBytes } from "../../../log/mod.ts";
import type { BatchSlice, TailedBatches } from "../../../types.ts";
import { resumeToken } from "../../methods/tails/resume-token.ts";
import { nameOf, responseBytesMax } from "../../methods/tails/tail-logs-message.ts";
import { placedOverheadMax, writePlacedRecord } from "../codec/response-codec.ts";
import type { Portion } from "./tail-sender.ts";

const [logTag, logIdTag, recordsTag, resumeTag] = [0x0a, 0x12, 0x1a, 0x22];
/** The field resume: a life of ten digits, an index and a number of records of sixteen. */
const resumeBytesMax = 2 + "r..".length + 10 + 16 + 16;

interface Rendered extends Portion {
  readonly life: number;
}

const renderings = new WeakMap<BatchSlice, Rendered>();

/** All callers share the rendering of a whole slice: it is of one log, and its frames have their indexes. */
export function renderTailed(batches: TailedBatches, life: number): Portion {
  const { slice, from } = batches;
  if (from > slice.firstOffset || slice.kept !== undefined) return render(batches, life);
  const shared = renderings.get(slice);
  if (shared?.life === life) return shared;
  const rendered = { ...render(batches, life), life };
  renderings.set(slice, rendered);
  return rendered;
}

function render({ log, slice, from }: TailedBatches, life: number): Portion {
  const { frames } = slice;
  const head = nameFields(nameOf(log, life));
  const cursor = new RecordCursor(frames, from, slice.kept);
  const out = Buffer.allocUnsafeSlow(renderedBytesMax(slice, from, head.length));
  let start = 0;
  let at = 0;
  let [records, payloadBytes] = [0, 0];
  /** Of the response that is being written. */
  let [index, sent, bytes] = [0, 0, 0];
  const close = (): void => {
    const token = resumeToken({ life, index, sent });
    out[at] = resumeTag;
    out[at + 1] = token.length;
    at = writeEnvelopeHead(out, start, at + 2 + out.write(token, at + 2, "latin1"));
    start = at;
    bytes = 0;
  };
  while (cursor.next()) {
    const size = recordContentBytes(frames, cursor.start, cursor.end);
    if (at > start && (cursor.index !== index || bytes + size > responseBytesMax)) close();
    if (at === start) at = head.copy(out, start + envelopeBytes) + start + envelopeBytes;
    at = writePlacedRecord(out, at, recordsTag, cursor);
    index = cursor.index;
    sent = cursor.offset - cursor.baseOffset + 1;
    bytes += cursor.end - cursor.start;
    payloadBytes += cursor.end - cursor.start;
    records++;
  }
  if (at > start) close();
  return { bytes: out.subarray(0, at), records, payloadBytes, frames };
}

/** Two responses of one batch that follow each other have more than `responseBytesMax` together. */
function renderedBytesMax(
  { frames, firstOffset, nextOffset }: BatchSlice,
  from: number,
  head: number,
): number {
  let responses = Math.ceil((2 * frames.length) / responseBytesMax);
  for (let at = 0; at < frames.length; at += frameBytes(frames, at)) responses++;
  const records = nextOffset - Math.max(from, firstOffset);
  return frames.length + records * placedOverheadMax + responses * (envelopeBytes + head + resumeBytesMax);
}

/** The fields log and log_id. */
function nameFields({ log, logId }: { readonly log: string; readonly logId?: string }): Buffer {
  const nameBytes = Buffer.byteLength(log);
  const idBytes = logId === undefined ? 0 : 2 + logId.length;
  const fields = Buffer.allocUnsafe(1 + varintBytes(nameBytes) + nameBytes + idBytes);
  fields[0] = logTag;
  let at = writeVarint(fields, 1, nameBytes);
  at += fields.write(log, at);
  if (logId === undefined) return fields;
  fields[at] = logIdTag;
  fields[at + 1] = logId.length;
  fields.write(logId, at + 2, "latin1");
  return fields;
}
