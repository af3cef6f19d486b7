import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseRfc3339, parseTime } from "../../../../src/lib/time/rfc3339.ts";

const iso = (text: string): string | undefined => {
  const ms = parseRfc3339(text);
  return ms === undefined ? undefined : new Date(ms).toISOString();
};

test("every time that Date formats is parsed", () => {
  const years = { min: new Date("0000-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59.999Z") };
  fc.assert(
    fc.property(fc.date({ ...years, noInvalidDate: true }), (date) => {
      assert.equal(parseRfc3339(date.toISOString()), date.getTime());
    }),
  );
});

test("a zone is subtracted, t and z are accepted, -00:00 is UTC", () => {
  assert.equal(iso("2026-01-31T12:00:00+01:30"), "2026-01-31T10:30:00.000Z");
  assert.equal(iso("2026-01-31t23:30:00-02:00"), "2026-02-01T01:30:00.000Z");
  assert.equal(iso("2026-01-31T12:00:00z"), "2026-01-31T12:00:00.000Z");
  assert.equal(iso("2026-01-31T12:00:00-00:00"), "2026-01-31T12:00:00.000Z");
});

test("a date that does not exist is not a time", () => {
  for (const day of [
    "2026-02-30",
    "2026-02-29",
    "1900-02-29",
    "2026-04-31",
    "2026-00-10",
    "2026-13-01",
    "2026-01-00",
    "2026-01-32",
  ]) {
    assert.equal(parseRfc3339(`${day}T12:00:00Z`), undefined, day);
  }
  for (const day of ["2024-02-29", "2000-02-29", "2026-12-31", "0000-02-29"]) {
    assert.equal(iso(`${day}T12:00:00Z`), `${day}T12:00:00.000Z`);
  }
});

test("a time of day or zone out of range, or another form, is not a time", () => {
  for (const text of [
    "2026-01-31T24:00:00Z",
    "2026-01-31T12:60:00Z",
    "2026-01-31T12:00:61Z",
    "2026-01-31T12:00:00+24:00",
    "2026-01-31T12:00:00+01:60",
    "2026-01-31T12:00:00",
    "2026-01-31T12:00Z",
    "2026-01-31 12:00:00Z",
    "2026-01-31T12:00:00.Z",
    "2026-01-31T12:00:00+0100",
    "2026-1-31T12:00:00Z",
    "+02026-01-31T12:00:00Z",
    "2026-01-31T12:00:00Z\n",
    "",
  ]) {
    assert.equal(parseRfc3339(text), undefined, JSON.stringify(text));
  }
});

test("a leap second is the second after it, and exists only at the end of a month in UTC", () => {
  assert.equal(iso("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00.000Z");
  assert.equal(iso("2016-12-31T23:59:60.7Z"), "2017-01-01T00:00:00.000Z");
  assert.equal(iso("1990-12-31T15:59:60-08:00"), "1991-01-01T00:00:00.000Z");
  assert.equal(iso("2026-02-28T23:59:60Z"), "2026-03-01T00:00:00.000Z");
  for (const text of [
    "2026-01-30T23:59:60Z",
    "2026-01-31T22:59:60Z",
    "2026-01-31T23:59:60+01:00",
    "2026-01-31T23:58:60Z",
  ]) {
    assert.equal(parseRfc3339(text), undefined, text);
  }
});

test("a fraction of a millisecond is rounded up", () => {
  assert.equal(iso("2026-01-31T12:00:00.1Z"), "2026-01-31T12:00:00.100Z");
  assert.equal(iso("2026-01-31T12:00:00.123000Z"), "2026-01-31T12:00:00.123Z");
  assert.equal(iso("2026-01-31T12:00:00.1230001Z"), "2026-01-31T12:00:00.124Z");
  assert.equal(iso("2026-01-31T23:59:59.9999Z"), "2026-02-01T00:00:00.000Z");
});

test("a date alone is midnight of it in UTC, and must exist", () => {
  assert.equal(parseTime("2030-01-01"), Date.UTC(2030, 0, 1));
  assert.equal(parseTime("2028-02-29"), Date.UTC(2028, 1, 29));
  assert.equal(parseTime("2030-01-01T12:00:00+01:00"), Date.UTC(2030, 0, 1, 11));
  for (const wrong of [
    "2030-02-30",
    "2030-13-01",
    "2030-1-1",
    "2030-01",
    "2030",
    "20300101",
    "2030-01-01 ",
    "2030-01-01Z",
  ])
    assert.equal(parseTime(wrong), undefined, wrong);
});
