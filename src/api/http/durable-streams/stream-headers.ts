/**
 * The headers and offsets of the Durable Streams protocol. Pure.
 *
 *   offset := 16 digits                     the offset of a record, with zeros in front, so that offsets sort as texts
 *          |  16 zeros "_" 16 digits        the same, as other servers write it; only in requests
 *   ttl    := "0" | digit of 1 to 9, digits              seconds
 */
import { Fault } from "../../../fault.ts";
import { parseRfc3339 } from "../../../lib/time/rfc3339.ts";
import type { LogInfo, Offset } from "../../../types.ts";
import { type Exchange, headerOf, quoted, type ResponseHeaders } from "../exchange/exchange.ts";

const offsetDigits = 16;
const offsetForm = /^(?:0{16}_)?(\d{16})$/;

/** The last time that RFC 3339 can state. A log can have a later one by another request. */
const lastMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

export const offsetText = (offset: Offset): string => String(offset).padStart(offsetDigits, "0");

const reject = (message: string, field: string): never => {
  throw new Fault("bad-request", { message, facts: { field } });
};

/** Where a read begins. */
export type StreamStart = "start" | "now" | Offset;

/** @throws Fault "bad-request" */
export function parseStreamStart(text: string, field = "offset"): StreamStart {
  if (text === "-1") return "start";
  return text === "now" ? "now" : parseStreamOffset(text, field);
}

/** @throws Fault "bad-request" */
function parseStreamOffset(text: string, field: string): Offset {
  const offset = Number(offsetForm.exec(text)?.[1]);
  if (Number.isSafeInteger(offset)) return offset;
  return reject(
    `${field} must be an offset from Stream-Next-Offset (16 digits), -1 or now, not "${quoted(text)}"`,
    field,
  );
}

/** Whether a header of a request is `true`. Any other value counts as absent. */
export const isTrue = (exchange: Pick<Exchange, "headers">, name: string): boolean =>
  headerOf(exchange, name)?.trim().toLowerCase() === "true";

/** When a stream is to be deleted. */
export interface StreamLifetime {
  readonly ttlMs?: number;
  readonly expiresAtMs?: number;
}

/** @throws Fault "bad-request" */
export function lifetimeOf(exchange: Pick<Exchange, "headers">): StreamLifetime {
  const ttl = headerOf(exchange, "stream-ttl");
  const expires = headerOf(exchange, "stream-expires-at");
  if (ttl !== undefined && expires !== undefined)
    return reject("Stream-TTL and Stream-Expires-At are not combined", "Stream-TTL");
  if (ttl !== undefined) {
    const ttlMs = /^[1-9]\d{0,12}$/.test(ttl) ? Number(ttl) * 1000 : Number.NaN;
    if (Number.isSafeInteger(ttlMs)) return { ttlMs };
    return reject(
      `Stream-TTL must be a whole number of seconds from 1 on, without zeros in front, not "${quoted(ttl)}"`,
      "Stream-TTL",
    );
  }
  if (expires === undefined) return {};
  const expiresAtMs = parseRfc3339(expires);
  if (expiresAtMs !== undefined && expiresAtMs > 0 && expiresAtMs <= lastMs) return { expiresAtMs };
  return reject(
    `Stream-Expires-At must be a time of RFC 3339 up to the year 9999, such as 2026-01-31T12:00:00Z, not "${quoted(expires)}"`,
    "Stream-Expires-At",
  );
}

/** What the responses to HEAD and PUT say about a stream. */
export const infoHeaders = (info: LogInfo): ResponseHeaders => ({
  ...positionHeaders(info.next, info.closed),
  ...lifetimeHeaders(info),
});

/** A time of expiry, also one that RFC 3339 cannot state. */
export const expiryText = (ms: number): string => new Date(Math.min(ms, lastMs)).toISOString();

/** When a stream is deleted, as its settings say. */
export function lifetimeHeaders({ settings }: Pick<LogInfo, "settings">): ResponseHeaders {
  const { ttlMs, expiresAtMs } = settings;
  return {
    ...(ttlMs === undefined ? {} : { "stream-ttl": String(Math.ceil(ttlMs / 1000)) }),
    ...(expiresAtMs === undefined ? {} : { "stream-expires-at": expiryText(expiresAtMs) }),
  };
}

/** `closed`: the stream is closed, and the position is its end. */
export const positionHeaders = (next: Offset, closed: boolean): ResponseHeaders => ({
  "stream-next-offset": offsetText(next),
  ...(closed ? { "stream-closed": "true" } : {}),
});

/** A page of another origin does not get a stream as a picture or a script. Pages of listed origins use CORS. */
export const guardHeaders: ResponseHeaders = { "cross-origin-resource-policy": "same-origin" };
