/** Login and logout at the node of this page. The session is a cookie that no script can read. */
import { nowMs } from "./timing.ts";

export interface LoginOptions {
  /** The provider of logins. Undefined: users log in with a token only. */
  readonly provider: string | undefined;
  /** The browser has the cookie of a session that has ended. The node refuses requests with it. */
  readonly hasEnded: boolean;
  /** When the open session ends, in ms by the clock of the browser. Undefined: there is none, or the node does not say so. */
  readonly endsMs: number | undefined;
}

/** Resolves to how users can log in and what is known of the session; undefined if the node does not answer. */
export async function loginOptions(): Promise<LoginOptions | undefined> {
  // The session ends after this time, never before it.
  const askedMs = nowMs();
  try {
    const { provider, session, left_ms: leftMs } = await (await fetch("/login/options")).json();
    return {
      provider: typeof provider === "string" ? provider : undefined,
      hasEnded: session === "ended",
      endsMs: typeof leftMs === "number" ? askedMs + leftMs : undefined,
    };
  } catch {
    return undefined;
  }
}

/** The page that leads to the provider, and then back to this one. */
export const providerPage = (): string =>
  `/login?return=${encodeURIComponent(`${location.pathname}${location.search}`)}`;

/** Loads the page again, so that no state of another subject stays. */
export const loadAgain = (): void => location.reload();

/** Logs in with a token and loads the page again. Resolves to the reason if the node refuses. */
export async function logInWith(token: string): Promise<string | undefined> {
  try {
    const headers = { "content-type": "application/json" };
    const response = await fetch("/login/token", {
      method: "POST",
      headers,
      body: JSON.stringify({ token }),
    });
    if (!response.ok) return String((await response.json()).message);
    loadAgain();
    return undefined;
  } catch {
    return "The node does not answer";
  }
}

/** Logs out and loads the page again. Resolves to false if the session goes on until it expires. */
export async function logOut(): Promise<boolean> {
  try {
    const { ok } = await fetch("/logout", { method: "POST" });
    if (ok) loadAgain();
    return ok;
  } catch {
    return false;
  }
}
