/** `tailrace token`, and the ways in which a command gets its token, on a node that takes certificates and tokens. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openClient } from "../../../src/client/mod.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { type Ended, type NodeProcess, startNode, tailrace } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { TestIssuer } from "../../support/tokens/test-issuer.ts";
import { TestTokens } from "../../support/tokens/test-tokens.ts";

const cleanups: (() => unknown)[] = [];
const context = { after: (work: () => unknown) => cleanups.push(work) };
let directory: string;
let node: NodeProcess;
let addr: string;
let keyFile: string;
let admin: string[];
let reach: string[];
let ca: string;

before(async () => {
  directory = scratch(context);
  const authority = await testAuthority();
  const server = writeTlsFiles(directory, "server", await authority.node(), authority.issued);
  const root = writeTlsFiles(directory, "root", await authority.client("root"), authority.issued);
  const policy = join(directory, "policy.csv");
  writeFileSync(
    policy,
    "p, root, *, *\np, alice, orders/*, produce\np, alice, orders/*, consume\np, alice, orders/*, describe\n",
  );
  node = await startNode(context, [
    ...["--data-dir", join(directory, "data"), "--client-auth", "token", "--acl-policy-file", policy],
    ...["--server-tls-cert-file", server.certFile, "--server-tls-key-file", server.keyFile],
    ...["--server-tls-ca-file", server.caFile],
  ]);
  addr = node.url.replace("https://", "");
  ca = authority.issued.certificatePem;
  reach = ["--addr", addr, "--tls-ca-file", server.caFile];
  admin = [...reach, "--tls-cert-file", root.certFile, "--tls-key-file", root.keyFile];
  keyFile = join(directory, "keys", "token-key.json");
});

after(async () => {
  for (const work of cleanups.reverse()) await work();
});

async function ok(args: readonly string[], options: Parameters<typeof tailrace>[1] = {}): Promise<Ended> {
  const ended = await tailrace(args, options);
  assert.equal(ended.status, 0, ended.err);
  return ended;
}

const issue = async (...flags: string[]): Promise<{ token: string; id: string; expires_ms: number }> => {
  const { out } = await ok(["token", "issue", "--key-file", keyFile, "--json", ...flags]);
  return JSON.parse(out) as { token: string; id: string; expires_ms: number };
};

test("without a key a token cannot be issued, and a node adds a key only for an administrator", async () => {
  const none = await tailrace(["token", "issue", "--subject", "alice", "--key-file", keyFile]);
  assert.equal(none.status, 2);
  assert.match(none.err, /tailrace token keys rotate makes one/);
  const anonymous = await tailrace(["token", "keys", "rotate", "--key-file", keyFile, ...reach]);
  assert.equal(anonymous.status, 4);
  assert.match(anonymous.err, /a client certificate is required, or a token/);
});

test("a key is made, tokens are issued with it, and the key is replaced while they stay valid", async () => {
  // The first attempt was refused. The second one goes on with the key that it made.
  const { x } = JSON.parse(readFileSync(`${keyFile}.new`, "utf8")) as { x: string };
  const made = JSON.parse((await ok(["token", "keys", "rotate", "--key-file", keyFile, ...admin])).out) as {
    key: string;
  };
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  assert.equal((JSON.parse(readFileSync(keyFile, "utf8")) as { x: string }).x, x);
  const { token } = await issue("--subject", "alice", "--expires", "10m");
  const plain = await ok(["token", "issue", "--subject", "alice", "--key-file", keyFile]);
  assert.match(plain.out, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  assert.match(plain.err, /^token \S+ of alice, valid until /);
  const next = JSON.parse((await ok(["token", "keys", "rotate", "--key-file", keyFile, ...admin])).out) as {
    key: string;
    replaced: string;
  };
  assert.equal(next.replaced, made.key);
  const { out: keys } = await ok(["token", "keys", "list", ...admin]);
  assert.match(keys, new RegExp(`${made.key} +root .*Z +\\d{4}-`));
  assert.match(keys, new RegExp(`${next.key} +root .*Z +-?\n|${next.key} +root .*Z\n`));
  for (const one of [token, (await issue("--subject", "alice")).token])
    assert.match((await ok(["whoami", "--token", one, ...reach])).out, /^alice: .*by the token /s);
});

test("a command takes its token from a flag, a file, a variable or a profile", async () => {
  const { token } = await issue("--subject", "alice");
  const file = join(directory, "alice.token");
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  const home = join(directory, "config");
  mkdirSync(join(home, "tailrace"), { recursive: true });
  const [caFile] = reach.slice(3);
  writeFileSync(
    join(home, "tailrace", "config.yaml"),
    `profiles:\n  here:\n    addr: ${addr}\n    tls-ca-file: ${caFile}\n    token-file: ${file}\n`,
  );
  const ways: readonly (readonly [string[], Record<string, string>])[] = [
    [[...reach, "--token", token], {}],
    [[...reach, "--token-file", file], {}],
    [reach, { TAILRACE_TOKEN: token }],
    [reach, { TAILRACE_TOKEN_FILE: file }],
    [["--profile", "here"], { XDG_CONFIG_HOME: home }],
  ];
  for (const [flags, env] of ways) assert.match((await ok(["whoami", ...flags], { env })).out, /^alice: /);
  const certificate = await ok(["whoami", "--profile", "here", ...admin.slice(4)], {
    env: { XDG_CONFIG_HOME: home },
  });
  assert.match(
    certificate.out,
    /^root: /,
    "a certificate that is stated counts, not the token of the profile",
  );
  const both = await tailrace(["whoami", ...reach, "--token", token, "--token-file", file]);
  assert.equal(both.status, 2);
  const missing = await tailrace(["whoami", ...reach, "--token-file", join(directory, "none")]);
  assert.equal(missing.status, 2);
  const rubbish = await tailrace(["whoami", ...reach, "--token", "rub bish"]);
  assert.equal(rubbish.status, 2);
  assert.doesNotMatch(rubbish.err, /rub bish/, "a message does not quote what may be a secret");
  const plaintext = await tailrace(["whoami", "--addr", "192.0.2.1:8080", "--token", token]);
  assert.equal(plaintext.status, 1);
  assert.match(plaintext.err, /not sent to 192\.0\.2\.1:8080 in plaintext/);
});

test("scopes narrow what the subject may, and a token is no administrator by itself", async () => {
  await ok(["logs", "create", "orders/eu", ...admin]);
  const { token } = await issue("--subject", "alice", "--scope", "logs=orders/eu:produce,describe");
  const asAlice = [...reach, "--token", token];
  await ok(["produce", "--log", "orders/eu", ...asAlice], { input: "a\n" });
  const denied = await tailrace(["consume", "--log", "orders/eu", "--from", "start", ...asAlice]);
  assert.equal(denied.status, 4);
  assert.match(denied.err, /may not consume from .* with this token/);
  const rotate = await tailrace([
    "token",
    "keys",
    "rotate",
    "--key-file",
    join(directory, "other.json"),
    ...asAlice,
  ]);
  assert.equal(rotate.status, 4);
  for (const flags of [
    ["--subject", "alice", "--scope", "everything"],
    ["--subject", "local"],
    ["--subject", "alice", "--expires", "400d"],
    ["--subject", "alice", "--expires", "soon"],
  ]) {
    const refused = await tailrace(["token", "issue", "--key-file", keyFile, ...flags]);
    assert.notEqual(refused.status, 0, flags.join(" "));
    assert.equal(refused.out, "");
  }
});

test("tokens are revoked by id, as they are, and by subject, and listed", async () => {
  const [first, second, third] = [
    await issue("--subject", "alice"),
    await issue("--subject", "alice"),
    await issue("--subject", "bob"),
  ];
  assert.equal((await ok(["token", "revoke", first.id, ...admin])).out, `{"revoked":"${first.id}"}\n`);
  assert.equal((await ok(["token", "revoke", second.token, ...admin])).out, `{"revoked":"${second.id}"}\n`);
  await ok(["token", "revoke", "--subject", "bob", ...admin]);
  for (const { token } of [first, second, third]) {
    const refused = await tailrace(["whoami", ...reach, "--token", token]);
    assert.equal(refused.status, 4, refused.err);
    assert.match(refused.err, /revoked/);
  }
  const listed = (await ok(["token", "list", "--key-file", keyFile, "--json", ...admin])).out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { id: string; state: string });
  const stateOf = (id: string): string | undefined => listed.find((one) => one.id === id)?.state;
  assert.deepEqual(
    [first, second, third].map(({ id }) => stateOf(id)),
    ["revoked", "revoked", "revoked"],
  );
  assert.ok(listed.some(({ state }) => state === "valid"));
  assert.match(
    (await ok(["token", "list", "--key-file", keyFile, ...admin])).out,
    /all tokens of bob that were issued up to/,
  );
  assert.equal((await tailrace(["token", "revoke", ...admin])).status, 2);
  assert.equal((await tailrace(["token", "revoke", "a b", ...admin])).status, 1);
});

test("a token of another issuer that is pasted is revoked by the id with which a node takes it", async () => {
  const issuer = new TestIssuer();
  const verified = await TestTokens.make({ issuer: issuer.tokens });
  for (const jti of ["j1", undefined, "a b"]) {
    const token = await issuer.sign({ claims: { jti } });
    const { token: rights } = await verified.verifier.identify(token, "198.51.100.1:1");
    const { out } = await ok(["token", "revoke", token, ...admin]);
    assert.deepEqual(JSON.parse(out), { revoked: rights?.id });
  }
});

test("a removed key ends its tokens, and a key file that others can read is not used", async () => {
  const other = join(directory, "removed.json");
  const { key } = JSON.parse((await ok(["token", "keys", "rotate", "--key-file", other, ...admin])).out) as {
    key: string;
  };
  const { out } = await ok(["token", "issue", "--subject", "alice", "--key-file", other]);
  await ok(["whoami", ...reach, "--token", out.trim()]);
  await ok(["token", "keys", "remove", key, ...admin]);
  assert.equal((await tailrace(["whoami", ...reach, "--token", out.trim()])).status, 4);
  const open = join(directory, "open.json");
  writeFileSync(open, readFileSync(other), { mode: 0o644 });
  const refused = await tailrace(["token", "issue", "--subject", "alice", "--key-file", open]);
  assert.equal(refused.status, 2);
  assert.match(refused.err, /chmod 600/);
});

test("the client asks a function for the token of each call", async () => {
  const tokens = [(await issue("--subject", "alice")).token, (await issue("--subject", "root")).token];
  let asked = 0;
  using client = openClient({ addr, tls: { ca }, token: async () => tokens[asked++] ?? "" });
  assert.equal((await client.rpc.cluster.whoAmI({})).subject, "alice");
  const second = await client.rpc.cluster.whoAmI({});
  assert.deepEqual([second.subject, second.credential], ["root", "token"]);
  assert.throws(() => openClient({ addr, tls: { ca }, token: "no token" }), { kind: "config" });
  assert.throws(() => openClient({ addr: "node.example.org:80", token: tokens[0] }), { kind: "config" });
});
