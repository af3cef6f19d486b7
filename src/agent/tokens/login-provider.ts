/**
 * The OpenID provider with which users log in, from `--oidc-client-id`: the code flow with PKCE by openid-client, which is loaded with the
 * first login. The ID token of a login is verified as any token of the issuer (tokens/issuer/), not here.
 */
import { readFile } from "node:fs/promises";
import type { Configuration } from "openid-client";
import type { LoginProvider, PendingLogin } from "../../api/mod.ts";
import { Fault } from "../../fault.ts";
import { errorText } from "../../lib/disk/disk.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { boundedFetch } from "./bounded-fetch.ts";

export interface LoginProviderOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecretFile: string | undefined;
  readonly scopes: readonly string[];
  readonly clock: Clock;
}

/** The configuration of the provider, and the secret, are read again after so long; after a failure, after the shorter time. */
const freshMs = 600_000;
const cooldownMs = 10_000;
/** The longest URL of the provider. One of its pages is in a header of a response. */
const urlCharsMax = 2_048;

export class OpenIdLogin implements LoginProvider {
  readonly #options: LoginProviderOptions;
  #loaded: Promise<Configuration> | undefined;
  /** On the monotonic clock. */
  #reloadMs = 0;

  constructor(options: LoginProviderOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.issuer;
  }

  /** See LoginProvider. */
  async begin(callbackUrl: string): Promise<{ readonly url: string; readonly pending: PendingLogin }> {
    const client = await import("openid-client");
    const configuration = await this.#configuration();
    const pending: PendingLogin = {
      state: client.randomState(),
      nonce: client.randomNonce(),
      codeVerifier: client.randomPKCECodeVerifier(),
    };
    const url = client.buildAuthorizationUrl(configuration, {
      redirect_uri: callbackUrl,
      scope: this.#options.scopes.join(" "),
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(pending.codeVerifier),
      code_challenge_method: "S256",
    });
    return { url: url.href, pending };
  }

  /** See LoginProvider. */
  async finish(url: URL, { state, nonce, codeVerifier }: PendingLogin): Promise<string> {
    const client = await import("openid-client");
    const configuration = await this.#configuration();
    try {
      const tokens = await client.authorizationCodeGrant(configuration, url, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: codeVerifier,
        idTokenExpected: true,
      });
      return tokens.id_token ?? "";
    } catch (cause) {
      if (faultIn(cause) !== undefined) throw faultIn(cause);
      throw new Fault("unauthenticated", {
        message: `the login is not valid: ${textOf(cause)}`,
        facts: { reason: "LOGIN_INVALID" },
        cause,
      });
    }
  }

  #configuration(): Promise<Configuration> {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#loaded !== undefined && nowMs < this.#reloadMs) return this.#loaded;
    this.#reloadMs = nowMs + freshMs;
    const loading = this.#load();
    loading.catch(() => {
      if (this.#loaded === loading) this.#reloadMs = clock.monotonicMs() + cooldownMs;
    });
    this.#loaded = loading;
    return loading;
  }

  async #load(): Promise<Configuration> {
    const { issuer, clientId, clientSecretFile } = this.#options;
    const client = await import("openid-client");
    const url = new URL(issuer);
    try {
      const secret = clientSecretFile === undefined ? undefined : await readSecret(clientSecretFile);
      const authentication = secret === undefined ? client.None() : client.ClientSecretBasic(secret);
      const configuration = await client.discovery(url, clientId, {}, authentication, {
        [client.customFetch]: (target, { body, headers, method }) =>
          boundedFetch(target, { body: body as RequestInit["body"], headers, method } as RequestInit),
        // --oidc-issuer is http on loopback only.
        execute: url.protocol === "http:" ? [client.allowInsecureRequests] : [],
      });
      const { issuer: found, ...endpoints } = configuration.serverMetadata();
      if (found !== issuer) throw new Error(`it is that of another issuer, ${found}`);
      for (const name of ["authorization_endpoint", "token_endpoint"] as const)
        requireUrl(name, endpoints[name], url.protocol);
      return configuration;
    } catch (cause) {
      throw (
        faultIn(cause) ??
        new Fault("unavailable", {
          message: `the configuration of ${issuer} cannot be used: ${textOf(cause)}`,
          cause,
        })
      );
    }
  }
}

/** The library checks an endpoint only when it is used, and by then the configuration is cached. `protocol` is that of the issuer. */
function requireUrl(name: string, value: unknown, protocol: string): void {
  const url = typeof value === "string" && value.length <= urlCharsMax ? URL.parse(value) : null;
  if (url?.protocol === "https:" || (url !== null && url.protocol === protocol)) return;
  throw new Error(`its ${name} is ${value === undefined ? "missing" : "not a URL of https, or is too long"}`);
}

async function readSecret(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw new Fault("unavailable", { message: `--oidc-client-secret-file: ${errorText(cause)}`, cause });
  }
}

/** The library wraps what its fetch threw. */
function faultIn(error: unknown): Fault | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++)
    if (at instanceof Fault) return at;
  return undefined;
}

/** The message of the library, and what the provider said. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { error: code, error_description: description } = error as {
    readonly error?: unknown;
    readonly error_description?: unknown;
  };
  const inner = error.cause instanceof Error ? error.cause.message : undefined;
  const said = [code, description, inner].filter((text) => typeof text === "string").join(": ");
  return said === "" ? error.message : `${error.message} (${said.slice(0, 200)})`;
}
