import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLogSpec, specBytesMax } from "../../../../src/agent/init/log-spec.ts";
import { Fault } from "../../../../src/fault.ts";

const parse = (text: string) => parseLogSpec(text, "logs.yaml");

test("a file lists logs with their settings, each with its line", () => {
  const text = `# our logs
logs:
  orders/eu:
    retention-age: 7d
    max-bytes: 10GiB
    ttl: null
  audit:
  "12":
    record-bytes-max: 1024
    content-type: application/json
    expires-at: 2030-01-01T00:00:00Z
`;
  assert.deepEqual(parse(text), [
    {
      name: "orders/eu",
      line: 3,
      settings: { retentionAgeMs: 604_800_000, maxBytes: 10 * 2 ** 30, ttlMs: null },
    },
    { name: "audit", line: 7, settings: {} },
    {
      name: "12",
      line: 8,
      settings: {
        recordBytesMax: 1024,
        contentType: "application/json",
        expiresAtMs: Date.UTC(2030, 0, 1),
      },
    },
  ]);
  assert.deepEqual(parse("logs:"), []);
});

test("JSON is read too, and settings can be shared by an alias", () => {
  assert.deepEqual(parse('{\n"logs": {"a": {"ttl": "1h"}}}'), [
    { name: "a", line: 2, settings: { ttlMs: 3_600_000 } },
  ]);
  const shared = parse("logs:\n  a: &common\n    ttl: 1h\n  b: *common\n");
  assert.deepEqual(
    shared.map(({ settings }) => settings),
    [{ ttlMs: 3_600_000 }, { ttlMs: 3_600_000 }],
  );
});

test("what is wrong is named with file, line and field", () => {
  for (const [text, message, field] of [
    ["", /^logs.yaml line 1: the file must have the key logs$/, "logs"],
    ["logs: 5", /^logs.yaml line 1: logs must be a mapping of names to settings$/, undefined],
    ["- a", /^logs.yaml line 1: the file must be a mapping with the key logs$/, undefined],
    [
      "orders/eu: {}\n",
      /line 1: unknown key "orders\/eu"\. Names of logs are below the key logs$/,
      "orders/eu",
    ],
    ["log:\n  a:\n", /line 1: unknown key "log", did you mean logs\?$/, "log"],
    ["logs:\n  a*:\n", /line 2: "a\*": the name of a log has none of/, "name"],
    ["logs:\n  default:\n", /line 2: the log "default" has the settings of the cluster$/, "name"],
    ['logs:\n  "":\n', /line 2: the name of a log is empty$/, "name"],
    ["logs:\n  a: 7\n", /line 2: the settings of "a" must be a mapping$/, undefined],
    [
      "logs:\n  a:\n    tll: 1h\n",
      /line 3: log "a" has no setting "tll", did you mean ttl\? The settings are retention-bytes, .*$/,
      "tll",
    ],
    [
      "logs:\n  a:\n    ttl: soon\n",
      /line 3: log "a": ttl must be a duration such as 24h or 7d, not "soon"$/,
      "ttl",
    ],
    ["logs:\n  a:\n    ttl: 0\n", /line 3: log "a": ttl must be/, "ttl"],
    ["logs:\n  a:\n    ttl: [1h]\n", /line 3: log "a": ttl must be one value$/, "ttl"],
    ["logs:\n  a:\n    max-bytes: true\n", /line 3: log "a": max-bytes must be one value$/, "max-bytes"],
    ["logs:\n  a:\n  a:\n", /line 3: "a" is listed twice$/, undefined],
    ["logs:\n  a: {\n", /^logs.yaml line 3: /, undefined],
    ["logs:\n  a: *b\n", /^logs.yaml line 2: /, undefined],
  ] as const) {
    assert.throws(
      () => parse(text),
      (fault) => {
        assert.ok(fault instanceof Fault, String(fault));
        assert.match(fault.message, message);
        assert.equal(fault.kind, "config");
        assert.equal(fault.facts.field, field);
        assert.equal(fault.facts.file, "logs.yaml");
        return true;
      },
    );
  }
  assert.throws(() => parse(" ".repeat(specBytesMax + 1)), /logs.yaml: is larger than/);
});

test("a file with too many aliases is refused", () => {
  const text = (count: number) =>
    `logs:\n  a: &a\n    ttl: 1h\n${Array.from({ length: count }, (_, n) => `  b${n}: *a\n`).join("")}`;
  assert.equal(parse(text(256)).length, 257);
  assert.throws(() => parse(text(257)), /logs\.yaml line \d+: the file has more than 256 aliases/);
});
