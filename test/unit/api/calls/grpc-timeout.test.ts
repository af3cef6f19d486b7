import assert from "node:assert/strict";
import { test } from "node:test";
import { grpcTimeoutMs } from "../../../../src/api/calls/grpc-timeout.ts";

test("a timeout of up to eight digits is parsed in every unit", () => {
  for (const [value, expected] of [
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3000],
    ["4m", 4],
    ["5000u", 5],
    ["6000000n", 6],
    ["0S", 0],
    ["99999999S", 99_999_999_000],
  ] as const)
    assert.equal(grpcTimeoutMs(value), expected, value);
});

test("a malformed timeout is NaN", () => {
  for (const value of ["", "5", "S", "-1S", "1.5S", "123456789S", "1s", " 1S", "1S "])
    assert.ok(Number.isNaN(grpcTimeoutMs(value)), JSON.stringify(value));
});
