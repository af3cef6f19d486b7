/**
 * What pages in a browser can do. Other origins need an allow-list (CORS), and the answer is never `*`. State changes need
 * the same or a listed origin. On plaintext, names that are not configured are refused (DNS rebinding).
 *
 * The reason: a browser attaches a client certificate by itself and reaches servers on loopback, from any page.
 */
import { isIP } from "node:net";
import { cors } from "@connectrpc/connect";
import { headerOf, type RequestHeaders } from "./exchange/exchange.ts";

export interface OriginRules {
  /** Other origins whose pages can call this server, such as `https://example.org`. */
  readonly origins: readonly string[];
  /** Names of this server on plaintext connections, in addition to localhost and addresses. */
  readonly hosts: readonly string[];
}

const allowHeaders = [
  ...cors.allowedHeaders,
  "authorization",
  "traceparent",
  "tracestate",
  "x-request-id",
  "last-event-id",
  "tailrace-forward",
  "tailrace-trace-record",
  // Of named logs.
  "if-match",
  "if-none-match",
  "tailrace-key",
  "tailrace-key-base64",
  "tailrace-expected-offset",
  "tailrace-producer",
  // Of streams.
  "producer-id",
  "producer-epoch",
  "producer-seq",
  "stream-closed",
  "stream-expires-at",
  "stream-seq",
  "stream-ttl",
].join(", ");
const exposeHeaders = [
  ...cors.exposedHeaders,
  "x-request-id",
  "etag",
  "location",
  "tailrace-log-id",
  "tailrace-lowest",
  "tailrace-next",
  "tailrace-offset",
  "tailrace-stored",
  "tailrace-timestamp-ms",
  "producer-epoch",
  "producer-expected-seq",
  "producer-received-seq",
  "producer-seq",
  "stream-closed",
  "stream-cursor",
  "stream-expires-at",
  "stream-next-offset",
  "stream-sse-data-encoding",
  "stream-ttl",
  "stream-up-to-date",
].join(", ");
const allowMethods = [...cors.allowedMethods, "HEAD", "PUT", "PATCH", "DELETE"].join(", ");

/** Returns the response headers for a request with this Origin; undefined if the origin is not allowed. */
export function corsHeaders(
  origin: string,
  rules: OriginRules,
): Readonly<Record<string, string>> | undefined {
  if (!rules.origins.includes(origin)) return undefined;
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": exposeHeaders,
  };
}

/** The headers of the response to a preflight, in addition to corsHeaders. */
export const preflightHeaders: Readonly<Record<string, string>> = {
  "access-control-allow-methods": allowMethods,
  "access-control-allow-headers": allowHeaders,
  "access-control-max-age": "7200",
};

export interface Provenance {
  readonly origin: string | undefined;
  /** The header Sec-Fetch-Site. */
  readonly fetchSite: string | undefined;
  /** The origin of this server as the client names it: `https://host:port`. */
  readonly self: string;
}

/**
 * Returns whether a request of this provenance can change state. Programs that are not browsers send neither header. A
 * page cannot set Sec-Fetch-Site itself. Behind a proxy that terminates TLS, only this header shows the same origin.
 */
export function canChangeState({ origin, fetchSite, self }: Provenance, rules: OriginRules): boolean {
  if (fetchSite === "same-origin") return true;
  if (origin !== undefined) return origin === self || rules.origins.includes(origin);
  return fetchSite === undefined || fetchSite === "same-origin" || fetchSite === "none";
}

/** Returns where a request comes from, as its headers say. `secure`: it came over TLS. */
export function provenanceOf(
  { headers, authority }: { readonly headers: RequestHeaders; readonly authority: string | undefined },
  secure: boolean,
): Provenance {
  const origin = headerOf({ headers }, "origin");
  // Compared only with an origin.
  const self = origin === undefined ? "" : `${secure ? "https" : "http"}://${authority ?? ""}`;
  return { origin, fetchSite: headerOf({ headers }, "sec-fetch-site"), self };
}

/**
 * Returns whether the cookie of a session counts for a request of this provenance. Browsers send Origin with each request that is
 * not a GET or HEAD, so one without it and without Sec-Fetch-Site is not of a page.
 */
export function canUseCookie(
  { origin, fetchSite, self }: Provenance,
  isRead: boolean,
  rules: OriginRules,
): boolean {
  if (fetchSite === "same-origin") return true;
  if (origin !== undefined) return origin === self || rules.origins.includes(origin);
  return isRead && (fetchSite === undefined || fetchSite === "none");
}

/** Returns whether a plaintext client can use this name: localhost, an address or a configured name. */
export function isKnownHost(authority: string, rules: OriginRules): boolean {
  const host = hostOf(authority).toLowerCase();
  return (
    host === "localhost" ||
    /^[\w.-]+\.localhost$/.test(host) ||
    isIP(host) !== 0 ||
    rules.hosts.some((known) => known.toLowerCase() === host)
  );
}

/** `[::1]:80` → `::1`, `localhost:80` → `localhost`. Text of another form is returned unchanged. */
function hostOf(authority: string): string {
  if (!authority.startsWith("[")) return beforePort(authority) ?? authority;
  const close = authority.indexOf("]");
  const isWhole = close === authority.length - 1 || beforePort(authority) === authority.slice(0, close + 1);
  return close > 0 && isWhole ? authority.slice(1, close) : authority;
}

/** Returns the text before `:digits` at the end; undefined if there is no port. */
function beforePort(authority: string): string | undefined {
  const colon = authority.lastIndexOf(":");
  return colon >= 0 && isDigits(authority, colon + 1) ? authority.slice(0, colon) : undefined;
}

function isDigits(text: string, from: number): boolean {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x30 || code > 0x39) return false;
  }
  return from < text.length;
}

/** Longer than `ffff:…:ffff:255.255.255.255` with a port. */
const bareIpv6CharsMax = 64;

/** `::1:80` → `[::1]:80`: Node's HTTP/2 client leaves out the brackets around an IPv6 address. */
export function bracketIpv6(authority: string): string {
  if (authority.length > bareIpv6CharsMax) return authority;
  const host = beforePort(authority);
  if (host === undefined || isIP(host) !== 6 || host.includes("%")) return authority;
  return `[${host}]${authority.slice(host.length)}`;
}
