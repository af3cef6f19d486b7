/**
 * Parses the query of `GET /tail`. Unknown parameters are refused.
 *
 *   from   := N | start | end | -N | @unix-ms | RFC 3339, or a date (rfc3339.ts)      default end
 *   limit  := N (1 …)      format := base64 | text | json
 *   batch  := N (1 … 1000)                                             default: one record for each event, no positions
 *   cursor := NAME      begin at this cursor of the log; at `from`, by default the start, if there is none
 *   filter := a condition in CEL (src/filter)                          default: all records
 */
import { Fault } from "../../fault.ts";
import { cursorNameOf } from "../../lib/names/cursor-name.ts";
import { parseTime } from "../../lib/time/rfc3339.ts";
import type { Offset, ReadStart } from "../../types.ts";
import { ampersandHint } from "./exchange/ampersand-hint.ts";
import { quoted } from "./exchange/exchange.ts";
import { parseOffset } from "./produce-consume-json.ts";
import type { ValueFormat } from "./record-json.ts";

export interface TailRequest {
  readonly start: ReadStart;
  /** Number of records to send; 0 means no limit. */
  readonly limit: number;
  readonly format: ValueFormat;
  /** Records in one event, at most. Undefined: one, and the reader gets no positions. */
  readonly batch: number | undefined;
  /** A condition in CEL. Undefined: all records. */
  readonly filter?: string | undefined;
  /** The id of the log that the reader has seen, from `Last-Event-ID`. Undefined if that states none. */
  readonly seenLogId?: string | undefined;
  /** The cursor at which it begins. If there is none, it begins at `start`. */
  readonly cursor?: string | undefined;
}

/** The parameters of a tail. */
export const tailParams = ["from", "limit", "format", "batch", "cursor", "filter"] as const;
/** Those of `/tail` that say which logs. With `log` or `prefix`, another module reads the query. */
export const tailLogParams = ["log", "log_id", "prefix"] as const;
export const batchMax = 1_000;

/** Characters of a refused text that the message repeats. */
const shownCharsMax = 64;

const reject = (message: string, field: string): never => {
  throw new Fault("bad-request", { message, facts: { field } });
};

/**
 * Parses a query. `lastEventId` wins over `from` and `cursor`: the read continues after that record.
 * @throws Fault "bad-request"
 */
export function parseTail(query: string, lastEventId: string | undefined): TailRequest {
  const params = new URLSearchParams(query);
  for (const name of params.keys()) {
    if (!(tailParams as readonly string[]).includes(name)) {
      if (name === "log_id") return reject("log_id needs the log that has this id: log=NAME", name);
      const known = [...tailParams, ...tailLogParams].join(", ");
      return reject(`there is no parameter ${quoted(name)}, only ${known}${ampersandHint(name)}`, name);
    }
    if (params.getAll(name).length > 1) return reject(`${name} is given more than once`, name);
  }
  const rest = parseRest(params);
  if (lastEventId === undefined || lastEventId === "") {
    // URLSearchParams decodes a plus sign as a space. In +02:00 a plus sign is meant.
    const cursor = params.get("cursor");
    const from = params.get("from") ?? (cursor === null ? "end" : "start");
    const start = parseFrom(from.replace(/ (?=\d\d:\d\d$)/, "+"));
    return { start, ...rest, ...(cursor === null ? {} : { cursor: cursorNameOf(cursor) }) };
  }
  const { offset, logId } = parseEventId(lastEventId);
  return { start: { offset: offset + 1 }, seenLogId: logId, ...rest };
}

/**
 * The id of an event of one log: the offset of its last record, after the id of a named log. A name can be given to another
 * log while a reader is away, so an offset alone does not say where the reader was.
 */
export const eventId = (offset: Offset, logId: string | undefined): string =>
  logId === undefined ? String(offset) : `${logId}.${offset}`;

/** @throws Fault "bad-request" */
export function parseRest(params: URLSearchParams): Omit<TailRequest, "start"> {
  const format = parseFormat(params);
  const [limit, batch] = [params.get("limit"), params.get("batch")];
  if (limit !== null && !(/^[1-9]\d*$/.test(limit) && Number.isSafeInteger(Number(limit)))) {
    return reject("limit must be a whole number from 1 on", "limit");
  }
  if (batch !== null && !(/^[1-9]\d{0,3}$/.test(batch) && Number(batch) <= batchMax)) {
    return reject(`batch must be a whole number from 1 to ${batchMax}`, "batch");
  }
  const filter = params.get("filter");
  if (filter === "") return reject("filter is empty", "filter");
  return {
    limit: Number(limit ?? 0),
    format,
    batch: batch === null ? undefined : Number(batch),
    ...(filter === null ? {} : { filter }),
  };
}

/** @throws Fault "bad-request" */
export function parseFormat(params: URLSearchParams): ValueFormat {
  const format = params.get("format") ?? "base64";
  if (format === "base64" || format === "text" || format === "json") return format;
  return reject(`format must be base64, text or json, not "${format}"`, "format");
}

/** Also takes an offset alone. */
function parseEventId(text: string): { readonly offset: number; readonly logId: string | undefined } {
  const [, logId, digits] = /^(?:(\d+-\d+)\.)?(\d+)$/.exec(text) ?? [];
  const offset = Number(digits);
  if (Number.isSafeInteger(offset + 1)) return { offset, logId };
  return reject(
    `Last-Event-ID must be the id of the last event seen, or the offset of its record, not "${text.slice(0, shownCharsMax)}"`,
    "Last-Event-ID",
  );
}

/**
 * Parses the start of a read. The command line uses it too.
 * @throws Fault "bad-request"
 */
export function parseFrom(from: string): ReadStart {
  if (from === "end") return { end: true };
  if (from === "start") return { fromTimeMs: 0 };
  if (/^\d+$/.test(from)) return { offset: parseOffset(from) };
  if (/^-\d+$/.test(from)) return { last: parseOffset(from.slice(1)) };
  if (/^@\d+$/.test(from)) return { fromTimeMs: parseOffset(from.slice(1)) };
  const timeMs = parseTime(from);
  // No record is older than 1970.
  if (timeMs !== undefined) return { fromTimeMs: Math.max(0, timeMs) };
  const found = from.length > shownCharsMax ? `${from.slice(0, shownCharsMax)}…` : from;
  const hint = /^\d{4}-\d\d-\d\d/.test(from)
    ? "a time must be a date that exists, alone for midnight in UTC or with a time of day and a zone, such as 2026-01-31T12:00:00Z or 2026-01-31T12:00:00.5+01:00"
    : "from must be an offset, start, end, -N for the last N, @milliseconds or a time such as 2026-01-31 or 2026-01-31T12:00:00Z";
  return reject(`${hint}, not "${found}"`, "from");
}
