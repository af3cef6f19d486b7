/**
 * A page of another origin in a real browser that has a session of the node, or a client certificate for it: it neither reads nor writes, and
 * neither logs in nor out. A page on another port of the same host is of the same site, so the browser attaches the cookie there.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { AccessControl } from "../../src/access/mod.ts";
import { createFastPath } from "../../src/api/mod.ts";
import { NodeTls } from "../../src/server/tls/node-tls.ts";
import { openBrowser } from "../browser/support/chromium.ts";
import { attempts } from "../browser/support/foreign-page.ts";
import { type ServedNode, serveNode } from "../support/http/serve-node.ts";
import { testAuthority, writeTlsFiles } from "../support/process/certificates.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { testSessions } from "../support/tokens/test-sessions.ts";
import { TestTokens } from "../support/tokens/test-tokens.ts";

const closing = new AsyncDisposableStack();
const origins: string[] = [];
let node: ServedNode;
let browser: Browser;
let tokens: TestTokens;
let certificate: { readonly cert: Buffer; readonly key: Buffer };
/** Pages that are not of the node. */
let others: readonly string[];

async function listen(server: Server): Promise<number> {
  closing.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

before(async () => {
  const directory = closing.use(scratchDirectory()).path;
  const authority = await testAuthority();
  const files = writeTlsFiles(directory, "server", await authority.node(), authority.issued);
  const { certificatePem, keyPem } = await authority.client("carol");
  certificate = { cert: Buffer.from(certificatePem), key: Buffer.from(keyPem) };
  setDefaultCACertificates([...getCACertificates(), authority.issued.certificatePem]);
  tokens = await TestTokens.make();
  node = closing.use(
    await serveNode({
      access: await AccessControl.open({ policy: "p, carol, *, *\np, admin, *, *\n" }),
      tls: closing.use(new NodeTls({ server: files, clientAuth: "token" })),
      tokens: tokens.verifier,
      tickets: tokens.tickets,
      login: { sessions: testSessions(tokens) },
      fastPath: createFastPath,
      origins: { origins, hosts: [] },
    }),
  );
  const [cert, key] = [readFileSync(files.certFile), readFileSync(files.keyFile)];
  const empty = (
    _: unknown,
    response: { setHeader(...field: [string, string]): { end(text: string): void } },
  ) => response.setHeader("content-type", "text/html").end("<body>");
  const port = await listen(createServer({ cert, key }, empty) as unknown as Server);
  const plain = await listen(createHttpServer(empty));
  others = [`https://127.0.0.1:${port}`, `https://localhost:${port}`, `http://127.0.0.1:${plain}`];
  browser = await openBrowser();
  closing.defer(() => browser.close());
});
beforeEach(async () => {
  assert.ok((await asAdmin("/logs/orders", { method: "PUT", body: "{}" })).ok);
  assert.equal((await asAdmin("/logs/orders", { method: "POST", body: "a" })).status, 200);
});
after(() => closing.disposeAsync());

async function asAdmin(path: string, init: RequestInit = {}): Promise<Response> {
  const authorization = `Bearer ${await tokens.issue("admin")}`;
  return fetch(`${node.url}${path}`, { ...init, headers: { authorization } });
}

/** All that a page could change. */
const state = async (): Promise<unknown[]> => [
  await (await asAdmin("/logs/orders")).text(),
  await (await asAdmin("/logs")).text(),
  await node.node.replica.log.bounds({ mode: "any" }),
  tokens.state.revokedIds.size,
];

/** Opens a page of the node: any document of its origin. */
async function ownPage(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${node.url}/login/options`);
  return page;
}

/** What the user of the browser is for the node. */
const who = (page: Page): Promise<unknown> =>
  page.evaluate(`fetch("/log.v1.Cluster/WhoAmI", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" })
    .then((response) => response.json()).then(({ subject, credential }) => subject + " by " + credential)`);

async function assertNothing(context: BrowserContext): Promise<void> {
  const before = await state();
  for (const origin of others) {
    const page = await context.newPage();
    await page.goto(`${origin}/`);
    assert.deepEqual(
      await page.evaluate(attempts(node.url, ["/login/token", "/logout"])),
      [],
      `${origin} reads nothing`,
    );
    assert.deepEqual(await state(), before, `${origin} writes nothing`);
    await page.close();
  }
}

/** The same attempts succeed once the origin is listed: so they would be seen. */
async function assertSeen(context: BrowserContext, origin: string): Promise<void> {
  const before = await state();
  origins.push(origin);
  try {
    const page = await context.newPage();
    await page.goto(`${origin}/`);
    const read = (await page.evaluate(attempts(node.url))) as string[];
    assert.ok(read.includes("GET /logs/orders?offset=0 200"), read.join("\n"));
    assert.notDeepEqual(await state(), before);
  } finally {
    origins.pop();
  }
}

test("with a session, a page of another origin neither reads nor writes, and does not log out", {
  timeout: 300_000,
}, async () => {
  await using context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await ownPage(context);
  const body = JSON.stringify(JSON.stringify({ token: await tokens.issue("carol") }));
  assert.equal(
    await page.evaluate(`fetch("/login/token", { method: "POST", body: ${body} }).then((r) => r.status)`),
    200,
  );
  assert.equal(await page.evaluate("document.cookie"), "", "no script can read the session");
  const [cookie] = await context.cookies(node.url);
  assert.deepEqual([cookie?.httpOnly, cookie?.secure, cookie?.sameSite], [true, true, "Strict"]);
  assert.equal(await who(page), "carol by session");
  await assertNothing(context);
  assert.equal(await who(page), "carol by session", "the session goes on");
  assert.equal((await context.cookies(node.url))[0]?.value, cookie?.value, "it is the same one");
  await assertSeen(context, others[0]!);
});

test("with a client certificate, a page of another origin neither reads nor writes, and does not log in", {
  timeout: 300_000,
}, async () => {
  await using context = await browser.newContext({
    ignoreHTTPSErrors: true,
    clientCertificates: [{ origin: node.url, ...certificate }],
  });
  const page = await ownPage(context);
  assert.equal(await who(page), "carol by certificate");
  await assertNothing(context);
  assert.equal(await who(page), "carol by certificate", "no page has logged in another user");
  assert.deepEqual(await context.cookies(node.url), []);
  await assertSeen(context, others[1]!);
});
