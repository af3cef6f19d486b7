import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFrom, parseTail } from "../../../../src/api/http/tail-request.ts";
import { Fault } from "../../../../src/fault.ts";

const refused = (work: () => unknown, field: string, message: RegExp): void => {
  assert.throws(work, (reason: unknown) => {
    assert.ok(reason instanceof Fault);
    assert.equal(reason.kind, "bad-request");
    assert.equal(reason.facts.field, field);
    assert.match(reason.message, message);
    return true;
  });
};

test("without parameters a tail starts at the end, without a limit, in base64", () => {
  assert.deepEqual(parseTail("", undefined), {
    ...{ start: { end: true }, limit: 0, format: "base64" },
    batch: undefined,
  });
});

test("from is an offset, start, end, -N, @milliseconds or a time", () => {
  assert.deepEqual(parseFrom("7"), { offset: 7 });
  assert.deepEqual(parseFrom("start"), { fromTimeMs: 0 });
  assert.deepEqual(parseFrom("end"), { end: true });
  assert.deepEqual(parseFrom("-10"), { last: 10 });
  assert.deepEqual(parseFrom("@1500"), { fromTimeMs: 1500 });
  assert.deepEqual(parseFrom("1970-01-01T00:00:01Z"), { fromTimeMs: 1000 });
  assert.deepEqual(parseFrom("1960-01-01T00:00:00Z"), { fromTimeMs: 0 });
});

test("a plus sign of a time zone can be sent unescaped", () => {
  const { start } = parseTail("from=1970-01-01T02:00:01+02:00", undefined);
  assert.deepEqual(start, { fromTimeMs: 1000 });
});

test("a Last-Event-ID continues after that record, whatever from says", () => {
  assert.deepEqual(parseTail("from=start", "41").start, { offset: 42 });
  assert.deepEqual(parseTail("from=start", "").start, { fromTimeMs: 0 });
  refused(() => parseTail("", "x"), "Last-Event-ID", /must be the id of the last event seen/);
  refused(() => parseTail("", String(Number.MAX_SAFE_INTEGER)), "Last-Event-ID", /must be the id/);
});

test("unknown, repeated and invalid parameters are refused with their name", () => {
  const form = /no parameter form, only from, limit, format, batch, cursor, filter, log, log_id, prefix$/;
  refused(() => parseTail("form=1", undefined), "form", form);
  refused(() => parseTail("filter=a&&json.ms>10", undefined), "json.ms>10", /prefix\. .* & as %26$/);
  refused(() => parseTail("log_id=1-1", undefined), "log_id", /log_id needs the log/);
  refused(() => parseTail("limit=1&limit=2", undefined), "limit", /more than once/);
  refused(() => parseTail("format=xml", undefined), "format", /base64, text or json/);
  for (const limit of ["0", "-1", "1.5", "x", "9".repeat(20)])
    refused(() => parseTail(`limit=${limit}`, undefined), "limit", /whole number/);
  refused(() => parseFrom("2026-02-30T00:00:00Z"), "from", /a date that exists/);
  refused(() => parseFrom("yesterday"), "from", /not "yesterday"/);
});

test("a long text is repeated in part", () => {
  refused(() => parseFrom("x".repeat(10_000)), "from", /^.{1,250}$/);
});

test("batch is the number of records in an event", () => {
  assert.equal(parseTail("batch=1", undefined).batch, 1);
  assert.equal(parseTail("batch=1000", undefined).batch, 1000);
  for (const batch of ["0", "1001", "-1", "1.5", "x", ""])
    refused(() => parseTail(`batch=${batch}`, undefined), "batch", /from 1 to 1000/);
});
