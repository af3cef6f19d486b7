/** Finds the key and headers of a stored record in its bytes (log/FORMAT.md), without copying them. */
import { delimitedEnd, varintEnd } from "../../lib/bytes.ts";
import { headerKeyTag, headersTag, keyTag } from "../../log/mod.ts";

/** Bytes from `from` to before `to`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

const nothing: Span = { from: 0, to: 0 };

/** The key of the record at `start … end`. Empty if it has none. A damaged record has none either: it was checked before. */
export function findKey(bytes: Uint8Array, start: number, end: number): Span {
  let found = nothing;
  for (let at = start; at < end; ) {
    const next = delimitedEnd(bytes, at + 1, end);
    if (next < 0) return found;
    if (bytes[at] === keyTag) found = { from: varintEnd(bytes, at + 1, end), to: next };
    at = next;
  }
  return found;
}

/** The value of the last header of that name; undefined if there is none. */
export function findHeader(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: Uint8Array,
): Span | undefined {
  let found: Span | undefined;
  for (let at = start; at < end; ) {
    const next = delimitedEnd(bytes, at + 1, end);
    if (next < 0) return found;
    if (bytes[at] === headersTag)
      found = headerValue(bytes, varintEnd(bytes, at + 1, end), next, name) ?? found;
    at = next;
  }
  return found;
}

function headerValue(bytes: Uint8Array, start: number, end: number, name: Uint8Array): Span | undefined {
  let value = nothing;
  let key = nothing;
  for (let at = start; at < end; ) {
    const next = delimitedEnd(bytes, at + 1, end);
    if (next < 0) return undefined;
    const span = { from: varintEnd(bytes, at + 1, end), to: next };
    if (bytes[at] === headerKeyTag) key = span;
    else value = span;
    at = next;
  }
  const isNamed = key.to - key.from === name.length && startsWith(bytes, key.from, key.to, name);
  return isNamed ? value : undefined;
}

export function startsWith(bytes: Uint8Array, from: number, to: number, prefix: Uint8Array): boolean {
  if (to - from < prefix.length) return false;
  for (let at = 0; at < prefix.length; at++) if (bytes[from + at] !== prefix[at]) return false;
  return true;
}
