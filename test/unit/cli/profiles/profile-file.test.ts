import assert from "node:assert/strict";
import { test } from "node:test";
import { parseProfiles } from "../../../../src/cli/profiles/profile-file.ts";
import { Fault } from "../../../../src/fault.ts";

const message = (text: string): string => {
  try {
    parseProfiles(text, "config.yaml");
  } catch (reason) {
    assert.ok(reason instanceof Fault && reason.kind === "config" && reason.facts.usage === true);
    return reason.message;
  }
  return "";
};

test("a file names profiles with an address and certificates, and the one that is used", () => {
  const text = `profile: b
profiles:
  a: {addr: "[::1]:8080"}
  b:
    addr: b.example.org:443
    tls-ca-file: ca.pem
    tls-cert-file: ~/b.pem
    tls-key-file: b-key.pem
`;
  const { profiles, usual } = parseProfiles(text, "config.yaml");
  assert.equal(usual, "b");
  assert.deepEqual(
    [...profiles.values()],
    [
      { name: "a", addr: "[::1]:8080" },
      {
        name: "b",
        addr: "b.example.org:443",
        tlsCaFile: "ca.pem",
        tlsCertFile: "~/b.pem",
        tlsKeyFile: "b-key.pem",
      },
    ],
  );
  assert.deepEqual([...parseProfiles("", "config.yaml").profiles], []);
});

test("a mistake is named with file and line, and a suggestion", () => {
  const cases: readonly (readonly [text: string, message: string])[] = [
    ["- a", "config.yaml line 1: the file must be a mapping with the keys profile and profiles"],
    ["profiless: {}", 'config.yaml line 1: unknown key "profiless", did you mean profiles?'],
    ["profile: x\nprofiles: {a: {}}", 'config.yaml line 1: there is no profile "x"; the profiles are a'],
    ["profiles:\n  a:\n    adr: x:1", 'config.yaml line 3: the profile "a" has no "adr", did you mean addr?'],
    ["profiles:\n  a:\n    addr: x", 'config.yaml line 3: addr of "a" must be HOST:PORT, not "x"'],
    [
      "profiles:\n  a b: {}",
      "config.yaml line 2: a text that is not shown cannot be the name of a profile: letters, digits, ._- and not none",
    ],
    [
      "profiles:\n  none: {}",
      'config.yaml line 2: "none" cannot be the name of a profile: letters, digits, ._- and not none',
    ],
    ["profiles:\n  a: {}\n  a: {}", 'config.yaml line 3: "a" is listed twice'],
    [
      "profiles:\n  a: {tls-key-file: k}",
      'config.yaml line 2: the profile "a" needs both tls-cert-file and tls-key-file, or neither',
    ],
    ["profiles: [", "config.yaml line 1: the YAML is not valid (BAD_COLLECTION_TYPE)"],
  ];
  for (const [text, expected] of cases.slice(0, -1)) assert.equal(message(text), expected);
  assert.match(message("profiles: ["), /^config\.yaml line 1: the YAML is not valid \([A-Z_]+\)$/);
  assert.match(message(`a: ${"x".repeat(70_000)}`), /^config\.yaml: is larger than 65536 bytes$/);
});

test("no message contains key material", () => {
  const secret = "MC4CAQAwBQYDK2VwBCIEIGx0";
  const pem = `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`;
  const indented = pem.replaceAll("\n", "\n      ");
  const texts = [
    pem,
    `${secret}: x`,
    `profiles: {a: {tls-key-file: "${pem.replaceAll("\n", "\\n")}"}}`,
    `profiles:\n  a:\n    tls-key-file: |\n      ${indented}`,
    `profiles:\n  a:\n    addr: ${secret}${secret}${secret}`,
    `profiles:\n  a:\n    ? ${indented}\n    : x`,
    `profiles: *${secret}`,
    `profiles:\n  "${pem.replaceAll("\n", "\\n")}": {}`,
    `profile: ${secret}${secret}\n`,
  ];
  for (const text of texts) {
    const found = message(text);
    assert.notEqual(found, "", text);
    // A short word is quoted, because it is mostly a mistyped name. A key is longer.
    if (!/^[\w.-]{1,40}/.test(text)) assert.doesNotMatch(found, /BEGIN|MC4C.*MC4C/, text);
    assert.doesNotMatch(found, /PRIVATE/, text);
  }
});
