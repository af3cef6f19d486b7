import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "../../../../src/agent/config/read-config.ts";
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
    messageOf(() => read(["--port", "9"])),
    "unknown flag --port. This is --addr HOST:PORT",
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
    [["extra"], /^unexpected argument "extra"$/],
  ];
  for (const [flags, expected] of cases)
    assert.match(
      messageOf(() => read(flags)),
      expected,
    );
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
    /^cannot read f: .*[^:]$/,
  );
});
