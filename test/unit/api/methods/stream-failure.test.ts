import assert from "node:assert/strict";
import { test } from "node:test";
import { streamFailure } from "../../../../src/api/methods/stream-failure.ts";
import { Fault } from "../../../../src/fault.ts";

const written = { status: "fulfilled", value: undefined } as const;
const failed = (fault: Fault) => ({ status: "rejected", reason: fault }) as const;

test("a failure is written `no` only if nothing behind it may have been written", () => {
  const before = { records_before: 7 };
  const fault = new Fault("bad-record", { facts: { record: 1 } });
  const alone = streamFailure(fault, before, [failed(new Fault("unavailable"))]);
  assert.deepEqual(
    [alone.kind, alone.written, alone.facts],
    ["bad-record", "no", { record: 1, records_before: 7 }],
  );
  for (const behind of [written, failed(new Fault("interrupted", { written: "unknown" }))]) {
    const torn = streamFailure(fault, before, [failed(new Fault("unavailable")), behind]);
    assert.deepEqual([torn.kind, torn.written], ["bad-record", "unknown"]);
  }
});

test("a kind that invites retries becomes `interrupted` if something may have been written", () => {
  for (const kind of ["unavailable", "not-leader", "overloaded", "disk-full", "disk-busy"] as const) {
    assert.equal(streamFailure(new Fault(kind), {}, []).kind, kind);
    assert.equal(streamFailure(new Fault(kind), {}, [written]).kind, "interrupted");
  }
});
