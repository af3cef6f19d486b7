/**
 * Cookies of the server (RFC 6265bis). Scripts cannot read them, and a browser sends them to this host only.
 *
 *   name := "__Host-"? ( "tailrace-session" | "tailrace-login" ) "-" tag of the cluster
 *
 * Browsers keep no cookies apart by port. The tag does, for nodes of several clusters on one host.
 */
import { Fault } from "../../../fault.ts";

export interface Cookie {
  readonly name: "tailrace-session" | "tailrace-login";
  readonly clusterTag: string;
  /** With the prefix, browsers take the cookie only over TLS, from this host and for all of it. */
  readonly secure: boolean;
}

export interface CookieWish {
  readonly value: string;
  /** In seconds; 0 removes the cookie. */
  readonly maxAgeS: number;
  /** Strict: only requests from pages of this site have it. Lax: also links to it from another site. */
  readonly sameSite: "Strict" | "Lax";
}

const nameOf = ({ name, clusterTag, secure }: Cookie): string =>
  `${secure ? "__Host-" : ""}${name}-${clusterTag}`;

/** Returns the value for the header Set-Cookie. */
export function setCookie(cookie: Cookie, { value, maxAgeS, sameSite }: CookieWish): string {
  const parts = [
    `${nameOf(cookie)}=${value}`,
    "Path=/",
    `Max-Age=${Math.max(0, Math.floor(maxAgeS))}`,
    "HttpOnly",
    `SameSite=${sameSite}`,
    ...(cookie.secure ? ["Secure"] : []),
  ];
  return parts.join("; ");
}

/** Returns the value for the header Set-Cookie that removes the cookie. */
export const removeCookie = (cookie: Cookie): string =>
  setCookie(cookie, { value: "", maxAgeS: 0, sameSite: "Strict" });

/**
 * Returns the value of a cookie of a request; undefined if it has none.
 * @throws Fault "unauthenticated" if the request has it twice: another page of the host may have set one of them
 */
export function cookieOf(header: string | readonly string[] | undefined, cookie: Cookie): string | undefined {
  if (header === undefined) return undefined;
  const text = typeof header === "string" ? header : header.join("; ");
  const start = `${nameOf(cookie)}=`;
  let value: string | undefined;
  for (const part of text.split(";")) {
    const pair = part.trim();
    if (!pair.startsWith(start)) continue;
    if (value !== undefined)
      throw new Fault("unauthenticated", {
        message: `the request has the cookie ${nameOf(cookie)} twice; remove the cookies of this host`,
        facts: { reason: cookie.name === "tailrace-login" ? "LOGIN_INVALID" : "SESSION_INVALID" },
      });
    value = pair.slice(start.length);
  }
  return value;
}
