/** Login and logout at the node of this page. The session is a cookie that no script can read. */

export interface LoginOptions {
  /** The provider of logins. Undefined: users log in with a token only. */
  readonly provider: string | undefined;
  /** The browser has the cookie of a session that has ended. The node refuses requests with it. */
  readonly hasEnded: boolean;
}

/** Resolves to how users can log in; to a token only, if the node does not say so. */
export async function loginOptions(): Promise<LoginOptions> {
  try {
    const { provider, session } = await (await fetch("/login/options")).json();
    return { provider: typeof provider === "string" ? provider : undefined, hasEnded: session === "ended" };
  } catch {
    return { provider: undefined, hasEnded: false };
  }
}

/** The page that leads to the provider, and then back to this one. */
export const providerPage = (): string =>
  `/login?return=${encodeURIComponent(`${location.pathname}${location.search}`)}`;

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
    location.reload();
    return undefined;
  } catch {
    return "The node does not answer";
  }
}

/** Logs out and loads the page again. Resolves to false if the session goes on until it expires. */
export async function logOut(): Promise<boolean> {
  try {
    const { ok } = await fetch("/logout", { method: "POST" });
    if (ok) location.reload();
    return ok;
  } catch {
    return false;
  }
}
