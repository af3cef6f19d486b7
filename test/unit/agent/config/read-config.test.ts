import assert from "node:assert/strict";
import { test } from "node:test";
import { printConfig, printFlags } from "../../../../src/agent/config/print-config.ts";
import { readConfig } from "../../../../src/agent/config/read-config.ts";
import { keyOf, settingNames, variableOf } from "../../../../src/agent/config/settings.ts";
import { Fault } from "../../../../src/fault.ts";

const read = (flags: readonly string[], environment: Record<string, string> = {}, file = "") =>
  readConfig({ flags, environment, readFile: () => file });
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

test("without flags, variables and a file, all settings have their defaults", () => {
  const { config, sources } = read([]);
  assert.deepEqual(config.addr, { host: "127.0.0.1", port: 8080 });
  assert.equal(config.opsAddr, undefined);
  assert.equal(config.dataDir, "./data");
  assert.equal(config.clientAuth, "require");
  assert.equal(config.segmentStoreBytesMax, 64 * 2 ** 20);
  assert.equal(config.segmentIndexBytesMax, 16 * 2 ** 20);
  assert.equal(config.segmentAgeMax, 24 * 3_600_000);
  assert.equal(config.initialOffset, 0);
  assert.equal(config.retentionBytes, 0);
  assert.equal(config.retentionAge, 0);
  assert.equal(config.sync, "always");
  assert.equal(config.recordBytesMax, 2 ** 20);
  assert.equal(config.requestBytesMax, 4 * 2 ** 20);
  assert.equal(sources.addr, "default");
});

test("a flag beats the environment, the environment the file, the file the default", () => {
  const file = "data-dir: /file\nsync: never\nretention-bytes: 5GiB\nrecord-bytes-max: 1000\n";
  const environment = { TAILRACE_DATA_DIR: "/environment", TAILRACE_SYNC: "interval=20ms" };
  const { config, sources } = read(["--data-dir=/flag", "--config-file", "x.yaml"], environment, file);
  assert.equal(config.dataDir, "/flag");
  assert.equal(config.sync, "interval=20ms");
  assert.equal(config.retentionBytes, 5 * 2 ** 30);
  assert.equal(config.recordBytesMax, 1000);
  assert.deepEqual(
    [sources.dataDir, sources.sync, sources.retentionBytes, sources.nodeName],
    ["flag", "environment", "file", "default"],
  );
});

test("an unknown flag, variable or key is an error that names the nearest known one", () => {
  assert.equal(
    messageOf(() => read(["--data-dri", "x"])),
    "unknown flag --data-dri, did you mean --data-dir?",
  );
  assert.equal(
    messageOf(() => read(["--zzzzzz"])),
    "unknown flag --zzzzzz",
  );
  assert.equal(
    messageOf(() => read([], { TAILRACE_SINC: "never" })),
    "unknown variable TAILRACE_SINC, did you mean TAILRACE_SYNC?",
  );
  assert.equal(
    messageOf(() => read(["--config-file", "c.yaml"], {}, "retention-byte: 1")),
    "c.yaml: unknown key retention-byte, did you mean retention-bytes?",
  );
  assert.equal(read([], { TAILRACE_REQUIRE: "grpcurl", PATH: "/bin" }).config.sync, "always");
});

test("a malformed value is refused with its source and the expected form", () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["--addr", "8080"], /^--addr: expected HOST:PORT.*found "8080"$/],
    [["--addr", "127.0.0.1:99999"], /^--addr: expected HOST:PORT/],
    [["--sync", "sometimes"], /^--sync: expected always, never or interval=DURATION/],
    [["--sync", "interval=0"], /^--sync: expected/],
    [["--segment-age-max", "49d"], /^--segment-age-max: expected a duration/],
    [["--segment-age-max", "10"], /^--segment-age-max: expected a duration/],
    [["--record-bytes-max", "5MiB"], /^--record-bytes-max: expected a size/],
    [["--record-bytes-max", "1MB"], /^--record-bytes-max: expected a size/],
    [["--initial-offset", "-1"], /^--initial-offset: expected a whole number/],
    [["--initial-offset", "9007199254740992"], /^--initial-offset: expected a whole number/],
    [["--client-auth", "maybe"], /^--client-auth: expected require or optional/],
    [["--allow-plaintext=yes"], /^--allow-plaintext: expected true or false/],
    [["--sync", "never", "--sync", "always"], /^--sync is given twice$/],
    [["--data-dir"], /^--data-dir needs a value$/],
    [["extra"], /^unexpected argument extra$/],
  ];
  for (const [flags, expected] of cases)
    assert.match(
      messageOf(() => read(flags)),
      expected,
    );
});

test("settings that contradict each other are refused", () => {
  const tls = ["--server-tls-cert-file", "c", "--server-tls-key-file", "k", "--server-tls-ca-file", "a"];
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
  ];
  for (const [flags, expected] of cases)
    assert.match(
      messageOf(() => read(flags)),
      expected,
    );
  assert.equal(read(["--addr", "[::1]:80"]).config.addr.host, "::1");
  assert.equal(read([...tls]).config.serverTlsCaFile, "a");
});

test("YAML lists, numbers and booleans have the meaning of the same text in a flag", () => {
  const file = "start-join-addrs: [a:1, 'b:2']\nbootstrap-expect: 3\nallow-plaintext: true\n";
  const { config } = read(["--config-file", "f"], {}, file);
  assert.deepEqual(config.startJoinAddrs, [
    { host: "a", port: 1 },
    { host: "b", port: 2 },
  ]);
  assert.equal(config.bootstrapExpect, 3);
  assert.equal(config.allowPlaintext, true);
  assert.match(
    messageOf(() => read(["--config-file", "f"], {}, "sync: {a: b}")),
    /f, sync: expected one value/,
  );
  assert.match(
    messageOf(() => read(["--config-file", "f"], {}, "- a")),
    /f must be a mapping of names to values/,
  );
  assert.match(
    messageOf(() => read(["--config-file", "f"], {}, "a: [")),
    /^cannot read f/,
  );
});

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
