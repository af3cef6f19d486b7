/** Where the ops port listens. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noLogger } from "../../../../src/lib/telemetry.ts";
import { openOps, opsPortBeside } from "../../../../src/server/ops/ops-address.ts";
import { freePort } from "../../../support/free-port.ts";

const options = { prometheus: async () => "", version: {}, log: noLogger };

test("the default is 1,000 above the main port, below where that is no port, and free beside a free one", () => {
  assert.equal(opsPortBeside(8080), 9080);
  assert.equal(opsPortBeside(65_000), 64_000);
  assert.equal(opsPortBeside(0), 0);
});

test("a default that is taken gives way to a free port and is logged, one that was given is refused", async () => {
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
