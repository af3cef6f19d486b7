/**
 * A policy edited on disk takes effect within a second. A running stream of a subject that loses the permission ends with
 * permission_denied, and other streams continue. A request whose permission is removed while its body arrives appends
 * nothing.
 */
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { AccessControl } from "../../../src/access/mod.ts";
import { openAccess } from "../../../src/agent/access-files.ts";
import type { Issued } from "../../../src/cli/certs/build.ts";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import { NodeTls } from "../../../src/server/tls/node-tls.ts";
import { serve } from "../../support/http/serve.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

const codeOf = (error: unknown): Code => ConnectError.from(error).code;

test("an edited policy takes effect within a second, also for running streams", {
  timeout: 300_000,
}, async (t) => {
  const directory = scratch(t);
  const authority = await testAuthority();
  using tls = new NodeTls({
    server: writeTlsFiles(directory, "server", await authority.node(), authority.issued),
    clientAuth: "require",
  });
  const policyFile = join(directory, "policy.csv");
  const write = (text: string): void => {
    writeFileSync(`${policyFile}.new`, text);
    renameSync(`${policyFile}.new`, policyFile);
  };
  write("p, root, *, produce\np, root, *, consume\np, alice, *, consume\n");
  using open = await openAccess({ policyFile });
  await using served = await serve({ tls, access: open.access });
  const optionsOf = (pair: Issued) => ({
    baseUrl: served.url,
    nodeOptions: { ca: authority.issued.certificatePem, cert: pair.certificatePem, key: pair.keyPem },
  });
  const clientOf = (pair: Issued) => createClient(Log, createGrpcTransport(optionsOf(pair)));
  const alicePair = await authority.client("alice");
  const root = clientOf(await authority.client("root"));
  const alice = clientOf(alicePair);
  const aliceByJson = createClient(
    Log,
    createConnectTransport({ ...optionsOf(alicePair), httpVersion: "1.1", useBinaryFormat: false }),
  );
  await root.produce({ record: { value: new Uint8Array([1]) } });

  const streams = [root, alice].map((client) => {
    const stop = new AbortController();
    const messages = client.consumeStream({ offset: 0n }, { signal: stop.signal })[Symbol.asyncIterator]();
    return { stop, messages };
  });
  const [rootStream, aliceStream] = streams;
  assert.ok(rootStream !== undefined && aliceStream !== undefined);
  for (const { messages } of streams) assert.equal((await messages.next()).value?.record?.offset, 0n);

  const longPoll = { offset: 1n, waitMs: 600_000 };
  const revokedPolls = Promise.all(
    [alice, aliceByJson].map((client) =>
      assert.rejects(client.consume(longPoll), (error) => codeOf(error) === Code.PermissionDenied),
    ),
  );
  const rootPoll = root.consume(longPoll);
  await until("all five calls are open", () => served.service.calls.openCalls === 5);

  const editedMs = performance.now();
  write("p, root, *, produce\np, root, *, consume\n");
  await assert.rejects(
    aliceStream.messages.next(),
    (error) => codeOf(error) === Code.PermissionDenied && /"alice" may not consume/.test(String(error)),
  );
  const tookMs = performance.now() - editedMs;
  await assert.rejects(alice.consume({ offset: 0n }), (error) => codeOf(error) === Code.PermissionDenied);
  assert.ok(tookMs < 10_000, `a deadlock limit, not a measurement: ${tookMs} ms`);
  t.diagnostic(`the stream ended ${tookMs.toFixed(0)} ms after the edit`);

  await revokedPolls;
  await root.produce({ record: { value: new Uint8Array([2]) } });
  assert.equal((await rootPoll).record?.offset, 1n, "root's long poll goes on");
  assert.equal((await rootStream.messages.next()).value?.record?.offset, 1n, "root's stream goes on");
  rootStream.stop.abort();

  write("p, alice, *, consume\n");
  const rootMayProduce = (): boolean => open.access.check({ subject: "root", isPeer: false }, "*", "produce");
  await until("the new policy is in force", () => !rootMayProduce());
  await assert.rejects(root.produce({ record: {} }), (error) => codeOf(error) === Code.PermissionDenied);
  assert.equal((await alice.consume({ offset: 0n })).record?.offset, 0n);
});

test("a request whose permission is removed while its body arrives is denied and appends nothing", {
  timeout: 60_000,
}, async (t) => {
  const authority = await testAuthority();
  using tls = new NodeTls({
    server: writeTlsFiles(scratch(t), "server", await authority.node(), authority.issued),
    clientAuth: "require",
  });
  const access = new AccessControl();
  await access.setPolicy({ policy: "p, root, *, produce\np, root, *, trim\n" });
  await using served = await serve({ tls, access });
  const { certificatePem: cert, keyPem: key } = await authority.client("root");
  const body = Buffer.from('{"record":{"value":"YQ=="}}');
  const answers = ["/", "/log.v1.Log/Produce", "/log.v1.Log/Trim"].map((path) => {
    const sent = path.endsWith("Trim") ? Buffer.from('{"beforeOffset":"0"}') : body;
    const headers = { "content-type": "application/json", "content-length": sent.length };
    const options = { method: "POST", headers, ca: authority.issued.certificatePem, cert, key, agent: false };
    const asked = request(`${served.url}${path}`, options);
    asked.write(sent.subarray(0, 5));
    const answered = new Promise<string>((resolve, reject) => {
      asked.once("error", reject);
      asked.once("response", (response) =>
        text(response).then((said) => resolve(`${response.statusCode} ${said}`), reject),
      );
    });
    return { asked, answered, rest: sent.subarray(5), path };
  });
  await until("all three calls are open", () => served.service.calls.openCalls === 3);
  await access.setPolicy({ policy: "p, root, *, consume\n" });
  for (const { asked, answered, rest, path } of answers) {
    asked.end(rest);
    assert.match(await answered, /^403 .*permission_denied/, path);
  }
  assert.equal((await served.log.describe()).next, 0);
});
