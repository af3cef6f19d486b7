/** Cookies of the server (RFC 6265bis). Scripts cannot read them, and a browser sends them to this host only. */

export type CookieName = "tailrace-session" | "tailrace-login";

export interface CookieWish {
  readonly value: string;
  /** In seconds; 0 removes the cookie. */
  readonly maxAgeS: number;
  /** Strict: only requests from pages of this site have it. Lax: also links to it from another site. */
  readonly sameSite: "Strict" | "Lax";
  readonly secure: boolean;
}

/** With the prefix, browsers take the cookie only over TLS, from this host and for all of it. */
const nameOf = (name: CookieName, secure: boolean): string => (secure ? `__Host-${name}` : name);

/** Returns the value for the header Set-Cookie. */
export function setCookie(name: CookieName, { value, maxAgeS, sameSite, secure }: CookieWish): string {
  const parts = [
    `${nameOf(name, secure)}=${value}`,
    "Path=/",
    `Max-Age=${Math.max(0, Math.floor(maxAgeS))}`,
    "HttpOnly",
    `SameSite=${sameSite}`,
    ...(secure ? ["Secure"] : []),
  ];
  return parts.join("; ");
}

/** Returns the value of a cookie of a request; undefined if it has none. */
export function cookieOf(
  header: string | readonly string[] | undefined,
  name: CookieName,
  secure: boolean,
): string | undefined {
  if (header === undefined) return undefined;
  const text = typeof header === "string" ? header : header.join("; ");
  const start = `${nameOf(name, secure)}=`;
  for (const part of text.split(";")) {
    const pair = part.trim();
    if (pair.startsWith(start)) return pair.slice(start.length);
  }
  return undefined;
}
