/**
 * Login with an OpenID provider: the authorization code flow with PKCE (RFC 6749 §4.1, RFC 7636, OpenID Connect Core §3.1).
 *
 *   GET /login → the provider's page → GET /login/callback → the page of before, with the cookie of a session
 *
 * What the callback needs is in a sealed cookie of ten minutes, so the callback can reach another node. It is the only cookie that a
 * link from another site may bring. A login is completed once; the provider takes its code once.
 * Each attempt is a request to the provider with the secret of the client, so failed attempts are limited as those of tokens are.
 */
import { Fault } from "../../../fault.ts";
import { clientNetworkOf } from "../../../lib/names/client-network.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import { FailedAttempts, type Sessions } from "../../../tokens/mod.ts";

/** What finish() needs of begin(). */
export interface PendingLogin {
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

export interface LoginProvider {
  /** Its name for people: the issuer. */
  readonly name: string;
  /** Resolves to the URL of the provider's page. @throws Fault "unavailable" */
  begin(callbackUrl: string): Promise<{ readonly url: string; readonly pending: PendingLogin }>;
  /**
   * Resolves to the ID token. `url` is that of the callback, with its query.
   * @throws Fault "unauthenticated" if the response does not belong to the login, or the provider refuses; "unavailable"
   */
  finish(url: URL, pending: PendingLogin): Promise<string>;
}

export interface ProviderLoginOptions {
  readonly provider: LoginProvider;
  readonly sessions: Pick<Sessions, "seal" | "unseal">;
  readonly clock: Clock;
}

/** What the cookie of a login holds. Only nodes of the cluster can seal it. */
type SealedLogin = readonly [
  state: string,
  nonce: string,
  codeVerifier: string,
  callbackUrl: string,
  returnTo: string,
  untilMs: number,
];

/** How long a user has at the provider, in ms. */
export const loginMs = 600_000;
/** States of completed logins that are remembered, and logins that are being completed. */
const completedMax = 4_096;
const underWayMax = 32;
/** Of clients of one network. */
const underWayOfNetworkMax = 4;
const returnCharsMax = 1_000;

export class ProviderLogin {
  readonly #options: ProviderLoginOptions;
  readonly #completed = new Set<string>();
  readonly #failures = new FailedAttempts();
  /** Network → logins that are being completed. */
  readonly #underWay = new Map<string, number>();

  constructor(options: ProviderLoginOptions) {
    this.#options = options;
  }

  /** Resolves to the URL of the provider's page, and the value for the cookie of the login. */
  async begin(
    callbackUrl: string,
    returnTo: string,
  ): Promise<{ readonly url: string; readonly cookie: string }> {
    const { provider, sessions, clock } = this.#options;
    const { url, pending } = await provider.begin(callbackUrl);
    const { state, nonce, codeVerifier } = pending;
    const untilMs = clock.wallMs() + loginMs;
    const value: SealedLogin = [state, nonce, codeVerifier, callbackUrl, returnTo, untilMs];
    return { url, cookie: await sessions.seal("login", Buffer.from(JSON.stringify(value))) };
  }

  /**
   * Resolves to the ID token. `peer` is the address and port of the client.
   * @throws Fault "unauthenticated", "unavailable"; "overloaded" also after many failed attempts of the address
   */
  async finish(
    cookie: string | undefined,
    query: string,
    peer: string,
  ): Promise<{ readonly token: string; readonly returnTo: string }> {
    const { clock } = this.#options;
    const network = clientNetworkOf(peer);
    const waitMs = this.#failures.waitMs(network, clock.monotonicMs());
    if (waitMs > 0)
      throw new Fault("overloaded", {
        message: `too many logins from this address failed; the next one is completed in ${Math.ceil(waitMs / 1000)} s`,
      });
    try {
      return await this.#finish(cookie, query, network);
    } catch (reason) {
      // Without a cookie, nothing was done.
      if (cookie !== undefined && Fault.from(reason).kind !== "overloaded")
        this.#failures.failed(network, clock.monotonicMs());
      throw reason;
    }
  }

  async #finish(cookie: string | undefined, query: string, network: string) {
    const { provider } = this.#options;
    const { pending, callbackUrl, returnTo } = await this.#pending(cookie);
    const { state } = pending;
    if (new URLSearchParams(query).get("state") !== state)
      throw refusedLogin("the login is not valid: its state is not the one of this browser, begin again");
    if (this.#completed.has(state)) throw refusedLogin("this login was completed before");
    const end = this.#begun(network);
    this.#complete(state);
    try {
      const url = new URL(callbackUrl);
      url.search = query;
      return { token: await provider.finish(url, pending), returnTo };
    } finally {
      end();
    }
  }

  /** Counts a login that is being completed, until the returned function is called. @throws Fault "overloaded" */
  #begun(network: string): () => void {
    const ofNetwork = this.#underWay.get(network) ?? 0;
    let all = 0;
    for (const count of this.#underWay.values()) all += count;
    if (all >= underWayMax || ofNetwork >= underWayOfNetworkMax)
      throw new Fault("overloaded", {
        message: `${all >= underWayMax ? underWayMax : underWayOfNetworkMax} logins are being completed, try again`,
      });
    this.#underWay.set(network, ofNetwork + 1);
    return () => {
      const left = (this.#underWay.get(network) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(network);
      else this.#underWay.set(network, left);
    };
  }

  async #pending(cookie: string | undefined) {
    const { sessions, clock } = this.#options;
    const bytes = cookie === undefined ? undefined : await sessions.unseal("login", cookie);
    if (bytes === undefined)
      throw refusedLogin("the cookie of the login is missing, or not one of this cluster: begin again");
    const value = JSON.parse(Buffer.from(bytes).toString()) as SealedLogin;
    const [state, nonce, codeVerifier, callbackUrl, returnTo, untilMs] = value;
    if (!(clock.wallMs() < untilMs)) throw refusedLogin("the login took too long: begin again");
    return { pending: { state, nonce, codeVerifier }, callbackUrl, returnTo };
  }

  #complete(state: string): void {
    this.#completed.add(state);
    if (this.#completed.size <= completedMax) return;
    for (const oldest of this.#completed) {
      this.#completed.delete(oldest);
      break;
    }
  }
}

const refusedLogin = (message: string): Fault =>
  new Fault("unauthenticated", { message, facts: { reason: "LOGIN_INVALID" } });

/** The dashboard. */
const home = "/ui/";

/** Returns the page of the dashboard that `wish` names; its start for any other text. So no login leads to another site. */
export function returnPathOf(wish: string | null): string {
  if (wish === null || wish.length > returnCharsMax || !wish.startsWith(`${home}`)) return home;
  const base = "http://x.invalid";
  const url = URL.parse(wish, base);
  return url !== null && url.origin === base && url.pathname === home ? `${home}${url.search}` : home;
}
