import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { InitLogs, readInitFile } from "../../../../src/agent/init/init-logs.ts";
import { parseLogSpec } from "../../../../src/agent/init/log-spec.ts";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import { noLogger } from "../../../../src/lib/telemetry.ts";
import type { LogCatalog, LogChange } from "../../../../src/types.ts";
import { StillClock } from "../../../support/log/logs.ts";
import { scratch } from "../../../support/scratch.ts";

const specs = parseLogSpec("logs:\n  a:\n    ttl: 1h\n  b:\n", "logs.yaml");

/** A catalog whose creates can fail, and a node that leads or not. */
function node() {
  const created: string[] = [];
  const state: { leads: boolean; failing: string; kind: FaultKind } = {
    leads: false,
    failing: "",
    kind: "quota-exceeded",
  };
  const listeners = new Set<() => void>();
  const logs: Pick<LogCatalog, "open" | "change"> = {
    open: () => ({ info: () => Promise.reject(new Fault("not-found")) }) as never,
    change: async (change: LogChange) => {
      assert.ok(change.kind === "create");
      if (change.name === state.failing) throw new Fault(state.kind, { message: "no room" });
      created.push(change.name);
      return { log: undefined, created: true };
    },
  };
  const clock = new StillClock();
  const init = new InitLogs({
    specs,
    logs,
    leads: () => state.leads,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    clock,
    log: noLogger,
  });
  const changed = async (): Promise<void> => {
    for (const listener of listeners) listener();
    for (let turns = 0; turns < 10; turns++) await turn();
  };
  return { init, created, state, clock, changed, listeners };
}

test("the logs are created once the node leads, and once only", async () => {
  const { init, created, state, changed, listeners } = node();
  await changed();
  assert.deepEqual(created, []);
  assert.equal(init.note, "0 of 2 logs of --init-file are applied; the leader applies its own file");
  state.leads = true;
  await changed();
  assert.deepEqual(created, ["a", "b"]);
  assert.equal(init.note, undefined);
  await changed();
  assert.deepEqual(created, ["a", "b"]);
  init[Symbol.dispose]();
  assert.equal(listeners.size, 0);
});

test("what fails is shown and repeated until it is done, and the others are applied", async () => {
  const { init, created, state, clock, changed } = node();
  state.leads = true;
  state.failing = "a";
  await changed();
  assert.deepEqual(created, ["b"]);
  assert.equal(init.note, '1 of 2 logs of --init-file are applied; "a": no room');
  clock.advance(999);
  await changed();
  assert.deepEqual(created, ["b"]);
  state.failing = "";
  clock.advance(1);
  await changed();
  assert.deepEqual(created, ["b", "a"]);
  assert.equal(init.note, undefined);
  assert.equal(clock.timers, 0);
});

test("a log that is refused as invalid is not tried again, and the others are applied", async () => {
  const { init, created, state, clock, changed } = node();
  state.leads = true;
  state.failing = "a";
  state.kind = "bad-request";
  await changed();
  assert.deepEqual(created, ["b"]);
  assert.equal(init.note, undefined);
  assert.equal(clock.timers, 0);
});

test("a node that closes repeats nothing", async () => {
  const { init, state, clock, changed } = node();
  state.leads = true;
  state.failing = "a";
  await changed();
  init[Symbol.dispose]();
  assert.equal(clock.timers, 0);
});

test("a file that cannot be read, or is not valid, is a fault that names it", (t) => {
  const path = join(scratch(t), "logs.yaml");
  assert.throws(() => readInitFile(path), {
    kind: "config",
    message: /--init-file .*logs.yaml cannot be read/,
  });
  writeFileSync(path, "logs:\n  a:\n    x: 1\n");
  assert.throws(() => readInitFile(path), {
    kind: "config",
    message:
      /^--init-file .*logs.yaml line 3: log "a" has no setting "x"\. The settings are retention-bytes, .*content-type$/,
  });
  writeFileSync(path, "logs:\n  a:\n");
  assert.deepEqual(readInitFile(path), [{ name: "a", line: 2, settings: {} }]);
});
