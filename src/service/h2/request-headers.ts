/**
 * The fields of a request as Node spells them, checked as RFC 9113 §8.2 and §8.3 ask. Pure.
 *
 * Never: decides what a header means.
 */
import type { IncomingHttpHeaders } from "node:http2";

const pseudo = new Set([":method", ":scheme", ":path", ":authority"]);
/** They belong to HTTP/1.1's connections; a request that has one is malformed. */
const connectionFields = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
/** Of these only the first counts; all others are joined. */
const single = new Set(["content-type", "content-length", "host", "user-agent", "authorization", "referer"]);

/** The headers, or undefined when the request is malformed. */
export function requestHeaders(
  fields: readonly (readonly [name: string, value: string])[],
): IncomingHttpHeaders | undefined {
  const headers: Record<string, string> = Object.create(null);
  let regular = false;
  for (const [name, value] of fields) {
    if (name.charCodeAt(0) === 0x3a) {
      if (regular || !pseudo.has(name) || name in headers) return undefined;
      headers[name] = value;
      continue;
    }
    regular = true;
    if (!isFieldName(name) || !isFieldValue(value) || connectionFields.has(name)) return undefined;
    if (name === "te" && value !== "trailers") return undefined;
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (!single.has(name)) headers[name] = `${before}${name === "cookie" ? "; " : ", "}${value}`;
    else if (name === "content-length" && before !== value) return undefined;
  }
  if (headers[":method"] === undefined || headers[":scheme"] === undefined || !headers[":path"])
    return undefined;
  return headers;
}

/** Trailers may hold no pseudo-fields; they are checked and forgotten, for no method of ours reads any. */
export function areTrailers(fields: readonly (readonly [name: string, value: string])[]): boolean {
  return fields.every(([name, value]) => isFieldName(name) && isFieldValue(value));
}

const isFieldName = (name: string): boolean => /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name);
const isFieldValue = (value: string): boolean => !/[\0\r\n]/.test(value);
