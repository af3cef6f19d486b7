import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { descriptorLimit } from "../../../../src/server/connections/descriptor-limit.ts";
import { observeDescriptors } from "../../../../src/server/connections/observe-descriptors.ts";
import { Instruments } from "../../../../src/telemetry/instruments.ts";

test("open descriptors are counted beside their limit, where the system shows them", () => {
  const instruments = new Instruments();
  observeDescriptors(instruments, descriptorLimit());
  const values = (): unknown[] => instruments.collect().map(({ points }) => points[0]?.value);
  if (descriptorLimit() === undefined) return assert.deepEqual(values(), []);
  const [before, limit] = values();
  const opened = openSync(import.meta.filename, "r");
  const [after] = values();
  closeSync(opened);
  assert.equal(after, Number(before) + 1);
  assert.equal(limit, descriptorLimit());
});
