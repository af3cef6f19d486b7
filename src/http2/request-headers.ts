/** Checks the fields of a request (RFC 9113 §8.2 and §8.3) and turns them into an object like Node's. */
import type { IncomingHttpHeaders } from "node:http2";

const pseudo: ReadonlySet<string> = new Set([":method", ":scheme", ":path", ":authority"]);
/** Connection-specific fields of HTTP/1.1. HTTP/2 forbids them (RFC 9113 §8.2.2). */
export const connectionFields: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
/** Of these fields only the first counts. Repeated other fields are joined: two Authorization are refused as one malformed value. */
const single: ReadonlySet<string> = new Set([
  "content-type",
  "content-length",
  "host",
  "user-agent",
  "referer",
]);

/** Returns the headers, or undefined if the request is malformed (RFC 9113 §8.1.1). */
export function requestHeaders(
  fields: readonly (readonly [name: string, value: string])[],
): IncomingHttpHeaders | undefined {
  const headers: Record<string, string> = Object.create(null);
  let hasRegular = false;
  for (const [name, value] of fields) {
    if (name.charCodeAt(0) === 0x3a) {
      if (hasRegular || !pseudo.has(name) || name in headers) return undefined;
      headers[name] = value;
      continue;
    }
    hasRegular = true;
    if (!isFieldName(name) || !isFieldValue(value) || connectionFields.has(name)) return undefined;
    if (name === "te" && value !== "trailers") return undefined;
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (!single.has(name)) headers[name] = `${before}${name === "cookie" ? "; " : ", "}${value}`;
    else if (name === "content-length" && before !== value) return undefined;
    else if (name === "host" && before.toLowerCase() !== value.toLowerCase()) return undefined;
  }
  return isRequest(headers) ? headers : undefined;
}

/** True if the pseudo-header fields fit the method (§8.3.1, §8.5) and `host` does not contradict `:authority`. */
function isRequest(headers: Readonly<Record<string, string>>): boolean {
  const { ":method": method, ":scheme": scheme, ":path": path, ":authority": authority, host } = headers;
  if (method === undefined || !isToken(method)) return false;
  if (authority !== undefined && !isAuthority(authority)) return false;
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase())
    return false;
  const length = headers["content-length"];
  if (length !== undefined && !/^\d+$/.test(length)) return false;
  if (method === "CONNECT") return scheme === undefined && path === undefined && !!authority;
  if (scheme === undefined || !/^[A-Za-z][A-Za-z0-9+.-]*$/.test(scheme)) return false;
  return path !== undefined && isPath(path, method);
}

/** True if the fields are valid trailers, which contain no pseudo-header field. */
export function areTrailers(fields: readonly (readonly [name: string, value: string])[]): boolean {
  return fields.every(
    ([name, value]) => isFieldName(name) && isFieldValue(value) && !connectionFields.has(name),
  );
}

// Each has one character class, so that its time is linear in the length.
const isFieldName = (name: string): boolean => /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name);
const isFieldValue = (value: string): boolean =>
  !/[\0\r\n]/.test(value) && !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(value.length - 1));
const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;
const isToken = (text: string): boolean => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
const isAuthority = (text: string): boolean => !/[\0-\x20\x7f@/?#\\]/.test(text);
const isPath = (text: string, method: string): boolean =>
  (text.charCodeAt(0) === 0x2f && !/[\0-\x20\x7f]/.test(text)) || (text === "*" && method === "OPTIONS");
