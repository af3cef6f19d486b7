import assert from "node:assert/strict";
import { test } from "node:test";
import {
  applyLog,
  type CheckedLogsPort,
  checkLog,
  type LogsPort,
  planFor,
} from "../../../../src/agent/init/apply-log.ts";
import { Fault } from "../../../../src/fault.ts";
import type { NamedLogSettings, SettingsChange } from "../../../../src/types.ts";

const spec = (name: string, settings: SettingsChange) => ({ name, line: 1, settings });

/** Logs in memory. It notes what was changed. */
function logsOf(initial: Readonly<Record<string, NamedLogSettings>>) {
  const logs = new Map(Object.entries(initial));
  const done: unknown[] = [];
  const checked: unknown[] = [];
  const port: CheckedLogsPort = {
    find: async (name) => {
      const settings = logs.get(name);
      return settings === undefined ? undefined : { id: `7-${name}`, settings };
    },
    create: async (name, settings) => {
      if (logs.has(name)) throw new Fault("already-exists");
      done.push(["create", name, settings]);
      logs.set(name, settings);
    },
    update: async (name, id, change) => {
      done.push(["update", name, id, change]);
      const merged = Object.entries({ ...logs.get(name), ...change }).filter(([, value]) => value !== null);
      logs.set(name, Object.fromEntries(merged) as NamedLogSettings);
    },
    checkCreate: async (name, settings) => void checked.push(["create", name, settings]),
    checkUpdate: async (name, id, change) => void checked.push(["update", name, id, change]),
  };
  return { port, done, checked, logs };
}

test("a log is created with what the file states, and then unchanged", async () => {
  const { port, done, checked } = logsOf({});
  const wanted = spec("a", { ttlMs: 3_600_000, maxBytes: null });
  const created = { name: "a", result: "created", settings: { ttl: "1h" } };
  assert.deepEqual(await checkLog(port, wanted), created);
  assert.deepEqual([done, checked], [[], [["create", "a", { ttlMs: 3_600_000 }]]], "only checked");
  assert.deepEqual(await applyLog(port, wanted), created);
  assert.deepEqual(done, [["create", "a", { ttlMs: 3_600_000 }]]);
  assert.deepEqual(await applyLog(port, wanted), { name: "a", result: "unchanged" });
  assert.deepEqual(await checkLog(port, wanted), { name: "a", result: "unchanged" });
  assert.deepEqual([done.length, checked.length], [1, 1]);
});

test("only the settings that differ are changed, and those that the file does not state stay", async () => {
  const { port, done, checked, logs } = logsOf({
    a: { ttlMs: 1_000, maxBytes: 1_024, contentType: "text/plain" },
  });
  const wanted = spec("a", { ttlMs: 2_000, maxBytes: null, recordBytesMax: 10, contentType: "text/plain" });
  const updated = {
    name: "a",
    result: "updated",
    changed: {
      "max-bytes": { from: "1KiB", to: null },
      ttl: { from: "1s", to: "2s" },
      "record-bytes-max": { from: null, to: "10" },
    },
  };
  assert.deepEqual(await checkLog(port, wanted), updated);
  assert.deepEqual(await applyLog(port, wanted), updated);
  assert.deepEqual(done, [["update", "a", "7-a", { maxBytes: null, ttlMs: 2_000, recordBytesMax: 10 }]]);
  assert.deepEqual(checked, done);
  assert.deepEqual(logs.get("a"), { ttlMs: 2_000, contentType: "text/plain", recordBytesMax: 10 });
  assert.deepEqual(planFor(spec("a", {}), logs.get("a")), { name: "a", result: "unchanged" });
});

test("a log that another one creates in the meantime is updated", async () => {
  const { port, done, logs } = logsOf({});
  const racing: LogsPort = {
    ...port,
    create: async () => {
      logs.set("a", { ttlMs: 5 });
      throw new Fault("already-exists");
    },
  };
  const { result } = await applyLog(racing, spec("a", { ttlMs: 6 }));
  assert.equal(result, "updated");
  assert.deepEqual(done, [["update", "a", "7-a", { ttlMs: 6 }]]);
});
