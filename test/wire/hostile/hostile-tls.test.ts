/**
 * Hostile clients and careless operators against mTLS: handshakes that never end, requests that try to forge log lines,
 * and many reloads while the files are good and bad.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import { NodeTls } from "../../../src/server/tls/node-tls.ts";
import { serve } from "../../support/http/serve.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { startCommand, startNode } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

const authority = await testAuthority();
const other = await testAuthority("Other");
const root = await authority.client("root");
const rootTls = { ca: authority.issued.certificatePem, cert: root.certificatePem, key: root.keyPem };

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** Connects with TLS and sends a request. Returns true if a response came. */
function shakesHands(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: "127.0.0.1", port, servername: "localhost", ...rootTls });
    socket.on("error", () => undefined).once("close", () => resolve(false));
    socket.once("data", (bytes) => {
      resolve(/^HTTP\/1\.1 404 /.test(String(bytes)));
      socket.destroy();
    });
    socket.write("GET /?offset=0 HTTP/1.1\r\nhost: localhost\r\n\r\n");
  });
}

test("stalled handshakes are ended for a new one", {
  timeout: 300_000,
}, async (t) => {
  using tls = new NodeTls({
    server: writeTlsFiles(scratch(t), "server", await authority.node(), authority.issued),
    clientAuth: "require",
  });
  await using served = await serve({ tls, handshakesMax: 20, stalledMs: 300 });
  const stalled = await Promise.all(Array.from({ length: 100 }, () => dial(served.port)));
  for (const socket of stalled) socket.write(Uint8Array.of(0x16, 3, 1, 2, 0));
  await until("a handshake is complete", () => shakesHands(served.port), { everyMs: 50 });
  assert.ok(served.listener.connections <= 21, `${served.listener.connections} are held`);
  for (const socket of stalled) socket.destroy();
});

test("four hundred handshakes, a hundred at a time, leave nothing behind", {
  timeout: 300_000,
}, async (t) => {
  using tls = new NodeTls({
    server: writeTlsFiles(scratch(t), "server", await authority.node(), authority.issued),
    clientAuth: "require",
  });
  await using served = await serve({ tls });
  let well = 0;
  for (let round = 0; round < 4; round++) {
    const shaken = await Promise.all(Array.from({ length: 100 }, () => shakesHands(served.port)));
    well += shaken.filter(Boolean).length;
  }
  assert.equal(well, 400);
  await until("all connections are closed", () => served.listener.connections === 0);
});

test("no request can break a log line or hide text in it", {
  timeout: 300_000,
}, async (t) => {
  const node = await startNode(t, ["--data-dir", join(scratch(t), "data"), "--log-level", "debug"]);
  const port = Number(node.addr.split(":")[1]);
  const evil = '%0a{"level":"fatal"}\u009b31m\u0085\u202e';
  const before = node.log().split("\n").length;
  const requests = [
    `GET /${evil} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    `GET /x HTTP/1.1\r\nhost: ${evil}\r\n\r\n`,
    `GET /x HTTP/1.1\r\nhost: localhost\r\nuser-agent: ${evil}\r\nx-request-id: ${evil}\r\n\r\n`,
    `GET /?offset=9 HTTP/1.1\r\nhost: localhost\r\ntraceparent: 00-${evil}\r\ncontent-encoding: ${evil}\r\n\r\n`,
    `POST /log.v1.Log/${evil} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n`,
    `POST /log.v1.Log/Produce HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/${evil}\r\ncontent-length: 0\r\n\r\n`,
    `POST / HTTP/1.1\r\nhost: localhost\r\norigin: ${evil}\r\ncontent-length: 0\r\n\r\n`,
    `BREW /${evil} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${"y".repeat(100_000)}\r\n\r\n`,
    "\u0016\u0003\u0001 plaintext only",
    "\u009b31m\u001b[2J\r\n\r\n",
  ];
  for (const encoding of ["latin1", "utf8"] as const) {
    for (const request of requests) {
      const socket = await dial(port);
      socket.end(request, encoding);
      socket.resume();
      await once(socket, "close");
    }
  }
  const { status, err } = await node.kill("SIGTERM");
  assert.equal(status, 0);
  const lines = err.trimEnd().split("\n");
  assert.ok(lines.length > before + 10, "the requests are logged");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there.
  assert.doesNotMatch(err, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e]/);
  for (const line of lines) assert.notEqual((JSON.parse(line) as { level: string }).level, "fatal");
});

test("many SIGHUPs over good and bad files load the good ones, and permitted streams go on", {
  timeout: 300_000,
}, async (t) => {
  const directory = scratch(t);
  const file = (name: string): string => join(directory, name);
  const first = writeTlsFiles(directory, "server", await authority.node(), authority.issued);
  copyFileSync(first.keyFile, file("server-key.pem.kept"));
  writeTlsFiles(directory, "strange", await other.node(), other.issued);
  const policyFile = file("policy.csv");
  const write = (policy: string): void => {
    writeFileSync(`${policyFile}.new`, policy);
    renameSync(`${policyFile}.new`, policyFile);
  };
  const rights = "p, root, *, produce\np, root, *, consume\n";
  write(rights);
  const flags = [
    ...["--data-dir", file("data"), "--acl-policy-file", policyFile, "--server-tls-ca-file", first.caFile],
    ...["--server-tls-cert-file", first.certFile, "--server-tls-key-file", first.keyFile],
  ];
  const node = await startNode(t, flags);
  const transport = (): ReturnType<typeof createGrpcTransport> =>
    createGrpcTransport({ baseUrl: `https://localhost:${node.addr.split(":")[1]}`, nodeOptions: rootTls });
  const client = createClient(Log, transport());
  await client.produce({ record: { value: Uint8Array.of(0) } });
  const stream = client.consumeStream({ offset: 0n })[Symbol.asyncIterator]();
  assert.equal((await stream.next()).value?.record?.offset, 0n);

  const bad = [
    "p, root, *, prodcue\n",
    "p, root\n",
    "",
    "\u0000\u0001",
    'p, "root, *, produce\n',
    "q, a, b, c\n",
  ];
  let produced = 0n;
  for (let round = 0; round < 60; round++) {
    write(round % 2 === 0 ? bad[(round / 2) % bad.length]! : `${rights}p, extra-${round}, *, consume\n`);
    // A certificate with the key of another one, then with its own.
    copyFileSync(file(round % 2 === 0 ? "strange-key.pem" : "server-key.pem.kept"), first.keyFile);
    for (let signal = 0; signal < 20; signal++) process.kill(node.pid, "SIGHUP");
    produced = (await client.produce({ record: { value: Uint8Array.of(round) } })).offset;
    assert.equal((await stream.next()).value?.record?.offset, produced, "the stream was not dropped");
  }
  assert.equal(produced, 60n);
  write("p, root, *, consume\n");
  process.kill(node.pid, "SIGHUP");
  const denied = async (): Promise<boolean> => {
    try {
      await createClient(Log, transport()).produce({ record: {} });
      return false;
    } catch (error) {
      return ConnectError.from(error).code === Code.PermissionDenied;
    }
  };
  await until("the new policy applies", denied);
  await stream.return?.();
  const { status, err } = await node.kill("SIGTERM");
  assert.equal(status, 0, err);
  for (const said of [
    /access rules not reloaded, the previous rules stay in force/,
    /policy\.csv line 1 names the action \\"prodcue\\"/,
    /certificates not reloaded, the ones before stay in use/,
    /server-key\.pem is not the key of [^"]*server\.pem/,
    /access rules reloaded/,
  ])
    assert.match(err, said);
});

test("SIGHUP does not end a node that is starting, and SIGTERM ends it in order", {
  timeout: 300_000,
}, async (t) => {
  const child = startCommand(["serve", "--addr", "127.0.0.1:0", "--data-dir", join(scratch(t), "data")]);
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  t.after(() => child.kill("SIGKILL"));
  let out = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    out += String(chunk);
  });
  // SIGHUP is sent from the moment the node handles it, as /proc shows, until the ready line.
  const catches = (): boolean =>
    (BigInt(`0x${/SigCgt:\s+(\w+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? "0"}`) &
      1n) ===
    1n;
  await until("the node handles SIGHUP", catches);
  await until("the node is ready", () => {
    child.kill("SIGHUP");
    return out.includes("tailrace ready");
  });
  child.kill("SIGTERM");
  assert.deepEqual(await ended, [0, null]);
});
