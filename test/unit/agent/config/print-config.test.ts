import assert from "node:assert/strict";
import { test } from "node:test";
import { printConfig, printFlags } from "../../../../src/agent/config/print-config.ts";
import { readConfig } from "../../../../src/agent/config/read-config.ts";
import { keyOf, settingNames, variableOf } from "../../../../src/agent/config/settings.ts";

const read = (flags: readonly string[], environment: Record<string, string> = {}, file = "") =>
  readConfig({ flags, environment, readFile: () => file });

test("the output of config print is read back as the same settings, and does not contain the gossip key", () => {
  const secret = "c2VjcmV0IHNlY3JldCBzZQ==";
  const flags = [
    "--addr",
    "127.0.0.1:9",
    "--retention-age",
    "36h",
    "--encrypt",
    secret,
    "--sync",
    "interval=1s",
  ];
  const before = read(flags);
  const printed = printConfig(before);
  assert.equal(printed.includes(secret), false);
  assert.match(printed, /^addr: "127\.0\.0\.1:9" {2}# flag$/m);
  const after = read(["--config-file", "f"], {}, printed);
  assert.deepEqual({ ...after.config, configFile: undefined, encrypt: secret }, before.config);
});

test("--help lists every setting, and every setting has its own flag and variable", () => {
  const help = printFlags();
  for (const name of settingNames)
    assert.ok(help.includes(`--${keyOf(name)} `) || help.includes(`--${keyOf(name)}`));
  assert.equal(new Set(settingNames.map(variableOf)).size, settingNames.length);
  assert.equal(variableOf("serverTlsCertFile"), "TAILRACE_SERVER_TLS_CERT_FILE");
});
