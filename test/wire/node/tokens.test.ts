/** Keys and revocations on one node: changed by RPC, followed by the node, and kept over restarts and when their log is written again. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Server, type ServerSettings, startServer } from "../../../src/agent/embedded/start-server.ts";
import { openClient, type TailraceClient } from "../../../src/client/mod.ts";
import { issueToken, makeSigningKey, type SigningKey } from "../../../src/tokens/issue-token.ts";
import { revocationSpareMs } from "../../../src/tokens/limits.ts";
import { curl } from "../../support/http/curl.ts";
import { scratch } from "../../support/scratch.ts";
import { issuerAudience, issuerKey, issuerUrl, TestIssuer } from "../../support/tokens/test-issuer.ts";

const start = async (directory: string, settings: ServerSettings = {}): Promise<Server> => {
  const server = await startServer({
    ...settings,
    "data-dir": directory,
    addr: "127.0.0.1:0",
    "ops-addr": "127.0.0.1:0",
    "log-level": "error",
  });
  await server.ready;
  return server;
};

async function addKey(admin: TailraceClient): Promise<SigningKey> {
  const key = await makeSigningKey();
  const { id, audience } = await admin.rpc.tokens.addTokenKey({ publicKey: Buffer.from(key.x, "base64url") });
  assert.equal(id, key.kid);
  return { ...key, audience };
}

const issue = (key: SigningKey, id: string, subject = "alice"): Promise<string> =>
  issueToken(key, { subject, id, lifeMs: 600_000, nowMs: Date.now() });

const status = async ({ url }: Server, token: string): Promise<number> =>
  (await curl(`${url}/logs`, { headers: { authorization: `Bearer ${token}` } })).status;

test("a token that is revoked by RPC ends its stream, and is refused also after a restart", {
  timeout: 120_000,
}, async (t) => {
  const directory = join(scratch(t), "data");
  let key: SigningKey;
  let kept: string;
  {
    await using server = await start(directory);
    using admin = openClient({ addr: server.addr });
    key = await addKey(admin);
    kept = await issue(key, "kept");
    const token = await issue(key, "revoked");
    using client = openClient({ addr: server.addr, token, limits: { attemptsMax: 1 } });
    await client.rpc.log.produce({ record: { value: new Uint8Array([1]) } });
    const messages = client.rpc.log.consumeStream({})[Symbol.asyncIterator]();
    await messages.next();
    const ended = assert.rejects(messages.next(), /unauthenticated.*revoked is revoked/);
    await admin.rpc.tokens.revokeToken({ what: { case: "id", value: "revoked" } });
    await ended;
    assert.deepEqual([await status(server, token), await status(server, kept)], [401, 200]);
    const { logs } = await admin.rpc.logs.listLogs({});
    assert.deepEqual(logs, [], "the log of the cluster itself is not listed");
  }
  await using server = await start(directory);
  assert.deepEqual(
    [await status(server, await issue(key, "revoked")), await status(server, kept)],
    [401, 200],
  );
  using admin = openClient({ addr: server.addr });
  assert.deepEqual(
    (await admin.rpc.tokens.listTokenKeys({})).keys.map(({ id, addedBy }) => [id, addedBy]),
    [[key.kid, "local"]],
  );
  assert.deepEqual(
    (await admin.rpc.tokens.listRevokedTokens({})).tokens.map(({ id }) => id),
    ["revoked"],
  );
});

test("a token of another issuer has the rights that the policy gives its subject, and its stream ends with it or with its key", {
  timeout: 120_000,
}, async (t) => {
  const directory = scratch(t);
  const [policy, keys] = [join(directory, "policy.csv"), join(directory, "keys.json")];
  writeFileSync(policy, "p, oidc:alice, *, consume\np, bob, *, *\np, alice, *, *\n");
  const issuer = new TestIssuer();
  const publish = (): void =>
    writeFileSync(keys, JSON.stringify({ keys: issuer.published.map(({ publicJwk }) => publicJwk) }));
  publish();
  await using server = await start(join(directory, "data"), {
    "acl-policy-file": policy,
    "oidc-issuer": issuerUrl,
    "oidc-audience": issuerAudience,
    "jwks-file": keys,
  });
  const clientOf = async (claims: Readonly<Record<string, unknown>> = {}): Promise<TailraceClient> =>
    openClient({ addr: server.addr, token: await issuer.sign({ claims }), limits: { attemptsMax: 1 } });
  using local = openClient({ addr: server.addr });
  await local.rpc.log.produce({ record: { value: new Uint8Array([1]) } });
  using alice = await clientOf();
  using bob = await clientOf({ sub: "bob" });
  const who = await alice.rpc.cluster.whoAmI({});
  assert.deepEqual([who.subject, who.credential, who.actions], ["oidc:alice", "token", ["consume"]]);
  await assert.rejects(alice.rpc.log.produce({ record: {} }), /permission_denied/);
  await assert.rejects(bob.rpc.log.consume({}), /permission_denied.*oidc:bob/);

  const ends = async (client: TailraceClient): Promise<AsyncIterator<unknown>> => {
    const messages = client.rpc.log.consumeStream({})[Symbol.asyncIterator]();
    await messages.next();
    return messages;
  };
  const now = Math.floor(Date.now() / 1000);
  using soon = await clientOf({ exp: now + 3 });
  const expiring = await ends(soon);
  const running = await ends(alice);
  await assert.rejects(expiring.next(), /unauthenticated.*expired/);
  assert.ok(Date.now() < (now + 4) * 1000, "the stream ends within a second");
  issuer.published = [issuerKey("k2")];
  publish();
  await assert.rejects(running.next(), /unauthenticated.*the key k1 of the token was removed/);
});

test("changes at the same time are all made, and the log of tokens is written again before it grows", {
  timeout: 300_000,
}, async (t) => {
  const directory = join(scratch(t), "data");
  let key: SigningKey;
  const count = 300;
  {
    await using server = await start(directory);
    using admin = openClient({ addr: server.addr });
    key = await addKey(admin);
    const soon = BigInt(Date.now() + 1 - revocationSpareMs);
    const revoke = (id: string, expiresMs = 0n): Promise<unknown> =>
      admin.rpc.tokens.revokeToken({ what: { case: "id", value: id }, expiresMs });
    await revoke("first");
    for (let n = 0; n < count; n += 100)
      await Promise.all(Array.from({ length: 100 }, (_, k) => revoke(`t${n + k}`, soon)));
    await Promise.all(["a", "b", "c"].map((id) => revoke(id)));
    const { tokens } = await admin.rpc.tokens.listRevokedTokens({});
    const ids = new Set(tokens.map(({ id }) => id));
    for (const id of ["first", "a", "b", "c"]) assert.ok(ids.has(id), id);
    assert.ok(tokens.length < count, `${tokens.length} revocations are kept, most of them have expired`);
  }
  await using server = await start(directory);
  for (const id of ["first", "a", "b", "c"])
    assert.equal(await status(server, await issue(key, id)), 401, id);
  assert.equal(await status(server, await issue(key, "valid")), 200);
});

test("only an administrator changes keys and revocations, and what is malformed changes nothing", async (t) => {
  await using server = await start(join(scratch(t), "data"));
  using admin = openClient({ addr: server.addr });
  const key = await addKey(admin);
  using alice = openClient({ addr: server.addr, token: await issue(key, "a") });
  const publicKey = Buffer.from((await makeSigningKey()).x, "base64url");
  for (const work of [
    () => alice.rpc.tokens.addTokenKey({ publicKey }),
    () => alice.rpc.tokens.removeTokenKey({ id: key.kid }),
    () => alice.rpc.tokens.revokeToken({ what: { case: "subject", value: "bob" } }),
    () => alice.rpc.tokens.listTokenKeys({}),
    () => alice.rpc.tokens.listRevokedTokens({}),
  ])
    await assert.rejects(work, /permission_denied/);
  for (const work of [
    () => admin.rpc.tokens.addTokenKey({ publicKey: new Uint8Array(31) }),
    () => admin.rpc.tokens.addTokenKey({ publicKey, retireAfterMs: 2n ** 60n, replaces: key.kid }),
    () => admin.rpc.tokens.revokeToken({}),
    () => admin.rpc.tokens.revokeToken({ what: { case: "id", value: "a b" } }),
    () => admin.rpc.tokens.revokeToken({ what: { case: "subject", value: "local" } }),
  ])
    await assert.rejects(work, /invalid_argument/);
  await assert.rejects(() => admin.rpc.tokens.removeTokenKey({ id: "none" }), /not_found/);
  assert.equal((await admin.rpc.tokens.listTokenKeys({})).keys.length, 1);
  const who = await alice.rpc.cluster.whoAmI({});
  assert.deepEqual([who.subject, who.credential, who.tokenId], ["alice", "token", "a"]);
  assert.ok(!who.actions.includes("admin"));
});
