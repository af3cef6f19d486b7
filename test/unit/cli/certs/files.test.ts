/** The files of `tailrace certs`: which are created, which are kept, and that OpenSSL and Node.js accept them. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createSecureContext } from "node:tls";
import { cfsslDefaults } from "../../../../src/cli/certs/cfssl.ts";
import { type CertsOptions, makeCertificates } from "../../../../src/cli/certs/files.ts";
import { Fault } from "../../../../src/fault.ts";
import { requireProgram } from "../../../support/process/require-program.ts";
import { scratch } from "../../../support/scratch.ts";

const all = [
  "browser.p12",
  "ca-key.pem",
  "ca.pem",
  "nobody-client-key.pem",
  "nobody-client.pem",
  "root-client-key.pem",
  "root-client.pem",
  "server-key.pem",
  "server.pem",
];
/** Without openssl, so that the test does not depend on it. */
const make = (directory: string, more: Partial<CertsOptions> = {}) =>
  makeCertificates({ directory, openssl: "no-such-program", ...more });
const certificate = (directory: string, name: string): X509Certificate =>
  new X509Certificate(readFileSync(join(directory, name)));
const contents = (directory: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), "hex")]),
  );
const refused = (pattern: RegExp) => (thrown: unknown) =>
  thrown instanceof Fault && thrown.kind === "config" && pattern.test(thrown.message);

test("certs creates a CA, certificates for a node, root and nobody, and a file for browsers; only the owner can read keys", async (t) => {
  const directory = join(scratch(t), "new");
  const made = await make(directory, { hosts: ["node-1.example", "10.0.0.7"] });
  assert.deepEqual(readdirSync(directory).sort(), all);
  assert.deepEqual(made.map(({ name }) => name).sort(), all);
  for (const name of all) {
    const secret = name.includes("key") || name.endsWith(".p12");
    assert.equal(statSync(join(directory, name)).mode & 0o777, secret ? 0o600 : 0o644, name);
  }
  const authority = certificate(directory, "ca.pem");
  assert.equal(authority.ca, true);
  for (const [name, commonName] of [
    ["server.pem", "server"],
    ["root-client.pem", "root"],
    ["nobody-client.pem", "nobody"],
  ] as const) {
    const leaf = certificate(directory, name);
    assert.ok(leaf.verify(authority.publicKey) && leaf.checkIssued(authority), name);
    assert.equal(leaf.ca, false);
    assert.match(leaf.subject, new RegExp(`CN=${commonName}$`, "m"));
    createSecureContext({
      cert: readFileSync(join(directory, name)),
      key: readFileSync(join(directory, name.replace(".pem", "-key.pem"))),
    });
  }
  const server = certificate(directory, "server.pem");
  for (const host of ["localhost", "node-1.example"]) assert.equal(server.checkHost(host), host);
  for (const address of ["127.0.0.1", "::1", "10.0.0.7"]) assert.equal(server.checkIP(address), address);
  assert.match(server.subjectAltName ?? "", /URI:urn:tailrace:node:\*/);
  assert.doesNotMatch(certificate(directory, "root-client.pem").subjectAltName ?? "", /urn:tailrace/);
});

test("the reported expiry is the one in the certificate", async (t) => {
  const directory = scratch(t);
  const now = new Date("2030-01-02T03:04:05Z");
  const made = await make(directory, { now });
  const reported = made.find(({ name }) => name === "root-client.pem")?.expires;
  assert.equal(reported?.toISOString(), "2031-01-02T03:04:05.000Z");
  assert.equal(certificate(directory, "root-client.pem").validToDate.toISOString(), reported?.toISOString());
});

test("existing files are replaced only with force", async (t) => {
  const directory = scratch(t);
  await make(directory);
  const before = contents(directory);
  await assert.rejects(make(directory), refused(/server\.pem .*use --force/));
  await assert.rejects(make(directory, { hosts: ["other"] }), refused(/other hosts/));
  assert.deepEqual(contents(directory), before);
  const made = await make(directory, { force: true });
  assert.ok(made.every(({ state }) => state === "replaced"));
  for (const [name, was] of Object.entries(before)) assert.notEqual(contents(directory)[name], was, name);
});

test("missing certificates are created with the existing CA", async (t) => {
  const directory = scratch(t);
  await make(directory);
  const before = contents(directory);
  for (const name of ["server.pem", "server-key.pem"]) rmSync(join(directory, name));
  const made = await make(directory, { hosts: ["renewed.example"] });
  assert.deepEqual(
    made.filter(({ state }) => state === "made").map(({ name }) => name),
    ["server.pem", "server-key.pem"],
  );
  const { "server.pem": _pem, "server-key.pem": _key, ...others } = before;
  for (const [name, was] of Object.entries(others)) assert.equal(contents(directory)[name], was, name);
  assert.ok(certificate(directory, "server.pem").verify(certificate(directory, "ca.pem").publicKey));
  assert.equal(certificate(directory, "server.pem").checkHost("renewed.example"), "renewed.example");
});

test("half of a pair and leaf certificates without their CA are rejected and kept", async (t) => {
  const directory = scratch(t);
  await make(directory);
  rmSync(join(directory, "root-client-key.pem"));
  await assert.rejects(make(directory), refused(/half of a pair .*root-client\.pem/));
  rmSync(join(directory, "ca.pem"));
  await assert.rejects(make(directory), refused(/half of a pair/));
  rmSync(join(directory, "ca-key.pem"));
  rmSync(join(directory, "root-client.pem"));
  await assert.rejects(make(directory), refused(/not the CA that signed them/));
  await assert.rejects(make(directory, { issueFor: "alice" }), refused(/no ca\.pem/));
});

test("another client certificate is issued by the existing CA", async (t) => {
  const directory = scratch(t);
  await make(directory);
  await make(directory, { issueFor: "alice" });
  assert.match(certificate(directory, "alice-client.pem").subject, /CN=alice$/m);
  assert.ok(certificate(directory, "alice-client.pem").verify(certificate(directory, "ca.pem").publicKey));
  assert.equal(statSync(join(directory, "alice-client-key.pem")).mode & 0o777, 0o600);
  await assert.rejects(make(directory, { issueFor: "alice" }), refused(/alice-client\.pem/));
  await assert.rejects(make(directory, { issueFor: "local" }), refused(/is not a valid name/));
  await assert.rejects(make(directory, { issueFor: "../x" }), refused(/is not a valid name/));
});

test("without a CA, a client certificate is created together with all others", async (t) => {
  const directory = join(scratch(t), "new");
  await make(directory, { issueFor: "alice", hosts: ["log.example"] });
  for (const name of ["server", "root-client", "nobody-client", "alice-client"]) {
    assert.ok(certificate(directory, `${name}.pem`).verify(certificate(directory, "ca.pem").publicKey), name);
  }
  assert.match(certificate(directory, "server.pem").subjectAltName ?? "", /DNS:log\.example/);
});

test("the CFSSL files in the directory are used", async (t) => {
  const directory = scratch(t);
  const write = (name: string, json: unknown): void =>
    writeFileSync(join(directory, name), JSON.stringify(json));
  write("ca-csr.json", {
    CN: "My Awesome CA",
    key: { algo: "rsa", size: 2048 },
    names: [{ C: "CA", L: "ON", ST: "Toronto", O: "My Awesome Company", OU: "CA Services" }],
  });
  write("ca-config.json", {
    signing: {
      profiles: {
        server: { expiry: "24h", usages: ["signing", "key encipherment", "server auth"] },
        client: { expiry: "1h30m", usages: ["signing", "key encipherment", "client auth"] },
        peer: { expiry: "48h", usages: ["signing", "server auth", "client auth"] },
      },
    },
  });
  write("server-csr.json", { CN: "127.0.0.1", hosts: ["log.example"], key: { algo: "ecdsa", size: 384 } });
  const now = new Date("2030-01-01T00:00:00Z");
  await make(directory, { now });
  const authority = certificate(directory, "ca.pem");
  assert.match(
    authority.subject,
    /^C=CA\nST=Toronto\nL=ON\nO=My Awesome Company\nOU=CA Services\nCN=My Awesome CA$/,
  );
  assert.equal(authority.publicKey.asymmetricKeyType, "rsa");
  const server = certificate(directory, "server.pem");
  assert.ok(server.verify(authority.publicKey));
  assert.equal(server.publicKey.asymmetricKeyDetails?.namedCurve, "secp384r1");
  assert.equal(server.validToDate.toISOString(), "2030-01-03T00:00:00.000Z");
  assert.equal(
    certificate(directory, "root-client.pem").validToDate.toISOString(),
    "2030-01-01T01:30:00.000Z",
  );
  assert.equal(server.checkHost("localhost"), undefined, "the hosts are the file's");
});

test("an invalid CFSSL file is rejected with the name of the field, and nothing is written", async (t) => {
  const directory = scratch(t);
  const refuse = async (name: string, text: string, pattern: RegExp): Promise<void> => {
    const inside = join(directory, String(Math.abs(pattern.source.length * 31 + text.length)));
    mkdirSync(inside);
    writeFileSync(join(inside, name), text);
    await assert.rejects(make(inside), refused(pattern));
    assert.deepEqual(readdirSync(inside), [name]);
  };
  await refuse("ca-csr.json", "{", /ca-csr\.json is not JSON/);
  await refuse("ca-csr.json", '{"CN":"x","key":{"algo":"dsa","size":1}}', /key\.algo/);
  await refuse("server-csr.json", '{"CN":"x","key":{"algo":"rsa","size":512}}', /key\.size/);
  await refuse("ca-config.json", '{"signing":{"profiles":{}}}', /signing\.profiles\.server/);
  const odd = structuredClone<{ signing: { profiles: { client: { usages: string[] } } } }>(
    cfsslDefaults["ca-config.json"] as never,
  );
  odd.signing.profiles.client.usages = ["client authentication"];
  await refuse("ca-config.json", JSON.stringify(odd), /"client authentication" is not a known usage/);
});

test("the files in certs/ are the defaults", () => {
  for (const [name, json] of Object.entries(cfsslDefaults)) {
    const file = new URL(`../../../../certs/${name}`, import.meta.url);
    assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), json, name);
  }
});

test("browser.p12 without openssl opens in Node.js with its password only", async (t) => {
  const directory = scratch(t);
  await make(directory, { p12Password: "pässword" });
  const pfx = readFileSync(join(directory, "browser.p12"));
  createSecureContext({ pfx, passphrase: "pässword" });
  assert.throws(() => createSecureContext({ pfx, passphrase: "other" }), /mac verify failure|invalid/i);
});

for (const [writer, openssl] of [
  ["our own", "no-such-program"],
  ["openssl's", "openssl"],
] as const) {
  test(
    `openssl reads ${writer} browser.p12: root's key, certificate and CA`,
    requireProgram("openssl"),
    async (t) => {
      const directory = scratch(t);
      await make(directory, { openssl });
      const { stdout, stderr, status } = spawnSync(
        "openssl",
        ["pkcs12", "-in", join(directory, "browser.p12"), "-passin", "pass:tailrace", "-noenc"],
        { encoding: "utf8" },
      );
      assert.equal(status, 0, stderr);
      const pems = [...stdout.matchAll(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)];
      const fingerprints = pems.map(([pem]) => new X509Certificate(pem).fingerprint256).sort();
      const expected = ["root-client.pem", "ca.pem"].map(
        (name) => certificate(directory, name).fingerprint256,
      );
      assert.deepEqual(fingerprints, expected.sort());
      assert.match(stdout, /friendlyName: Tailrace root/);
      const [key] = /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----/.exec(stdout) ?? [];
      createSecureContext({ key, cert: readFileSync(join(directory, "root-client.pem")) });
    },
  );
}

test("openssl verifies every certificate for its purpose", requireProgram("openssl"), async (t) => {
  const directory = scratch(t);
  await make(directory);
  const verify = (purpose: string, name: string): number | null =>
    spawnSync("openssl", ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", name], {
      cwd: directory,
    }).status;
  assert.equal(verify("sslserver", "server.pem"), 0);
  assert.equal(verify("sslclient", "server.pem"), 0, "a node calls other nodes");
  assert.equal(verify("sslclient", "root-client.pem"), 0);
  assert.notEqual(verify("sslserver", "root-client.pem"), 0);
});
