/**
 * What browsers may do: other origins by allow-list (CORS), state changes from the same origin only, and no page of a
 * foreign name that was made to point at this machine (DNS rebinding). Pure.
 *
 * Why: a browser attaches a client certificate by itself, and reaches a server on loopback, whatever page is open.
 *
 * Never: answers `*`.
 */
import { isIP } from "node:net";
import { cors } from "@connectrpc/connect";

export interface OriginRules {
  /** Other origins whose pages may call, such as `https://example.org`. */
  readonly origins: readonly string[];
  /** Names a plaintext caller may call this server by, besides localhost and addresses. */
  readonly hosts: readonly string[];
}

const allowHeaders = [
  ...cors.allowedHeaders,
  "traceparent",
  "tracestate",
  "x-request-id",
  "last-event-id",
  "tailrace-forward",
  "tailrace-trace-record",
].join(", ");
const exposeHeaders = [...cors.exposedHeaders, "x-request-id"].join(", ");

/** Response headers for a request that carries this Origin; undefined when that origin is not allowed. */
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

/** What a preflight answers, besides corsHeaders. */
export const preflightHeaders: Readonly<Record<string, string>> = {
  "access-control-allow-methods": cors.allowedMethods.join(", "),
  "access-control-allow-headers": allowHeaders,
  "access-control-max-age": "7200",
};

export interface Provenance {
  readonly origin: string | undefined;
  /** The header Sec-Fetch-Site. */
  readonly fetchSite: string | undefined;
  /** `https://host:port` as the caller names this server. */
  readonly self: string;
}

/**
 * May a page from there change something here? Programs that are not browsers send neither header. No page can set
 * Sec-Fetch-Site itself; behind a proxy that speaks TLS it is what says that a page is this server's own.
 */
export function mayChange({ origin, fetchSite, self }: Provenance, rules: OriginRules): boolean {
  if (fetchSite === "same-origin") return true;
  if (origin !== undefined) return origin === self || rules.origins.includes(origin);
  return fetchSite === undefined || fetchSite === "same-origin" || fetchSite === "none";
}

/** Is this a name that a plaintext caller may use: localhost, an address, or a configured one? */
export function isKnownHost(authority: string, rules: OriginRules): boolean {
  const host = hostOf(authority).toLowerCase();
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    isIP(host) !== 0 ||
    rules.hosts.some((known) => known.toLowerCase() === host)
  );
}

/** `[::1]:80` → `::1`, `localhost:80` → `localhost`. What is not of these forms is answered as it is. */
function hostOf(authority: string): string {
  if (!authority.startsWith("[")) return beforePort(authority) ?? authority;
  const close = authority.indexOf("]");
  const isWhole = close === authority.length - 1 || beforePort(authority) === authority.slice(0, close + 1);
  return close > 0 && isWhole ? authority.slice(1, close) : authority;
}

/** The text before `:digits` at the end; undefined when it does not end so. */
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

/** `ffff:…:ffff:255.255.255.255`, with room for a port. */
const bareIpv6CharsMax = 64;

/** Node's own HTTP/2 client leaves out the brackets around an IPv6 address: `::1:80` → `[::1]:80`. */
export function bracketIpv6(authority: string): string {
  if (authority.length > bareIpv6CharsMax) return authority;
  const host = beforePort(authority);
  if (host === undefined || isIP(host) !== 6 || host.includes("%")) return authority;
  return `[${host}]${authority.slice(host.length)}`;
}
