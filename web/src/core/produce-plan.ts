/**
 * What the produce box sends: its fields checked and turned into bytes, and ×N at rate R cut into batches so that
 * a few requests a second carry it. Pure.
 */
import { fromBase64 } from "./base64.ts";

export type ValueKind = "text" | "json" | "base64";

export interface Draft {
  readonly kind: ValueKind;
  readonly value: string;
  readonly key: string;
  /** One `name: value` a line. */
  readonly headers: string;
  readonly count: number;
  /** Records a second; 0 is as fast as it goes. */
  readonly rate: number;
}

const countMax = 1_000_000;
const rateMax = 20_000;
/** Bytes of values in one request at most: far below what a server takes. */
const batchBytesMax = 512 << 10;
const batchRecordsMax = 1_000;
const ticksPerSecond = 10;

export interface Prepared {
  readonly value: Uint8Array;
  readonly key: Uint8Array;
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array }[];
}

export type Checked =
  | { readonly ok: true; readonly record: Prepared }
  | { readonly ok: false; readonly field: "value" | "headers" | "count" | "rate"; readonly why: string };

const utf8 = new TextEncoder();

/** The record of a draft, or which field is wrong and why. `{n}` is filled in by fill(), not here. */
export function check(draft: Draft): Checked {
  if (!Number.isInteger(draft.count) || draft.count < 1 || draft.count > countMax) {
    return { ok: false, field: "count", why: `a whole number from 1 to ${countMax}` };
  }
  if (!(draft.rate >= 0) || draft.rate > rateMax) {
    return { ok: false, field: "rate", why: `from 0 (unlimited) to ${rateMax} a second` };
  }
  const value = valueBytes(draft);
  if (typeof value === "string") return { ok: false, field: "value", why: value };
  const headers: { key: string; value: Uint8Array }[] = [];
  for (const line of draft.headers.split("\n").filter((text) => text.trim() !== "")) {
    const colon = line.indexOf(":");
    if (colon < 1) return { ok: false, field: "headers", why: `“${line.slice(0, 30)}” is not name: value` };
    headers.push({ key: line.slice(0, colon).trim(), value: utf8.encode(line.slice(colon + 1).trim()) });
  }
  return { ok: true, record: { value, key: utf8.encode(draft.key), headers } };
}

function valueBytes(draft: Draft): Uint8Array | string {
  if (draft.kind === "base64") return fromBase64(draft.value) ?? "not base64";
  if (draft.kind === "json") {
    try {
      JSON.parse(draft.value);
    } catch (error) {
      return `not JSON: ${(error as Error).message.slice(0, 100)}`;
    }
  }
  return utf8.encode(draft.value);
}

export interface Batching {
  /** Records a request. */
  readonly records: number;
  /** Between the starts of two requests; 0 is none. */
  readonly everyMs: number;
}

/** How to cut a run of records into requests: at most ten a second when a rate is asked for. */
export function batching(draft: Draft, recordBytes: number): Batching {
  const fit = Math.max(1, Math.min(batchRecordsMax, Math.floor(batchBytesMax / Math.max(1, recordBytes))));
  if (draft.rate === 0) return { records: Math.min(fit, draft.count), everyMs: 0 };
  const wanted = Math.max(1, Math.round(draft.rate / ticksPerSecond));
  const records = Math.min(fit, wanted, draft.count);
  return { records, everyMs: (records / draft.rate) * 1000 };
}
