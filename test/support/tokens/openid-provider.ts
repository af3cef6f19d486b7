/** A real OpenID provider (oidc-provider) on loopback. It takes any name with any password, and any consent. */
import { generateKeyPairSync } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import Provider from "oidc-provider";

export const providerClient = { id: "tailrace", secret: "a secret of the client" } as const;

export class OpenIdProvider implements AsyncDisposable {
  readonly issuer: string;
  /** The life of an ID token, in seconds. */
  idTokenS = 3_600;
  readonly #server: Server;

  private constructor(server: Server, issuer: string) {
    this.#server = server;
    this.issuer = issuer;
  }

  /** Listens. It answers after serve(). */
  static async open(): Promise<OpenIdProvider> {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return new OpenIdProvider(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  /** `callbacks` are the URLs to which users may return. */
  serve(callbacks: readonly string[]): void {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const provider = new Provider(this.issuer, {
      clients: [
        {
          client_id: providerClient.id,
          client_secret: providerClient.secret,
          redirect_uris: [...callbacks],
          id_token_signed_response_alg: "ES256",
        },
      ],
      cookies: { keys: ["for tests"] },
      jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "p1", alg: "ES256", use: "sig" }] },
      pkce: { required: () => true },
      ttl: {
        IdToken: () => this.idTokenS,
        AccessToken: 3_600,
        Session: 3_600,
        Interaction: 3_600,
        Grant: 3_600,
      },
      findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    });
    this.#server.on("request", provider.callback());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

/** What a browser does with redirects, cookies and the pages of the provider. */
export class LoginVisitor {
  /** Origin and name → value. */
  readonly cookies = new Map<string, string>();
  /** The header Set-Cookie of the last response that had one. */
  setCookies: string[] = [];
  readonly #headers: Readonly<Record<string, string>>;

  /** `headers` are those of each request. */
  constructor(headers: Readonly<Record<string, string>> = {}) {
    this.#headers = headers;
  }

  /** Another browser with the same cookies. */
  copy(): LoginVisitor {
    const copy = new LoginVisitor(this.#headers);
    for (const [name, value] of this.cookies) copy.cookies.set(name, value);
    return copy;
  }

  async request(url: string, init: RequestInit = {}): Promise<Response> {
    const { origin } = new URL(url);
    const cookie = [...this.cookies]
      .filter(([name]) => name.startsWith(`${origin} `))
      .map(([name, value]) => `${name.slice(origin.length + 1)}=${value}`)
      .join("; ");
    const headers = new Headers({
      ...this.#headers,
      ...(init.headers as Record<string, string> | undefined),
    });
    if (cookie !== "") headers.set("cookie", cookie);
    const response = await fetch(url, { ...init, headers, redirect: "manual" });
    const set = response.headers.getSetCookie();
    if (set.length > 0) this.setCookies = set;
    for (const text of set) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(text) ?? [];
      if (value === "" || /max-age=0|expires=Thu, 01 Jan 1970/i.test(text))
        this.cookies.delete(`${origin} ${name}`);
      else this.cookies.set(`${origin} ${name}`, value);
    }
    return response;
  }

  /** Follows redirects and fills in the pages of the provider, until the callback. Resolves to its URL. */
  async logIn(start: string, user: string): Promise<string> {
    let url = start;
    let response = await this.request(url);
    for (let step = 0; step < 20; step++) {
      const location = response.headers.get("location");
      if (location !== null) {
        url = new URL(location, url).href;
        if (new URL(url).pathname === "/login/callback") return url;
        response = await this.request(url);
        continue;
      }
      const page = await response.text();
      const [, prompt] = /name="prompt" value="(\w+)"/.exec(page) ?? [];
      const [, action] = /action="([^"]+)"/.exec(page) ?? [];
      if (prompt === undefined || action === undefined)
        throw new Error(`${url}: ${response.status} ${page.slice(0, 300)}`);
      const form = new URLSearchParams({ prompt, login: user, password: "any" });
      url = new URL(action, url).href;
      response = await this.request(url, { method: "POST", body: form });
    }
    throw new Error("too many steps");
  }
}
