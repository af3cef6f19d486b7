import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import type { LogRow } from "../../../../src/log/mod.ts";
import { LogAdmission } from "../../../../src/replication/logs/log-admission.ts";
import { LogQuotas } from "../../../../src/replication/logs/log-quotas.ts";
import { run, StillClock } from "../../../support/log/logs.ts";

const row: LogRow = {
  id: 4,
  name: "a",
  settings: {},
  createdMs: 1,
  lowest: 0,
  next: 3,
  bytes: 100,
  lastMs: 1,
  lastIndex: 9,
  version: 9,
  closed: false,
};
let lags = false;
let isDamaged = false;
const quotas = new LogQuotas(() => ({ size: 1, usageOf: () => ({ logs: 1, bytes: 100 }) }), new StillClock());
const admission = new LogAdmission(
  () => ({ stagedNamed: (name) => (name === "a" ? row : undefined), stagedLife: 7, lags, isDamaged }),
  quotas,
);
const refusal = (work: () => unknown): string => {
  try {
    work();
    return "";
  } catch (fault) {
    assert.ok(fault instanceof Fault);
    return String(fault.facts["reason"] ?? fault.kind);
  }
};

test("a name means its staged row, unless another id is stated", () => {
  assert.equal(admission.rowOf({ name: "a" }), row);
  assert.equal(admission.rowOf({ name: "a", id: 4 }), row);
  assert.equal(admission.rowOf({ name: "a", id: 4, life: 7 }), row);
  assert.equal(
    refusal(() => admission.rowOf({ name: "a", id: 4, life: 6 })),
    "ANOTHER_LIFE",
  );
  assert.equal(
    refusal(() => admission.rowOf({ name: "a", id: 3 })),
    "ANOTHER_LOG",
  );
  assert.equal(
    refusal(() => admission.rowOf({ name: "b" })),
    "NO_SUCH_LOG",
  );
});

test("a closed log takes nothing, a limited one what fits beside what is queued", () => {
  const records = run("12345", "123");
  const check = (given: Partial<LogRow>, queued = 0): string =>
    refusal(() => admission.checkRun({ ...row, ...given }, records, records.bytes.length, () => queued));
  assert.equal(check({}), "");
  assert.equal(check({ closed: true }), "LOG_CLOSED");
  const maxBytes = 100 + records.bytes.length;
  assert.equal(check({ settings: { maxBytes } }), "");
  assert.equal(check({ settings: { maxBytes } }, 1), "LOG_FULL");
  assert.equal(check({ settings: { maxBytes: maxBytes - 1 } }), "LOG_FULL");
  // A record is its value with a tag and a length.
  assert.equal(check({ settings: { recordBytesMax: 7 } }), "");
  assert.equal(check({ settings: { recordBytesMax: 6 } }), "too-large");
});

test("a full log says what it holds, what the append needs, and what can be done", () => {
  const full = { ...row, settings: { maxBytes: 120 } };
  assert.throws(
    () => admission.checkRun(full, run("x"), 30, () => 5),
    (fault: unknown) => {
      assert.ok(fault instanceof Fault);
      const { name, foundBytes, needed, bytesMax } = fault.facts;
      assert.deepEqual([name, foundBytes, needed, bytesMax, fault.written], ["a", 105, 30, 120, "no"]);
      assert.match(
        fault.message,
        /holds 105 bytes, the append needs 30, and max_bytes is 120.*tailrace trim.*--max-bytes/,
      );
      return true;
    },
  );
});

test("nothing is appended or created while the rows of named logs are written too slowly", () => {
  lags = true;
  const overloaded = (fault: unknown): boolean => fault instanceof Fault && fault.kind === "overloaded";
  assert.throws(() => admission.checkRun(row, run("x"), 9, () => 0), overloaded);
  assert.throws(() => admission.checkRowsWritten(), overloaded);
  isDamaged = true;
  assert.throws(() => admission.checkRowsWritten(), { kind: "corrupt", message: /builds it again/ });
  lags = false;
  admission.checkRun(row, run("x"), 9, () => 0);
});
