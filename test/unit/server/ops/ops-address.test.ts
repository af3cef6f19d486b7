/** Where the ops port listens. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noLogger } from "../../../../src/lib/telemetry.ts";
import { openOps, opsPortBeside } from "../../../../src/server/ops/ops-address.ts";
import { freePort } from "../../../support/process/free-port.ts";

const options = { prometheus: async () => "", version: {}, log: noLogger };

test("the default is 1,000 above the main port, or below if that is no port, or 0 for port 0", () => {
  assert.equal(opsPortBeside(8080), 9080);
  assert.equal(opsPortBeside(65_000), 64_000);
  assert.equal(opsPortBeside(0), 0);
});

test("a default in use is replaced by a free port and logged; a given port in use is refused", async () => {
  const port = await freePort();
  const lines: string[] = [];
  const log = { ...noLogger, warn: (_facts: object, message: string) => lines.push(message) };
  await using first = await openOps(undefined, port, options);
  assert.equal(first.address, `127.0.0.1:${port + 1_000}`);
  await using second = await openOps(undefined, port, { ...options, log });
  assert.notEqual(second.address, first.address);
  assert.match(lines[0] ?? "", /the default ops port is in use/);
  const given = { host: "127.0.0.1", port: port + 1_000 };
  await assert.rejects(openOps(given, port, options), { kind: "config" });
});
