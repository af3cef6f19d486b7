import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import os, { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { targetOf } from "../../../../src/cli/connect.ts";
import { profilesFile, selectProfile } from "../../../../src/cli/profiles/select-profile.ts";
import { scratch } from "../../../support/scratch.ts";

const file = `profile: usual
profiles:
  usual: {addr: "usual:1", tls-ca-file: ca.pem, tls-cert-file: c.pem, tls-key-file: /abs/k.pem}
  other: {addr: "other:2"}
`;

/** A home with a file of profiles. */
function home(t: Parameters<typeof scratch>[0], text = file) {
  const folder = scratch(t);
  mkdirSync(join(folder, "tailrace"));
  writeFileSync(join(folder, "tailrace/config.yaml"), text);
  return { XDG_CONFIG_HOME: folder };
}

test("the file is in XDG_CONFIG_HOME, which must be absolute, or in ~/.config", () => {
  assert.equal(profilesFile({ XDG_CONFIG_HOME: "/x" }), "/x/tailrace/config.yaml");
  assert.equal(profilesFile({ XDG_CONFIG_HOME: "x", HOME: "/h" }), "/h/.config/tailrace/config.yaml");
  assert.equal(profilesFile({}), join(homedir(), ".config/tailrace/config.yaml"));
});

test("a user that is not in /etc/passwd is at home in the root", (t) => {
  const homeOf = os.homedir;
  const set = (home: typeof homedir): void => {
    os.homedir = home;
    syncBuiltinESMExports();
  };
  t.after(() => set(homeOf));
  set(() => {
    throw new Error("uv_os_homedir returned ENOENT");
  });
  assert.equal(profilesFile({}), "/.config/tailrace/config.yaml");
});

test("a flag overrides a variable, a variable the usual profile, and a certificate comes with its key", async (t) => {
  const env = home(t);
  const folder = join(env.XDG_CONFIG_HOME, "tailrace");
  const usual = await targetOf({}, env);
  assert.partialDeepStrictEqual(usual, {
    addr: "usual:1",
    source: "profile",
    tlsCaFile: join(folder, "ca.pem"),
    tlsCertFile: join(folder, "c.pem"),
    tlsKeyFile: "/abs/k.pem",
  });
  assert.partialDeepStrictEqual(await targetOf({}, { ...env, TAILRACE_ADDR: "v:3" }), {
    addr: "v:3",
    source: "environment",
  });
  assert.partialDeepStrictEqual(await targetOf({ addr: "f:4" }, { ...env, TAILRACE_ADDR: "v:3" }), {
    addr: "f:4",
    source: "flag",
  });
  const own = await targetOf({ tlsCertFile: "own.pem" }, env);
  assert.deepEqual(
    [own.tlsCertFile, own.tlsKeyFile, own.tlsCaFile],
    ["own.pem", undefined, join(folder, "ca.pem")],
  );
  assert.equal((await targetOf({ profile: "other" }, { ...env, TAILRACE_PROFILE: "usual" })).addr, "other:2");
  assert.equal((await targetOf({}, { ...env, TAILRACE_PROFILE: "other" })).addr, "other:2");
  assert.deepEqual(await targetOf({ profile: "none" }, env), {
    addr: "127.0.0.1:8080",
    source: "default",
    profile: undefined,
  });
});

test("--profile overrides variables, and what it lacks is from them", async (t) => {
  const env = {
    ...home(t),
    TAILRACE_ADDR: "v:3",
    TAILRACE_TLS_CERT_FILE: "v.pem",
    TAILRACE_TLS_KEY_FILE: "v-key.pem",
  };
  const named = await targetOf({ profile: "usual" }, env);
  assert.deepEqual(
    [named.addr, named.source, named.tlsKeyFile, named.tlsCertFile?.endsWith("/c.pem")],
    ["usual:1", "profile", "/abs/k.pem", true],
  );
  assert.equal((await targetOf({ profile: "usual", addr: "usual:1" }, env)).source, "flag");
  const lacks = await targetOf({ profile: "other" }, env);
  assert.deepEqual([lacks.addr, lacks.tlsCertFile, lacks.tlsKeyFile], ["other:2", "v.pem", "v-key.pem"]);
  assert.equal((await targetOf({ profile: "other", addr: "f:4" }, env)).addr, "f:4");
  assert.equal((await targetOf({ profile: "none" }, env)).addr, "v:3");
  assert.equal((await targetOf({}, { ...env, TAILRACE_PROFILE: "other" })).addr, "v:3");
});

test("the certificates of a profile are not used for another address than its own", async (t) => {
  const env = home(t);
  assert.deepEqual(await targetOf({ addr: "f:4" }, env), { addr: "f:4", source: "flag", profile: undefined });
  const byVariable = await targetOf({}, { ...env, TAILRACE_ADDR: "v:3" });
  assert.deepEqual(byVariable, { addr: "v:3", source: "environment", profile: undefined });
  assert.equal((await targetOf({ addr: "usual:1" }, env)).tlsKeyFile, "/abs/k.pem");
  const message =
    '--addr f:4 is not the address of the profile "usual" (usual:1), whose certificates and token are only for that: leave out --addr or --profile';
  await assert.rejects(targetOf({ addr: "f:4", profile: "usual" }, env), { message });
  const any = home(t, "profile: a\nprofiles: {a: {tls-ca-file: /ca.pem}}");
  assert.equal((await targetOf({ addr: "f:4" }, any)).tlsCaFile, "/ca.pem");
});

test("a token is from a flag, a variable or the profile, and not that of a profile beside a stated certificate", async (t) => {
  const env = home(t, 'profile: a\nprofiles: {a: {addr: "a:1", token-file: t}}');
  const own = { file: join(env.XDG_CONFIG_HOME, "tailrace/t") };
  const variable = { ...env, TAILRACE_TOKEN: "v" };
  assert.deepEqual((await targetOf({}, env)).token, own);
  assert.deepEqual((await targetOf({}, variable)).token, { token: "v" });
  assert.deepEqual((await targetOf({ profile: "a" }, variable)).token, own);
  assert.deepEqual((await targetOf({ token: "f" }, variable)).token, { token: "f" });
  assert.deepEqual((await targetOf({ tokenFile: "f" }, variable)).token, { file: "f" });
  assert.equal((await targetOf({ addr: "b:2" }, env)).token, undefined);
  assert.equal((await targetOf({ tlsCertFile: "c", tlsKeyFile: "k" }, env)).token, undefined);
  await assert.rejects(targetOf({ token: "f", tokenFile: "f" }, env), { kind: "config" });
});

test("an address that is not HOST:PORT is refused with the name of its source", async () => {
  const env = { XDG_CONFIG_HOME: "/nonexistent", TAILRACE_ADDR: "x" };
  await assert.rejects(targetOf({}, env), { message: 'TAILRACE_ADDR must be HOST:PORT, not "x"' });
  await assert.rejects(targetOf({ addr: "y" }, env), { message: '--addr must be HOST:PORT, not "y"' });
});

test("a profile that is not there is an error, and a file that is not there only if a profile is named", async (t) => {
  const env = home(t);
  const path = join(env.XDG_CONFIG_HOME, "tailrace/config.yaml");
  await assert.rejects(selectProfile("x", env), {
    message: `--profile: there is no profile "x" in ${path}; the profiles are usual, other`,
  });
  await assert.rejects(
    selectProfile(undefined, { ...env, TAILRACE_PROFILE: "x" }),
    /^Fault: TAILRACE_PROFILE: there is/,
  );
  const empty = { XDG_CONFIG_HOME: scratch(t) };
  assert.equal(await selectProfile(undefined, empty), undefined);
  await assert.rejects(selectProfile("x", empty), /the file of profiles .* cannot be read: no such file/);
  const one = home(t, "profiles: {only: {addr: 'o:5'}}");
  assert.equal(await selectProfile(undefined, one), undefined, "the only profile must be named too");
  assert.equal((await selectProfile("only", one))?.addr, "o:5");
  assert.equal((await selectProfile(undefined, { ...one, TAILRACE_PROFILE: "only" }))?.addr, "o:5");
  assert.equal(await selectProfile(undefined, home(t, "profiles: {a: {}, b: {}}")), undefined);
  await assert.rejects(selectProfile(undefined, home(t, "profile: [")), /config\.yaml line 1: /);
});

test("a text with a slash is the path of another file", async (t) => {
  const folder = scratch(t);
  const path = join(folder, "profile.yaml");
  writeFileSync(path, "profile: dev\nprofiles: {dev: {addr: 'd:6', tls-ca-file: certs/ca.pem}}");
  assert.partialDeepStrictEqual(await selectProfile(path, {}), {
    name: "dev",
    file: path,
    tlsCaFile: join(folder, "certs/ca.pem"),
  });
  writeFileSync(path, "profiles: {a: {}, b: {}}");
  await assert.rejects(
    selectProfile(path, {}),
    /does not say which profile is used.*; the profiles are a, b/,
  );
  await assert.rejects(selectProfile(`${folder}/`, {}), /is not a regular file/);
});
