/**
 * Tokens in a cluster of processes: rotation without a gap on every node, revocation on every node, and both after restarts, on a
 * node that joins, and in a cluster that was restored from a backup.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { openClient, type TailraceClient } from "../../src/client/mod.ts";
import { systemClock } from "../../src/lib/time/clock.ts";
import { issueToken, makeSigningKey, type SigningKey } from "../../src/tokens/issue-token.ts";
import { curl } from "../support/http/curl.ts";
import { openTail } from "../support/http/tail-reader.ts";
import { type ClusterNode, processWait, TestCluster } from "../support/process/cluster.ts";
import { startNode, tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const issue = (
  key: SigningKey,
  subject: string,
  id: string = randomUUID(),
  lifeMs = 600_000,
): Promise<string> => issueToken(key, { subject, id, lifeMs, nowMs: systemClock.wallMs() });

/** 200, or the reason of the refusal. */
async function outcome(url: string, token: string): Promise<number | string> {
  const { status, text } = await curl(`${url}/logs`, { headers: { authorization: `Bearer ${token}` } });
  return status === 200 ? status : (JSON.parse(text) as { message: string }).message;
}

async function rotate(admin: TailraceClient, old?: SigningKey, retireAfterMs?: bigint): Promise<SigningKey> {
  const key = await makeSigningKey();
  const { audience } = await admin.rpc.tokens.addTokenKey(
    {
      publicKey: Buffer.from(key.x, "base64url"),
      replaces: old?.kid ?? "",
      ...(retireAfterMs === undefined ? {} : { retireAfterMs }),
    },
    { timeoutMs: 30_000 },
  );
  return { ...key, audience };
}

const revoke = (admin: TailraceClient, id: string): Promise<unknown> =>
  admin.rpc.tokens.revokeToken({ what: { case: "id", value: id } }, { timeoutMs: 30_000 });

async function assertOutcomes(
  nodes: readonly ClusterNode[],
  token: string,
  wanted: 200 | RegExp,
): Promise<void> {
  for (const { name, url } of nodes) {
    const found = await outcome(url, token);
    if (wanted === 200) assert.equal(found, 200, name);
    else assert.match(String(found), wanted, name);
  }
}

test("tokens are taken and refused alike on all nodes, also after restarts, by a new node and after a restore", {
  timeout: 600_000,
}, async (t) => {
  const directory = scratch(t);
  const cluster = await TestCluster.open(t, directory, { flags: ["--segment-store-bytes-max", "8KiB"] });
  const [follower] = (await cluster.followers()) as [ClusterNode];
  const { nodes } = cluster;
  using admin = cluster.connect(follower);

  await t.test("a token is valid on each node as soon as its key is acknowledged by one", async () => {
    let key = await rotate(admin);
    for (let round = 0; round < 5; round++) {
      await assertOutcomes(nodes, await issue(key, "alice"), 200);
      key = await rotate(admin, key);
    }
  });

  const first = await rotate(admin);
  await t.test("while keys are rotated, no token is refused on any node", async () => {
    let stop = false;
    const refused: (string | number)[] = [];
    let key = first;
    const asking = nodes.map(async ({ url }) => {
      while (!stop) {
        const found = await outcome(url, await issue(key, "alice"));
        if (found !== 200) refused.push(found);
      }
    });
    const old = await issue(key, "bob");
    for (let n = 0; n < 3; n++) key = await rotate(admin, key);
    stop = true;
    await Promise.all(asking);
    assert.deepEqual(refused, []);
    await assertOutcomes(nodes, old, 200);
    // The keys of this test are removed, so that there is room for others.
    const { keys } = await admin.rpc.tokens.listTokenKeys({});
    for (const { id } of keys) await admin.rpc.tokens.removeTokenKey({ id }, { timeoutMs: 30_000 });
    await assertOutcomes(nodes, old, /was removed|not one of this cluster/);
  });

  const key = await rotate(admin);
  const revoked = await issue(key, "carol", "revoked");
  const valid = await issue(key, "dave", "valid");
  await assertOutcomes(nodes, revoked, 200);

  await t.test("a revoked token ends its streams on every node, and is refused there", async (inner) => {
    const tails = nodes.map(async ({ addr }) => {
      using client = openClient({ addr, token: revoked, discover: false, limits: { attemptsMax: 1 } });
      try {
        for await (const _ of client.rpc.log.consumeStream({}));
        return "ended without an error";
      } catch (reason) {
        return String(reason);
      }
    });
    await Promise.race([Promise.all(tails), new Promise((resolve) => setImmediate(resolve))]);
    const sinceMs = performance.now();
    await revoke(admin, "revoked");
    for (const end of await Promise.all(tails)) assert.match(end, /unauthenticated.*revoked is revoked/);
    inner.diagnostic(
      `the streams of three nodes ended ${(performance.now() - sinceMs).toFixed(0)} ms after the request`,
    );
    await assertOutcomes(nodes, revoked, /revoked is revoked/);
    await assertOutcomes(nodes, valid, 200);
  });

  await t.test("a ticket opens one tail at any node, which ends on every node with the token", async () => {
    const token = await issue(key, "frank", "ticketed");
    const make = async ({ url }: ClusterNode): Promise<string> => {
      const headers = { authorization: `Bearer ${token}` };
      const { json } = await curl(`${url}/tickets`, { method: "POST", headers, body: '{"prefix":"t/"}' });
      return json["ticket"] as string;
    };
    const tails: Promise<unknown>[] = [];
    for (const maker of nodes)
      for (const { url } of nodes) {
        const at = `${url}/tail?prefix=t%2F&ticket=${await make(maker)}`;
        const tail = await openTail(at);
        assert.equal(tail.status, 200);
        tails.push(tail.all().then((events) => events.at(-1)?.data));
        for (const again of nodes)
          assert.match((await curl(at.replace(url, again.url))).text, /this ticket was used/);
      }
    await revoke(admin, "ticketed");
    for (const end of await Promise.all(tails)) assert.match(String(end), /ticketed is revoked/);
  });

  await t.test("a node that was down while a token was revoked refuses it from its start on", async () => {
    const missed = await issue(key, "erin", "missed");
    await assertOutcomes(nodes, missed, 200);
    const [away] = (await cluster.followers()) as [ClusterNode];
    await cluster.stop(away, "SIGKILL");
    using other = cluster.connect(await cluster.leader());
    await revoke(other, "missed");
    cluster.start(away);
    // Until it is in contact with the leader it takes no token at all.
    const refusal = await until(
      "the node answers",
      async () => {
        const found = await outcome(away.url, missed).catch(() => undefined);
        assert.notEqual(found, 200);
        return typeof found === "string" && !/checked now|no cluster|not part of/.test(found)
          ? found
          : undefined;
      },
      processWait,
    );
    assert.match(refusal, /missed is revoked/);
    await cluster.whole();
  });

  await t.test("all nodes know keys and revocations after they were killed", async () => {
    for (const node of nodes) await cluster.stop(node, "SIGKILL");
    for (const node of nodes) cluster.start(node);
    await cluster.whole();
    await assertOutcomes(nodes, revoked, /revoked is revoked/);
    await assertOutcomes(nodes, valid, 200);
  });

  await t.test("a node that joins after the log was trimmed knows keys and revocations", async () => {
    using client = cluster.connect(await cluster.leader());
    for (let n = 0; n < 8; n++)
      await client.rpc.log.produce({ record: { value: new Uint8Array(6_000) } }, { timeoutMs: 30_000 });
    await client.rpc.log.trim({ beforeOffset: 8n }, { timeoutMs: 30_000 });
    const joined = await cluster.add("n4");
    cluster.start(joined);
    await cluster.whole();
    await assertOutcomes([joined], revoked, /revoked is revoked/);
    await assertOutcomes([joined], valid, 200);
  });

  await t.test("a restored cluster knows the keys, and what was revoked before the backup", async (inner) => {
    const [backup, data] = [join(directory, "backup"), join(directory, "restored")];
    const leader = await cluster.leader();
    assert.equal((await tailrace(["backup", backup, ...cluster.clientFlags(leader)])).status, 0);
    const verified = await tailrace(["verify", backup]);
    assert.equal(verified.status, 0, verified.err);
    assert.equal((await tailrace(["restore", backup, "--data-dir", data])).status, 0);
    const node = await startNode(inner, ["--data-dir", data, "--bootstrap"]);
    assert.match(String(await outcome(node.url, revoked)), /revoked is revoked/);
    assert.equal(await outcome(node.url, valid), 200);
  });
});
