/**
 * Sessions of browsers in a cluster of processes behind a load balancer: a login over several nodes, the end of a session on all nodes,
 * and sessions after restarts, on a node that joins, and in a cluster that was restored from a backup.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { systemClock } from "../../src/lib/time/clock.ts";
import { issueToken, makeSigningKey } from "../../src/tokens/issue-token.ts";
import { Balancer } from "../support/process/balancer.ts";
import { type ClusterNode, processWait, TestCluster } from "../support/process/cluster.ts";
import { startNode, tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { LoginVisitor, OpenIdProvider, providerClient } from "../support/tokens/openid-provider.ts";
import { until } from "../support/until.ts";

/** A cluster, its provider, and the balancer through which browsers reach it. */
interface Place {
  readonly cluster: TestCluster;
  readonly provider: OpenIdProvider;
  readonly balancer: Balancer;
  readonly directory: string;
  /** The URL of the balancer. */
  readonly url: string;
}

async function openPlace(t: TestContext): Promise<Place> {
  const directory = scratch(t);
  const [provider, balancer] = [await OpenIdProvider.open(), await Balancer.open()];
  t.after(() => Promise.all([provider[Symbol.asyncDispose](), balancer[Symbol.asyncDispose]()]));
  const url = `https://${balancer.addr}`;
  provider.serve([`${url}/login/callback`]);
  const [policy, secret] = [join(directory, "policy.csv"), join(directory, "secret")];
  const rights = ["produce", "consume", "describe"];
  const rules = ["oidc:alice", "carol"].flatMap((user) => rights.map((right) => `p, ${user}, *, ${right}`));
  writeFileSync(policy, [...rules, "p, root, *, *", ""].join("\n"));
  writeFileSync(secret, providerClient.secret);
  const cluster = await TestCluster.open(t, directory, {
    tls: true,
    flags: [
      ...["--client-auth", "token", "--acl-policy-file", policy, "--segment-store-bytes-max", "8KiB"],
      ...["--oidc-issuer", provider.issuer, "--oidc-audience", providerClient.id],
      ...["--oidc-client-id", providerClient.id, "--oidc-client-secret-file", secret],
      ...["--oidc-callback-url", `${url}/login/callback`],
    ],
  });
  setDefaultCACertificates([...getCACertificates(), cluster.client!.ca]);
  balancer.targets = cluster.nodes.map(({ addr }) => addr);
  return { cluster, provider, balancer, directory, url };
}

/** A browser that opens a connection for each request, so the balancer chooses a node for each. */
const newVisitor = (): LoginVisitor => new LoginVisitor({ connection: "close" });

/** Sends a request of a page, at this node. */
async function at(
  { balancer, url }: Place,
  node: ClusterNode | undefined,
  visitor: LoginVisitor,
  path: string,
  init: { readonly method?: string; readonly body?: string; readonly headers?: Record<string, string> } = {},
): Promise<Response> {
  balancer.only = node?.addr;
  try {
    return await visitor.request(path.startsWith("http") ? path : `${url}${path}`, {
      ...init,
      headers: { origin: url, ...init.headers },
    });
  } finally {
    balancer.only = undefined;
  }
}

/** 200, or the reason of the refusal. */
async function outcome(place: Place, node: ClusterNode, visitor: LoginVisitor): Promise<number | string> {
  const response = await at(place, node, visitor.copy(), "/logs");
  const text = await response.text();
  return response.status === 200 ? 200 : `${response.status} ${text}`;
}

async function assertOutcomes(
  place: Place,
  nodes: readonly ClusterNode[],
  visitor: LoginVisitor,
  wanted: 200 | RegExp,
): Promise<void> {
  for (const node of nodes) {
    const found = await outcome(place, node, visitor);
    if (wanted === 200) assert.equal(found, 200, node.name);
    else assert.match(String(found), wanted, node.name);
  }
}

/** Logs in as alice: begins at one node, and completes the login at another one. */
async function logIn(place: Place, first: ClusterNode, second = first): Promise<LoginVisitor> {
  const visitor = newVisitor();
  place.balancer.only = first.addr;
  const callback = await visitor.logIn(`${place.url}/login`, "alice");
  const response = await at(place, second, visitor, callback);
  assert.equal(response.status, 303, await response.text());
  return visitor;
}

/** Opens a tail at each node. Resolves to their ends, once the first bytes of all are there. */
async function tails(place: Place, nodes: readonly ClusterNode[], visitor: LoginVisitor) {
  const open = async (node: ClusterNode): Promise<() => Promise<string>> => {
    const response = await at(place, node, visitor.copy(), "/tail?from=start", {
      headers: { accept: "text/event-stream" },
    });
    assert.equal(response.status, 200);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("data:")) text += (await reader.read()).value ?? "";
    return async () => {
      for (;;) {
        const { value, done } = await reader.read();
        text += value ?? "";
        if (done) return text;
      }
    };
  };
  const opened: (() => Promise<string>)[] = [];
  for (const node of nodes) opened.push(await open(node));
  return { ends: Promise.all(opened.map((rest) => rest())) };
}

test("sessions are taken and refused alike on all nodes, also after restarts, by a new node and after a restore", {
  timeout: 600_000,
}, async (t) => {
  const place = await openPlace(t);
  const { cluster, provider, url, directory } = place;
  const [a, b, c] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
  const nodes = [a, b, c];

  await t.test("a login that begins at one node is completed at another one, and used at each", async () => {
    for (const [first, second] of [
      [a, b],
      [b, c],
      [c, a],
    ] as const) {
      const visitor = await logIn(place, first, second);
      await assertOutcomes(place, nodes, visitor, 200);
    }
    // Each request of the login reaches the next node.
    const turns = newVisitor();
    const callback = await turns.logIn(`${url}/login`, "alice");
    const again = turns.copy();
    assert.equal((await at(place, a, turns, callback)).status, 303);
    for (const node of nodes) {
      const second = await at(place, node, again.copy(), callback);
      assert.equal(second.status, 401, `${node.name}: ${await second.text()}`);
    }
    const written = await at(place, undefined, turns, "/logs/default", { method: "POST", body: "x" });
    assert.equal(written.status, 200);
  });

  const kept = await logIn(place, a);
  const ended = await logIn(place, b);

  await t.test("a session goes on at the other nodes when the one that opened it is killed", async () => {
    const visitor = await logIn(place, a);
    await cluster.stop(a, "SIGKILL");
    for (const node of [b, c])
      await until(
        "the node has a leader",
        async () => (await outcome(place, node, visitor)) === 200,
        processWait,
      );
    const written = await at(place, c, visitor, "/logs/default", { method: "POST", body: "y" });
    assert.equal(written.status, 200, await written.text());
    // The node that was down does not learn of the logout until it has started.
    assert.equal((await at(place, b, visitor.copy(), "/logout", { method: "POST" })).status, 204);
    cluster.start(a);
    const refusal = await until(
      "the node answers",
      async () => {
        const found = await outcome(place, a, visitor).catch(() => undefined);
        assert.notEqual(found, 200);
        return typeof found === "string" && found.startsWith("401") ? found : undefined;
      },
      processWait,
    );
    assert.match(refusal, /was logged out/);
    await cluster.whole();
    await assertOutcomes(place, nodes, kept, 200);
  });

  await t.test("a logout at one node ends the session, and its streams on all nodes", async (inner) => {
    const running = await tails(place, nodes, ended);
    const others = await tails(place, nodes, kept);
    const sinceMs = performance.now();
    assert.equal((await at(place, c, ended.copy(), "/logout", { method: "POST" })).status, 204);
    for (const text of await running.ends) assert.match(text, /event: error[\s\S]*logged out/);
    inner.diagnostic(`the streams ended ${(performance.now() - sinceMs).toFixed(0)} ms after the request`);
    await assertOutcomes(place, nodes, ended, /^401.*was logged out/);
    await assertOutcomes(place, nodes, kept, 200);
    assert.equal((await at(place, a, kept.copy(), "/logout", { method: "POST" })).status, 204);
    for (const text of await others.ends) assert.match(text, /event: error/);
  });

  await t.test("a ticket of a session opens a tail at any node, which ends with the logout", async () => {
    const visitor = await logIn(place, a, c);
    const ends: Promise<string>[] = [];
    for (const maker of nodes)
      for (const user of nodes) {
        const body = '{"log":"default"}';
        const made = await at(place, maker, visitor, "/tickets", { method: "POST", body });
        assert.equal(made.status, 201, await made.clone().text());
        const { ticket } = (await made.json()) as { readonly ticket: string };
        const tail = await at(place, user, newVisitor(), `/tail?from=start&ticket=${ticket}`);
        assert.equal(tail.status, 200, `${maker.name} to ${user.name}`);
        ends.push(tail.text());
      }
    assert.equal((await at(place, b, visitor, "/logout", { method: "POST" })).status, 204);
    for (const text of await Promise.all(ends)) assert.match(text, /event: error[\s\S]*logged out/);
  });

  using admin = cluster.connect(b);
  const key = await makeSigningKey();
  const { audience } = await admin.rpc.tokens.addTokenKey({ publicKey: Buffer.from(key.x, "base64url") });
  const withToken = async (id: string, lifeMs = 3_600_000): Promise<LoginVisitor> => {
    const nowMs = systemClock.wallMs();
    const token = await issueToken({ ...key, audience }, { subject: "carol", id, lifeMs, nowMs });
    const visitor = newVisitor();
    const body = JSON.stringify({ token });
    const response = await at(place, undefined, visitor, "/login/token", { method: "POST", body });
    assert.equal(response.status, 200, await response.text());
    return visitor;
  };

  await t.test("a session ends with its token, and its streams on all nodes", async (inner) => {
    const revoked = await withToken("revoked");
    const running = await tails(place, nodes, revoked);
    const sinceMs = performance.now();
    await admin.rpc.tokens.revokeToken({ what: { case: "id", value: "revoked" } });
    for (const text of await running.ends) assert.match(text, /event: error[\s\S]*is revoked/);
    inner.diagnostic(`revoked: the streams ended ${(performance.now() - sinceMs).toFixed(0)} ms later`);
    await assertOutcomes(place, nodes, revoked, /^401.*is revoked/);

    const untilMs = Date.now() + 15_000;
    const short = await withToken("short", 15_000);
    const expiring = await tails(place, nodes, short);
    for (const text of await expiring.ends) assert.match(text, /event: error[\s\S]*expired/);
    assert.ok(Date.now() >= untilMs - 1_000, "not before it expires");
    inner.diagnostic(`expired: the streams ended ${Date.now() - untilMs} ms later`);
    await assertOutcomes(place, nodes, short, /^401.*expired/);
  });

  const valid = await withToken(randomUUID());

  await t.test(
    "all nodes know the sessions after they were killed, also a login that has begun",
    async () => {
      const visitor = newVisitor();
      place.balancer.only = a.addr;
      const callback = await visitor.logIn(`${url}/login`, "alice");
      for (const node of nodes) await cluster.stop(node, "SIGKILL");
      for (const node of nodes) cluster.start(node);
      await cluster.whole();
      await assertOutcomes(place, nodes, valid, 200);
      await assertOutcomes(place, nodes, ended, /^401.*was logged out/);
      const response = await at(place, c, visitor, callback);
      assert.equal(response.status, 303, await response.text());
      await assertOutcomes(place, nodes, visitor, 200);
    },
  );

  await t.test("a node that joins after the log was trimmed knows the sessions", async () => {
    using client = cluster.connect(await cluster.leader());
    for (let n = 0; n < 8; n++)
      await client.rpc.log.produce({ record: { value: new Uint8Array(6_000) } }, { timeoutMs: 30_000 });
    await client.rpc.log.trim({ beforeOffset: 8n }, { timeoutMs: 30_000 });
    const joined = await cluster.add("n4");
    cluster.start(joined);
    await cluster.whole();
    await assertOutcomes(place, [joined], valid, 200);
    await assertOutcomes(place, [joined], ended, /^401.*was logged out/);
    await assertOutcomes(place, [joined], await logIn(place, joined, b), 200);
  });

  await t.test("a restored cluster knows the sessions of before the backup", async (inner) => {
    const [backup, data] = [join(directory, "backup"), join(directory, "restored")];
    const flags = cluster.clientFlags(await cluster.leader());
    assert.equal((await tailrace(["backup", backup, ...flags])).status, 0);
    assert.equal((await tailrace(["restore", backup, "--data-dir", data])).status, 0);
    const certs = (name: string): string => join(directory, "certs", name);
    const node = await startNode(inner, [
      ...["--data-dir", data, "--bootstrap", "--client-auth", "token"],
      ...["--server-tls-cert-file", certs("server.pem"), "--server-tls-key-file", certs("server-key.pem")],
      ...["--server-tls-ca-file", certs("server-ca.pem"), "--acl-policy-file", join(directory, "policy.csv")],
      ...["--oidc-issuer", provider.issuer, "--oidc-audience", providerClient.id],
    ]);
    const restored = { ...a, name: "restored", addr: node.addr };
    await assertOutcomes(place, [restored], valid, 200);
    await assertOutcomes(place, [restored], ended, /^401.*was logged out/);
  });
});
