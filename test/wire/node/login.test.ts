/** Login with a real OpenID provider and with a token, and the session that follows. The dashboard does it in test/browser/login.test.ts. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { type Server, startServer } from "../../../src/agent/embedded/start-server.ts";
import { type ClientTls, openClient } from "../../../src/client/mod.ts";
import { issueToken, makeSigningKey } from "../../../src/tokens/issue-token.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { scratchDirectory } from "../../support/scratch.ts";
import { LoginVisitor, OpenIdProvider, providerClient } from "../../support/tokens/openid-provider.ts";

const closing = new AsyncDisposableStack();
let provider: OpenIdProvider;
let server: Server;
let url: string;
/** The certificate of an administrator. */
let tls: ClientTls;

before(async () => {
  const directory = closing.use(scratchDirectory()).path;
  const [policy, secret] = [join(directory, "policy.csv"), join(directory, "secret")];
  writeFileSync(
    policy,
    [
      "oidc:alice, *, consume",
      "oidc:alice, *, produce",
      "oidc:alice, *, describe",
      "carol, *, consume",
      "root, *, *",
    ]
      .map((rule) => `p, ${rule}\n`)
      .join(""),
  );
  writeFileSync(secret, `${providerClient.secret}\n`);
  const authority = await testAuthority();
  const own = writeTlsFiles(directory, "server", await authority.node(), authority.issued);
  const admin = await authority.client("root");
  tls = { ca: authority.issued.certificatePem, cert: admin.certificatePem, key: admin.keyPem };
  setDefaultCACertificates([...getCACertificates(), authority.issued.certificatePem]);
  provider = closing.use(await OpenIdProvider.open());
  server = closing.use(
    await startServer({
      "data-dir": join(directory, "data"),
      addr: "127.0.0.1:0",
      "ops-addr": "127.0.0.1:0",
      "log-level": "error",
      "acl-policy-file": policy,
      "client-auth": "optional",
      "server-tls-cert-file": own.certFile,
      "server-tls-key-file": own.keyFile,
      "server-tls-ca-file": own.caFile,
      "oidc-issuer": provider.issuer,
      "oidc-audience": providerClient.id,
      "oidc-client-id": providerClient.id,
      "oidc-client-secret-file": secret,
    }),
  );
  await server.ready;
  url = server.url;
  provider.serve([`${url}/login/callback`]);
});
after(() => closing.disposeAsync());

interface Who {
  readonly subject: string;
  readonly credential: string;
  readonly tokenExpiresMs: string;
}

/** The name under which a visitor keeps a cookie of the node. */
const cookieKey = (visitor: LoginVisitor, kind: "login" | "session"): string =>
  [...visitor.cookies.keys()].find((key) => key.startsWith(`${url} __Host-tailrace-${kind}-`)) ?? "";

const rpc = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" } as const;

async function who(visitor: LoginVisitor): Promise<Who> {
  const headers = { ...rpc.headers, origin: url };
  const response = await visitor.request(`${url}/log.v1.Cluster/WhoAmI`, { ...rpc, headers });
  return (await response.json()) as Who;
}

async function loggedIn(user: string): Promise<LoginVisitor> {
  const visitor = new LoginVisitor();
  const callback = await visitor.logIn(`${url}/login`, user);
  assert.equal((await visitor.request(callback)).status, 303);
  return visitor;
}

const withToken = (visitor: LoginVisitor, token: string, headers: Record<string, string> = { origin: url }) =>
  visitor.request(`${url}/login/token`, { method: "POST", headers, body: JSON.stringify({ token }) });

const logOut = (visitor: LoginVisitor): Promise<Response> =>
  visitor.request(`${url}/logout`, { method: "POST", headers: { origin: url } });

/** Opens a tail. Resolves to the rest of it, once the first bytes are there. */
async function tail(visitor: LoginVisitor): Promise<{ readonly rest: Promise<string> }> {
  const response = await visitor.request(`${url}/tail?from=start`, {
    headers: { accept: "text/event-stream" },
  });
  assert.equal(response.status, 200);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("data:")) text += (await reader.read()).value ?? "";
  const rest = async (): Promise<string> => {
    for (;;) {
      const { value, done } = await reader.read();
      text += value ?? "";
      if (done) return text;
    }
  };
  return { rest: rest() };
}

/** Resolves to what a tail sent, which must end within a second of `endMs`. */
async function endOf({ rest }: { readonly rest: Promise<string> }, endMs: number): Promise<string> {
  const text = await rest;
  assert.ok(Date.now() < endMs + 1_000, `the tail ended ${Date.now() - endMs} ms late`);
  return text;
}

test("a user logs in with the provider: code flow with PKCE, and a cookie that scripts cannot read", async () => {
  const visitor = new LoginVisitor();
  const begun = await visitor.request(`${url}/login`);
  assert.equal(begun.status, 303);
  const { origin, searchParams } = new URL(begun.headers.get("location") ?? "");
  assert.equal(origin, provider.issuer);
  const asked = (name: string): string | null => searchParams.get(name);
  assert.deepEqual(
    [asked("response_type"), asked("code_challenge_method"), asked("scope"), asked("redirect_uri")],
    ["code", "S256", "openid", `${url}/login/callback`],
  );
  assert.ok(
    [asked("state"), asked("nonce"), asked("code_challenge")].every((text) => (text ?? "").length >= 43),
  );
  const attributes = (sameSite: string): RegExp =>
    new RegExp(
      `^__Host-tailrace-\\w+-[0-9a-f]{8}=[\\w.-]+; Path=/; Max-Age=\\d+; HttpOnly; SameSite=${sameSite}; Secure$`,
    );
  assert.match(visitor.setCookies.join(), attributes("Lax"));

  const callback = await visitor.logIn(
    `${url}/login?return=${encodeURIComponent("/ui/?log=orders")}`,
    "alice",
  );
  const finished = await visitor.request(callback);
  assert.deepEqual([finished.status, finished.headers.get("location")], [303, "/ui/?log=orders"]);
  const [session = "", login = ""] = visitor.setCookies;
  assert.match(session, attributes("Strict"));
  assert.match(login, /^__Host-tailrace-login-[0-9a-f]{8}=; Path=\/; Max-Age=0;/, "it is used up");
  assert.equal(finished.headers.get("cache-control"), "no-store");
  const next = new URL((await visitor.request(`${url}/login`)).headers.get("location") ?? "").searchParams;
  for (const name of ["state", "nonce", "code_challenge"])
    assert.notEqual(next.get(name), asked(name), `each login has its own ${name}`);
  const { subject, credential } = await who(visitor);
  assert.deepEqual([subject, credential], ["oidc:alice", "session"]);
  assert.ok(!visitor.setCookies.join().includes("eyJ"), "the token is sealed");

  const options = await (await fetch(`${url}/login/options`)).json();
  assert.deepEqual(options, { provider: provider.issuer, session: "none" });
  const own = (await (await visitor.request(`${url}/login/options`)).json()) as {
    readonly session: string;
    readonly left_ms: number;
  };
  const { tokenExpiresMs } = await who(visitor);
  const leftMs = Number(tokenExpiresMs) - Date.now();
  assert.equal(own.session, "open");
  assert.ok(own.left_ms >= leftMs && own.left_ms <= leftMs + 60_000, `${own.left_ms}, not ${leftMs}`);
  await logOut(visitor);
});

test("a login begins at a name of this server only, and not by a link of another site", async () => {
  const begin = (headers: Record<string, string>): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const { hostname: host, port } = new URL(url);
      get({ host, port, path: "/login", headers, agent: false, servername: "localhost" }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on("error", reject);
    });
  for (const host of ["localhost:99999", "[", "%"]) assert.equal(await begin({ host }), 400, host);
  for (const host of ["evil.example", "evil.example:443"]) assert.equal(await begin({ host }), 403, host);
  assert.equal(await begin({ "sec-fetch-site": "cross-site" }), 403);
  for (const site of ["same-origin", "none"])
    assert.equal(await begin({ "sec-fetch-site": site }), 303, site);
});

test("a session may do what the policy allows, and writes only for pages of this server", async () => {
  const alice = await loggedIn("alice");
  const append = (visitor: LoginVisitor, headers: Record<string, string>): Promise<number> =>
    visitor
      .request(`${url}/logs/default`, { method: "POST", headers, body: "x" })
      .then(({ status }) => status);
  assert.equal(await append(alice, { origin: url }), 200);
  assert.equal(await append(alice, { "sec-fetch-site": "same-origin" }), 200);
  for (const headers of [
    {},
    { origin: "https://evil.example" },
    { origin: "null" },
    { "sec-fetch-site": "none" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site" },
    { origin: "https://evil.example", "sec-fetch-site": "same-site" },
  ])
    assert.equal(await append(alice, headers as Record<string, string>), 403, JSON.stringify(headers));
  const bob = await loggedIn("bob");
  assert.equal((await who(bob)).subject, "oidc:bob");
  assert.equal(await append(bob, { origin: url }), 403);
  // A read of another site has no session.
  const read = await alice.request(`${url}/logs/default`, { headers: { "sec-fetch-site": "same-site" } });
  assert.equal(read.status, 401);
  assert.equal((await alice.request(`${url}/logs`)).status, 200);
  // A token counts before a cookie.
  const both = await alice.request(`${url}/logs`, { headers: { authorization: "Bearer x" } });
  assert.equal(both.status, 401);
  const basic = await alice.request(`${url}/logs/default`, { headers: { authorization: "Basic eDp5" } });
  assert.equal(basic.status, 200, await basic.text());
});

test("a callback that does not belong to the login, or comes twice, is refused", async () => {
  const visitor = new LoginVisitor();
  const callback = await visitor.logIn(`${url}/login`, "alice");
  const refused = async (target: string, from: LoginVisitor, why: RegExp): Promise<void> => {
    const response = await from.request(target);
    const text = await response.text();
    assert.equal(response.status, 401, text);
    assert.match(text, why);
    assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'/);
    assert.equal(response.headers.getSetCookie().length, 0);
  };
  await refused(callback, new LoginVisitor(), /cookie of the login is missing/);
  const another = new LoginVisitor();
  await another.request(`${url}/login`);
  await refused(callback, another, /the login is not valid: .*state/);
  const changed = new LoginVisitor();
  const key = cookieKey(visitor, "login");
  changed.cookies.set(key, `${visitor.cookies.get(key)}A`);
  await refused(callback, changed, /not one of this cluster/);
  const script = `${callback.split("?")[0]}?error=<script>&error_description=%3Cimg+src%3Dx%3E&state=${new URL(callback).searchParams.get("state")}&iss=${encodeURIComponent(provider.issuer)}`;
  const stolen = visitor.copy();
  assert.equal((await visitor.request(callback)).status, 303);
  await refused(callback, stolen, /was completed before/);
  const denied = new LoginVisitor();
  const { searchParams } = new URL((await denied.request(`${url}/login`)).headers.get("location") ?? "");
  const state = searchParams.get("state") ?? "";
  const response = await denied.request(script.replace(/state=[^&]*/, `state=${state}`));
  const text = await response.text();
  assert.equal(response.status, 401);
  assert.ok(!text.includes("<script>") && !text.includes("<img"), text);
  // A session is not the cookie of a login, nor the other way around.
  const swapped = new LoginVisitor();
  swapped.cookies.set(cookieKey(visitor, "session"), stolen.cookies.get(key) ?? "");
  assert.equal((await swapped.request(`${url}/logs`)).status, 401);
});

test("a late response to a request with an old cookie leaves the cookie of a new login", async () => {
  const visitor = await loggedIn("alice");
  const old = visitor.copy();
  assert.equal((await logOut(visitor)).status, 204);
  // Another page of the browser sent these before the login. Their responses come after it.
  const origin = { origin: url };
  const requests = [
    ["/logs", {}],
    ["/logs/default", { method: "POST", body: "x", headers: origin }],
    ["/log.v1.Cluster/WhoAmI", { ...rpc, headers: { ...rpc.headers, ...origin } }],
    ["/tail", { headers: { accept: "text/event-stream" } }],
    ["/tickets", { method: "POST", body: "{}", headers: origin }],
  ] as const;
  for (const [path, init] of requests) {
    const response = await old.request(`${url}${path}`, init as RequestInit);
    assert.equal(response.status, 401, `${path} ${await response.text()}`);
    assert.deepEqual(response.headers.getSetCookie(), [], path);
  }
  const state = await old.request(`${url}/login/options`);
  assert.deepEqual(await state.json(), { provider: provider.issuer, session: "ended" });
  for (const path of ["/ui/", "/docs/", "/login"])
    assert.ok(
      !(await old.request(`${url}${path}`)).headers.getSetCookie().join().includes("-session-"),
      path,
    );
});

test("a cookie that is not valid is refused, and the page with the login is still served", async () => {
  const visitor = new LoginVisitor();
  const callback = await visitor.logIn(
    `${url}/login?return=${encodeURIComponent("//evil.example/ui/")}`,
    "alice",
  );
  assert.equal(
    (await visitor.request(callback)).headers.get("location"),
    "/ui/",
    "no login leads to another site",
  );
  const name = cookieKey(visitor, "session");
  const cookie = visitor.cookies.get(name) ?? "";
  const read = async (value: string): Promise<number> => {
    visitor.cookies.set(name, value);
    return (await visitor.request(`${url}/logs`)).status;
  };
  assert.equal(await read(cookie), 200);
  const [, sealed = ""] = cookie.split(".");
  const flipped = `${cookie.slice(0, -10)}${cookie.at(-10) === "A" ? "B" : "A"}${cookie.slice(-9)}`;
  for (const value of [flipped, `${cookie}A`, cookie.slice(0, -4), sealed, `other.${sealed}`, "x", "x.y", ""])
    assert.equal(await read(value), 401, value.slice(0, 30));
  assert.notEqual((await visitor.request(`${url}/ui/`)).status, 401);
  assert.equal(await read(cookie), 200);
});

test("logout ends the session and its streams, of this session only", async () => {
  const [alice, other] = [await loggedIn("alice"), await loggedIn("alice")];
  const stolen = alice.copy();
  await alice.request(`${url}/logs/default`, { method: "POST", headers: { origin: url }, body: "x" });
  const running = await tail(stolen);
  const going = await tail(other);
  const response = await logOut(alice);
  assert.equal(response.status, 204);
  assert.match(alice.setCookies.join(), /^__Host-tailrace-session-\w+=; Path=\/; Max-Age=0;/);
  assert.match(await endOf(running, Date.now()), /event: error[\s\S]*logged out/);
  assert.equal((await stolen.request(`${url}/logs`)).status, 401);
  assert.equal((await other.request(`${url}/logs`)).status, 200);
  assert.equal((await logOut(stolen)).status, 204, "a session that has ended can be logged out");
  await logOut(other);
  assert.match(await endOf(going, Date.now()), /event: error/);
});

test("a session ends with its token, with its streams", async () => {
  provider.idTokenS = 4;
  const begunMs = Date.now();
  const visitor = await loggedIn("alice");
  provider.idTokenS = 3_600;
  assert.match(visitor.setCookies.join(), /Max-Age=[0-4];/);
  const running = await tail(visitor);
  assert.match(await endOf(running, begunMs + 6_000), /event: error[\s\S]*expired/);
  assert.equal((await visitor.request(`${url}/logs`)).status, 401);
});

test("a token is put into the cookie of a session; one that is not valid, or of a page of another site, is not", async () => {
  using admin = openClient({ addr: server.addr, tls });
  const key = await makeSigningKey();
  const { audience } = await admin.rpc.tokens.addTokenKey({ publicKey: Buffer.from(key.x, "base64url") });
  const wish = { subject: "carol", id: "c1", lifeMs: 600_000, nowMs: Date.now() };
  const issue = (more: object = {}): Promise<string> =>
    issueToken({ ...key, audience }, { ...wish, ...more });
  const token = await issue();
  const visitor = new LoginVisitor();
  for (const headers of [{}, { origin: "https://evil.example" }, { "sec-fetch-site": "none" }])
    assert.equal((await withToken(visitor, token, headers as Record<string, string>)).status, 403);
  assert.equal((await withToken(visitor, "x")).status, 401);
  assert.equal((await withToken(visitor, await issue({ lifeMs: -1_000 }).catch(() => "x"))).status, 401);
  assert.equal((await withToken(visitor, "")).status, 400);
  assert.equal((await withToken(visitor, "x".repeat(20_000))).status, 413);
  const huge = `logs=${Array.from({ length: 100 }, (_, n) => `name-of-a-log-${n}-${"x".repeat(20)}`).join(",")}:consume`;
  assert.equal((await withToken(visitor, await issue({ scope: huge }))).status, 413);
  assert.equal(visitor.cookies.size, 0);
  const response = await withToken(visitor, ` ${token}\n`);
  assert.equal(response.status, 200);
  const { subject } = (await response.json()) as { subject: string };
  assert.deepEqual([subject, (await who(visitor)).credential], ["carol", "session"]);
  await logOut(visitor);
  // The token itself goes on, until it is revoked; then its sessions end too.
  const again = new LoginVisitor();
  assert.equal((await withToken(again, token)).status, 200);
  const running = await tail(again);
  await admin.rpc.tokens.revokeToken({ what: { case: "id", value: "c1" } });
  assert.match(await endOf(running, Date.now()), /event: error[\s\S]*revoked/);
  const { tokens } = await admin.rpc.tokens.listRevokedTokens({});
  assert.deepEqual(
    tokens.map(({ id }) => id),
    ["c1"],
    "sessions that were logged out are not listed",
  );
});
