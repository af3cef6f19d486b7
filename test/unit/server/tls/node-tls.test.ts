/**
 * The node's TLS over real sockets: which identity a client gets, which clients are refused and why, what the node
 * presents, and that a reload does not affect open connections.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { before, test } from "node:test";
import { type ConnectionOptions, connect, createServer, type TLSSocket } from "node:tls";
import { mayBeNode } from "../../../../src/access/mod.ts";
import { type Issued, issue } from "../../../../src/cli/certs/build.ts";
import { cfsslDefaults, readProfiles, readRequest } from "../../../../src/cli/certs/cfssl.ts";
import { Fault } from "../../../../src/fault.ts";
import { NodeTls, type NodeTlsOptions } from "../../../../src/server/tls/node-tls.ts";
import { peerProtocol } from "../../../../src/server/tls/peer-protocol.ts";
import { Instruments } from "../../../../src/telemetry/instruments.ts";
import { logLines } from "../../../support/log/log-lines.ts";
import { type TestAuthority, testAuthority, writeTlsFiles } from "../../../support/process/certificates.ts";
import { requireProgram } from "../../../support/process/require-program.ts";
import { scratch } from "../../../support/scratch.ts";
import { until } from "../../../support/until.ts";

interface Context {
  after(work: () => void): void;
}

let authority: TestAuthority;
let stranger: TestAuthority;
let peers: TestAuthority;
before(async () => {
  [authority, stranger, peers] = await Promise.all([
    testAuthority(),
    testAuthority("Stranger"),
    testAuthority("Peers"),
  ]);
});

/** A server that sends every connection a line about it: `subject isPeer`, or `refused: reason`. */
async function listen(t: Context, options: Partial<NodeTlsOptions> = {}) {
  const directory = scratch(t);
  const files = writeTlsFiles(directory, "server", await authority.node(), authority.issued);
  const { log, lines } = logLines();
  const tls = new NodeTls({ server: files, clientAuth: "require", log, ...options });
  const server = createServer(tls.serverOptions(), (socket) => {
    socket.on("error", () => {});
    try {
      const { subject, isPeer } = tls.identityOf(socket);
      socket.write(`${subject} ${isPeer}\n`);
      socket.on("data", (bytes) => socket.write(bytes));
      socket.on("end", () => socket.end());
    } catch (error) {
      socket.end(`refused: ${error instanceof Fault ? error.message : error}\n`);
    }
  });
  tls.attach(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const sockets = new Set<TLSSocket>();
  server.on("secureConnection", (socket) => sockets.add(socket));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    tls[Symbol.dispose]();
  });
  return { tls, files, lines, directory, port: (server.address() as AddressInfo).port };
}

const as = (client?: Issued, ca: Issued = authority.issued): ConnectionOptions => ({
  host: "127.0.0.1",
  servername: "localhost",
  ca: ca.certificatePem,
  ...(client === undefined ? {} : { cert: client.certificatePem, key: client.keyPem }),
});

/** The first line that the server sends, or the error that ended the connection. */
async function greet(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({ port, ...options });
  try {
    for await (const bytes of socket) return String(bytes).trim();
    return "closed";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "error";
  } finally {
    socket.destroy();
  }
}

const reasonsIn = (lines: readonly { readonly facts: Readonly<Record<string, unknown>> }[]): unknown[] =>
  lines.map(({ facts }) => facts["reason"]).filter((reason) => reason !== undefined);

test("a client's subject is its common name, and a node's certificate makes a peer", async (t) => {
  const { port } = await listen(t);
  assert.equal(await greet(port, as(await authority.client("root"))), "root false");
  assert.equal(await greet(port, as(await authority.node("server"))), "server true");
  assert.equal(await greet(port, as(await authority.node("plain", []))), "plain false");
});

test("a certificate that is missing, expired, not yet valid or of a wrong CA is refused, with the reason in the log", {
  timeout: 300_000,
}, async (t) => {
  const dayMs = 24 * 3_600_000;
  const { port, lines } = await listen(t);
  for (const [client, reason] of [
    [await stranger.client("root"), "wrong CA"],
    [await authority.client("root", { agoMs: dayMs / 2 }), "expired"],
    [await authority.client("root", { agoMs: -dayMs }), "not yet valid"],
    [undefined, "missing"],
  ] as const) {
    const outcome = await greet(port, as(client));
    assert.match(outcome, /^(ERR_SSL|ECONNRESET|closed)/, `${reason}: ${outcome}`);
    await until("the refusal is logged", () => reasonsIn(lines).length > 0);
    const [line] = lines.filter(({ facts }) => facts["reason"] !== undefined);
    assert.equal(line?.facts["reason"], reason);
    assert.match(String(line?.facts["peer"]), /^127\.0\.0\.1:\d+$/, `${reason}: the line names the client`);
    lines.splice(0);
  }
});

test("refusals are counted by reason, and a gauge shows when the node's own certificates expire", {
  timeout: 300_000,
}, async (t) => {
  const instruments = new Instruments();
  const { port } = await listen(t, { metrics: instruments });
  const metric = (name: string) => instruments.collect().find((snapshot) => snapshot.name === name)?.points;
  await greet(port, as());
  const refused = (): (readonly [unknown, unknown])[] =>
    (metric("tailrace.tls.refused") ?? []).map(({ attributes, value }) => [attributes["reason"], value]);
  await until("the refusal is counted", () => refused().some(([, value]) => value === 1));
  // All reasons are shown from the start.
  assert.equal(refused().length, 7);
  assert.deepEqual(
    refused().filter(([, value]) => value !== 0),
    [["missing", 1]],
  );
  const [server, peer] = metric("tailrace.tls.certificate.expiry") ?? [];
  assert.deepEqual([server?.attributes, peer?.attributes], [{ use: "server" }, { use: "peer" }]);
  const days = Number(server?.value) / 86_400;
  assert.ok(days > 364 && days <= 365, `${days}`);
});

test("a certificate for servers only is refused as a client", async (t) => {
  const { port, lines } = await listen(t);
  const serverOnly = await issue(
    authority.issued,
    readRequest(cfsslDefaults["server-csr.json"], "server-csr.json"),
    readProfiles(cfsslDefaults["ca-config.json"], "ca-config.json").server,
    new Date(),
  );
  assert.match(await greet(port, as(serverOnly)), /^(ERR_SSL|ECONNRESET|closed)/);
  assert.deepEqual(reasonsIn(lines), ["wrong purpose"]);
});

test("in optional mode a client without a certificate is anonymous, and one with a bad certificate is refused", async (t) => {
  const { port, lines } = await listen(t, { clientAuth: "optional" });
  assert.equal(await greet(port, as()), "anonymous false");
  assert.equal(await greet(port, as(await authority.client("root"))), "root false");
  assert.equal(
    await greet(port, as(await stranger.client("root"))),
    "refused: the client certificate is refused (wrong CA)",
  );
  const [line] = lines;
  assert.equal(line?.facts["reason"], "wrong CA");
  assert.match(String(line?.facts["subject"]), /CN=root/);
  assert.match(String(line?.facts["issuer"]), /CN=Stranger/);
  assert.equal(
    await greet(port, { ...as(), ALPNProtocols: [peerProtocol] }),
    "refused: a client certificate is required",
    "a peer needs a certificate in every mode",
  );
});

test("a name that stands for clients without a certificate is refused", async (t) => {
  const { port, lines } = await listen(t);
  for (const name of ["local", "anonymous", "a\nb"]) {
    assert.match(
      await greet(port, as(await authority.client(name))),
      /^refused: .*bad name/,
      JSON.stringify(name),
    );
  }
  assert.deepEqual(reasonsIn(lines), ["bad name", "bad name", "bad name"]);
});

test("a name must be single, visible and not too long, in any script", {
  timeout: 300_000,
}, async (t) => {
  const { port, lines } = await listen(t);
  for (const name of [
    'a"b',
    "a, b",
    "a+b=c",
    "a/CN=root",
    "CN=root",
    "名前",
    "Jürgen",
    "<b>",
    "x".repeat(256),
  ])
    assert.equal(await greet(port, as(await authority.client(name))), `${name} false`);
  const many = {
    ...readRequest(cfsslDefaults["client-csr.json"], "client-csr.json"),
    names: [["CN", "root"]],
  };
  const { client } = readProfiles(cfsslDefaults["ca-config.json"], "ca-config.json");
  const two = await issue(authority.issued, many as never, client, new Date(), { commonName: "two" });
  const bad = [
    "",
    " root",
    "root ",
    "\u202eroot",
    "ro\u200bot",
    "root\u3164",
    "root\ufe0f",
    "ro\u034fot",
    "a\u2028b",
    "\ue000",
    "a\u0000b",
    "x".repeat(10_240),
  ];
  for (const pair of [two, ...(await Promise.all(bad.map((name) => authority.client(name))))])
    assert.match(await greet(port, as(pair)), /^refused: .*bad name/, pair.certificate.subject.slice(0, 40));
  assert.equal(
    reasonsIn(lines).every((reason) => reason === "bad name"),
    true,
  );
});

test("TLS 1.2 and 1.3 are accepted, older versions and weak ciphers are refused", {
  timeout: 300_000,
}, async (t) => {
  const { port } = await listen(t);
  const root = as(await authority.client("root"));
  const attempt = (minVersion: "TLSv1" | "TLSv1.2", maxVersion: string, ciphers = "ALL:@SECLEVEL=0") =>
    greet(port, { ...root, minVersion, maxVersion: maxVersion as "TLSv1.3", ciphers });
  for (const version of ["TLSv1", "TLSv1.1"])
    assert.match(await attempt("TLSv1", version), /^(ERR_SSL|ECONNRESET)/);
  for (const weak of ["aNULL", "eNULL", "3DES", "RC4", "PSK", "EXP", "MD5"]) {
    // This OpenSSL lacks some of them; then the client refuses.
    const options = `${weak}:@SECLEVEL=0`;
    const outcome = await attempt("TLSv1.2", "TLSv1.2", options).catch((error: Error) => error.message);
    assert.match(outcome, /^(ERR_SSL|ECONNRESET|.*no cipher match)/i, weak);
  }
  assert.equal(await attempt("TLSv1.2", "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"), "root false");
  assert.equal(await greet(port, { ...root, minVersion: "TLSv1.3" }), "root false");
});

test("renegotiation is refused", { timeout: 300_000 }, async (t) => {
  const { port } = await listen(t);
  const socket = connect({ port, ...as(await authority.client("root")), maxVersion: "TLSv1.2" });
  t.after(() => socket.destroy());
  await once(socket, "data");
  const outcome = new Promise((resolve) => {
    socket.on("error", resolve);
    socket.renegotiate({}, resolve);
  });
  assert.match(String(await outcome), /NO_RENEGOTIATION|no renegotiation/i);
});

test("with a CA for clients and one for peers, each is trusted on its protocol only", async (t) => {
  const directory = scratch(t);
  const peerFiles = writeTlsFiles(directory, "peer", await peers.node("node-1"), peers.issued);
  const { port, tls, lines } = await listen(t, { peer: peerFiles });
  const peerCall = tls.peerConnectOptions("127.0.0.1");
  assert.equal(await greet(port, { host: "127.0.0.1", ...peerCall }), "node-1 true");

  const asClient = await peers.node("node-2");
  const onH2 = { ...peerCall, cert: asClient.certificatePem, key: asClient.keyPem, ALPNProtocols: ["h2"] };
  assert.match(await greet(port, { host: "127.0.0.1", ...onH2 }), /refused: .*wrong CA/);
  assert.deepEqual(reasonsIn(lines.splice(0)), ["wrong CA"], "a peer's certificate is refused for a client");

  const client = await authority.node("impostor");
  const onRaft = { ...as(client), ALPNProtocols: [peerProtocol] };
  assert.match(await greet(port, onRaft), /refused: .*wrong CA/);
  assert.deepEqual(reasonsIn(lines.splice(0)), ["wrong CA"], "a client's certificate is refused for a peer");

  const viaPeerName = { host: "127.0.0.1", ...peerCall, cert: client.certificatePem, key: client.keyPem };
  assert.match(await greet(port, viaPeerName), /^(ERR_SSL|ECONNRESET|closed)/);
  assert.deepEqual(reasonsIn(lines), ["wrong CA"]);
});

test("a node checks the name in the certificate of the peer that it connects to", async (t) => {
  const directory = scratch(t);
  const named = writeTlsFiles(
    directory,
    "named",
    await peers.node("server", ["urn:tailrace:node:alpha"]),
    peers.issued,
  );
  const { port, tls } = await listen(t, { peer: named });
  const call = (host: string, name?: string) =>
    greet(port, { ...tls.peerConnectOptions(host, name), host: "127.0.0.1" });
  assert.equal(await call("anything.example", "alpha"), "server true");
  assert.equal(await call("anything.example"), "server true");
  assert.equal(await call("127.0.0.1", "beta"), "error", "the node's name counts, not the address");

  const nameless = writeTlsFiles(directory, "nameless", await peers.node("server", []), peers.issued);
  const other = await listen(t, { peer: nameless });
  const callOther = (host: string) =>
    greet(other.port, { ...other.tls.peerConnectOptions(host, "alpha"), host: "127.0.0.1" });
  assert.equal(await callOther("127.0.0.1"), "server false", "without a node's name the address counts");
  assert.equal(await callOther("elsewhere.example"), "ERR_TLS_CERT_ALTNAME_INVALID");
});

test("a certificate stands for the nodes that it names", () => {
  assert.equal(mayBeNode({ sans: ["URI:urn:tailrace:node:a", "DNS:b"] }, "a"), true);
  assert.equal(mayBeNode({ sans: ["URI:urn:tailrace:node:a"] }, "b"), false);
  assert.equal(mayBeNode({ sans: ["URI:urn:tailrace:node:*"] }, "b"), true);
  assert.equal(mayBeNode({ sans: ["DNS:b"] }, "a"), true);
});

test("replaced files apply to new connections, and open ones go on", { timeout: 300_000 }, async (t) => {
  const { port, tls, directory, lines } = await listen(t);
  const old = connect({ port, ...as(await authority.client("root")) });
  t.after(() => old.destroy());
  const [greeting] = (await once(old, "data")) as [Buffer];
  assert.equal(String(greeting), "root false\n");

  const awake = setInterval(() => {}, 1_000); // Watching alone keeps no process alive.
  t.after(() => clearInterval(awake));
  writeTlsFiles(directory, "server", await stranger.node(), stranger.issued);
  await until("the files are loaded", () => lines.some(({ message }) => message === "certificates reloaded"));
  assert.equal(await greet(port, as(await stranger.client("bob"), stranger.issued)), "bob false");
  assert.notEqual(await greet(port, as(await authority.client("root"))), "root false");
  old.write("still here");
  const [echo] = (await once(old, "data")) as [Buffer];
  assert.equal(String(echo), "still here");
  assert.equal(tls.reload(), false, "nothing changed since");
});

test("files that do not fit each other are not used, and the old ones stay in use", async (t) => {
  const { port, tls, files, lines } = await listen(t);
  writeFileSync(files.keyFile, (await authority.node()).keyPem);
  assert.equal(tls.reload(), false);
  writeFileSync(files.certFile, "not a certificate");
  assert.equal(tls.reload(), false);
  const errors = lines.filter(({ level }) => level === "error").map(({ facts }) => String(facts["err"]));
  assert.match(errors[0] ?? "", /server-key\.pem is not the key of .*server\.pem/);
  assert.match(errors[1] ?? "", /server\.pem holds no certificate/);
  assert.equal(await greet(port, as(await authority.client("root"))), "root false");
});

test("certificates made by cfssl from the same JSON are accepted", requireProgram("cfssl"), async (t) => {
  const directory = scratch(t);
  const json = (name: string): string => new URL(`../../../../certs/${name}`, import.meta.url).pathname;
  const cfssl = (name: string, ...words: string[]): void => {
    const { stdout, stderr, status } = spawnSync("cfssl", ["gencert", ...words], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    const made = JSON.parse(stdout) as { cert: string; key: string };
    writeFileSync(join(directory, `${name}.pem`), made.cert);
    writeFileSync(join(directory, `${name}-key.pem`), made.key);
  };
  const ca = [`-ca=${join(directory, "ca.pem")}`, `-ca-key=${join(directory, "ca-key.pem")}`];
  cfssl("ca", "-initca", json("ca-csr.json"));
  cfssl("server", ...ca, `-config=${json("ca-config.json")}`, "-profile=peer", json("server-csr.json"));
  cfssl(
    "root",
    ...ca,
    `-config=${json("ca-config.json")}`,
    "-profile=client",
    "-cn=root",
    json("client-csr.json"),
  );
  const file = (name: string): string => join(directory, name);
  const server = { certFile: file("server.pem"), keyFile: file("server-key.pem"), caFile: file("ca.pem") };
  const { port, tls } = await listen(t, { server });
  const read = (name: string): string => readFileSync(file(name), "utf8");
  const root = { cert: read("root.pem"), key: read("root-key.pem"), ca: read("ca.pem") };
  assert.equal(await greet(port, { host: "127.0.0.1", servername: "localhost", ...root }), "root false");
  const peer = await greet(port, { ...tls.peerConnectOptions("127.0.0.1", "node-1"), host: "127.0.0.1" });
  assert.equal(peer, "server false", "it may connect, and needs a policy line to peer");
});
