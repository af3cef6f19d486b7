import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "../../../../src/agent/config/read-config.ts";
import { Fault } from "../../../../src/fault.ts";

const read = (flags: readonly string[]) => readConfig({ flags, environment: {}, readFile: () => "" });
const messageOf = (work: () => unknown): string => {
  try {
    work();
  } catch (reason) {
    assert(reason instanceof Fault);
    assert.equal(reason.kind, "config");
    return reason.message;
  }
  throw new Error("nothing was thrown");
};

test("settings that contradict each other are refused", () => {
  const tls = ["--server-tls-cert-file", "c", "--server-tls-key-file", "k", "--server-tls-ca-file", "a"];
  const login = ["--oidc-issuer", "https://login.example.org", "--oidc-audience", "c"];
  login.push("--acl-policy-file", "p", "--oidc-client-id", "c");
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["--server-tls-cert-file", "c"], /needs --server-tls-key-file/],
    [["--addr", "10.0.0.1:80"], /plaintext.*--allow-plaintext/],
    [["--addr", "0.0.0.0:80", ...tls], /--advertise-addr is needed/],
    [["--addr", "10.0.0.1:80", ...tls], /--encrypt is needed/],
    [["--gossip-addr", "10.0.0.1:80"], /--encrypt is needed/],
    [["--encrypt", "c2hvcnQ="], /16, 24 or 32 bytes/],
    [["--encrypt", "not base64, not at all!!"], /16, 24 or 32 bytes/],
    [
      ["--gossip-addr", "0.0.0.0:80", "--encrypt", "c2VjcmV0IHNlY3JldCBzZQ=="],
      /--advertise-addr is needed when --gossip-addr/,
    ],
    [["--bootstrap", "--bootstrap-expect", "3"], /exclude each other/],
    [["--record-bytes-max", "2MiB", "--request-bytes-max", "1MiB"], /must not be larger/],
    [["--node-name", "a b"], /--node-name/],
    [["--cors-origins", "*"], /--cors-origins/],
    [["--oidc-issuer", "http://login.example.org"], /expected an https URL/],
    [["--oidc-issuer", "https://login.example.org/?x"], /expected an https URL/],
    [["--oidc-issuer", "https://login.example.org", "--oidc-audience", "a"], /needs .*--acl-policy-file/],
    [["--oidc-issuer", "https://login.example.org", "--acl-policy-file", "p"], /needs --oidc-audience/],
    [["--oidc-audience", "a", "--acl-policy-file", "p"], /need --oidc-issuer/],
    [["--jwks-file", "k"], /need --oidc-issuer/],
    [["--oidc-client-id", "c"], /must be one of --oidc-audience/],
    [["--oidc-client-secret-file", "s"], /need --oidc-client-id/],
    [["--oidc-callback-url", "https://log.example/login/callback"], /need --oidc-client-id/],
    [login, /--oidc-client-id needs --server-tls-cert-file/],
    [[...login, ...tls, "--oidc-callback-url", "https://log.example/x"], /https URL that ends with/],
    [[...login, ...tls, "--oidc-callback-url", "http://127.0.0.1/login/callback"], /https URL that ends/],
  ];
  for (const [flags, expected] of cases)
    assert.match(
      messageOf(() => read(flags)),
      expected,
    );
  assert.equal(read(["--addr", "[::1]:80"]).config.addr.host, "::1");
  assert.equal(read([...login, ...tls]).config.oidcClientId, "c");
  assert.equal(read([...tls]).config.serverTlsCaFile, "a");
});
