/** A session on the fast path, over both versions of HTTP: the same requests go to two servers that differ only in the fast path. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AccessControl } from "../../../src/access/mod.ts";
import type { Sessions } from "../../../src/tokens/mod.ts";
import { curl } from "../../support/http/curl.ts";
import { openPathServer, type PathServer, send } from "../../support/http/fast-path-servers.ts";
import { testSessions } from "../../support/tokens/test-sessions.ts";
import { TestTokens } from "../../support/tokens/test-tokens.ts";

const closing = new AsyncDisposableStack();
const peer = "192.0.2.7:1";
let tokens: TestTokens;
let sessions: Sessions;
let fast: PathServer;
let reference: PathServer;

before(async () => {
  const access = await AccessControl.open({ policy: "p, alice, *, *\np, bob, *, consume\n" });
  tokens = await TestTokens.make();
  tokens.onChange = () => access.recheck();
  const open = async (isFast: boolean): Promise<PathServer> => {
    // Each server remembers the sessions that it has seen by itself.
    const own = testSessions(tokens);
    if (isFast) sessions = own;
    const server = await openPathServer(isFast, {
      tokens: tokens.verifier,
      login: { sessions: own },
      access,
    });
    closing.defer(async () => {
      server.session.destroy();
      await server.served[Symbol.asyncDispose]();
    });
    return server;
  };
  [fast, reference] = [await open(true), await open(false)];
});
after(() => closing.disposeAsync());

const json = { "content-type": "application/json" };
const body = '{"record":{"value":"QUJD"}}';

/** The statuses of an append with this cookie: HTTP/1.1 and HTTP/2, each an RPC and `POST /`. */
async function statuses(server: PathServer, value: string, from: Record<string, string>): Promise<string> {
  const cookie = { cookie: `tailrace-session-${sessions.clusterTag}=${value}` };
  const found: unknown[] = [];
  for (const path of ["/log.v1.Log/Produce", "/"]) {
    const headers = { ...json, ...cookie, ...from };
    // A request that closes its connection is not for the fast path.
    const kept = { ...headers, connection: "keep-alive" };
    found.push((await curl(`${server.served.url}${path}`, { method: "POST", headers: kept, body })).status);
    found.push((await send(server, path, headers, Buffer.from(body))).headers[":status"]);
  }
  return found.join(" ");
}

async function both(value: string, site: "own" | "other" = "own"): Promise<string> {
  const from = ({ served }: PathServer): Record<string, string> => ({
    origin: site === "own" ? served.url : "https://evil.example",
  });
  const [one, other] = [
    await statuses(fast, value, from(fast)),
    await statuses(reference, value, from(reference)),
  ];
  assert.equal(one, other, "the fast path answers as the other routes");
  return one;
}

const open = async (subject: string, id: string): Promise<string> =>
  (await sessions.open(await tokens.issue(subject, { id }), peer)).value;

test("a session that is known is served by the fast path, as by the other routes", async () => {
  const [alice, bob] = [await open("alice", "a"), await open("bob", "b")];
  assert.equal(await both(alice), "200 200 200 200");
  const before = fast.fastRequests;
  assert.equal(await both(alice), "200 200 200 200");
  assert.equal(fast.fastRequests, before + 4);
  assert.equal(await both(bob), "403 403 403 403", "the policy decides for the subject of the session");
  assert.equal(await both(alice, "other"), "403 403 403 403");
  assert.equal(await both(alice), "200 200 200 200");
});

test("the fast path refuses a session from its logout, or the revocation of its token, on", async () => {
  const [ended, revoked] = [await open("alice", "c"), await open("alice", "d")];
  for (const value of [ended, revoked]) assert.equal(await both(value), "200 200 200 200");
  await sessions.end(ended, peer);
  tokens.change({ kind: "revoke", id: "d", untilMs: Number.MAX_SAFE_INTEGER });
  for (const value of [ended, revoked]) assert.equal(await both(value), "401 401 401 401");
  const written = fast.served.log.next;
  assert.equal(await both(ended), "401 401 401 401");
  assert.equal(fast.served.log.next, written);
});
