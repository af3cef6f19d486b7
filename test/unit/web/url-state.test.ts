import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatChoices } from "../../../web/src/core/decode.ts";
import { timeStyles } from "../../../web/src/core/format.ts";
import {
  asPlace,
  defaultFrom,
  type From,
  formatUrl,
  lastMax,
  modesOf,
  parseFrom,
  parseUrl,
  reloadFrom,
  type Scope,
  type UrlState,
} from "../../../web/src/core/url-state.ts";

const defaultState: UrlState = {
  log: "",
  from: defaultFrom,
  live: false,
  query: "",
  scope: "tab",
  mode: "text",
  format: "auto",
  time: "local",
  open: undefined,
  view: "tail",
};

const from: fc.Arbitrary<From> = fc.oneof(
  fc.constantFrom<From>({ kind: "end" }, { kind: "start" }),
  fc.maxSafeNat().map((offset) => ({ kind: "offset", offset }) as const),
  fc.integer({ min: 1, max: lastMax }).map((count) => ({ kind: "last", count }) as const),
  fc.maxSafeNat().map((atMs) => ({ kind: "time", atMs }) as const),
);
const state: fc.Arbitrary<UrlState> = fc.constantFrom("tab", "log").chain((scope) => stateIn(scope));
const stateIn = (scope: Scope): fc.Arbitrary<UrlState> =>
  fc.record(
    {
      log: fc.string({ unit: "grapheme", maxLength: 40 }).filter((name) => name !== "default"),
      from,
      live: fc.boolean(),
      query: fc.string({ unit: "grapheme", maxLength: 40 }),
      scope: fc.constant(scope),
      mode: fc.constantFrom(...modesOf[scope]),
      format: fc.constantFrom(...formatChoices),
      time: fc.constantFrom(...timeStyles),
      open: fc.option(fc.maxSafeNat(), { nil: undefined }),
      view: fc.constantFrom("tail", "logs", "cluster", "segments"),
    },
    { noNullPrototype: true },
  );

test("a link reproduces the view it was made from", () => {
  fc.assert(
    fc.property(state, (given) => {
      const live = given.live && given.from.kind === "offset";
      const expected = { ...given, live, mode: given.query === "" ? "text" : given.mode };
      assert.deepEqual(parseUrl(formatUrl(given)), expected);
    }),
    { seed: 2, numRuns: 1000 },
  );
  assert.equal(formatUrl(defaultState), "");
  assert.equal(parseUrl("?log=default").log, "", "the name of the log that an empty name means");
});

test("an address that makes no sense is read as the default, part by part", () => {
  assert.deepEqual(parseUrl("?from=yesterday&by=magic&as=xml&time=mars&open=-3&view=moon"), defaultState);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => void parseUrl(text)),
    { seed: 2 },
  );
});

test("a start is read as people write it", () => {
  assert.deepEqual(parseFrom("12,345"), { kind: "offset", offset: 12345 });
  assert.deepEqual(parseFrom("−50"), { kind: "last", count: 50 });
  assert.deepEqual(parseFrom("-9999999"), { kind: "last", count: lastMax });
  assert.deepEqual(parseFrom("now"), { kind: "end" });
  assert.deepEqual(parseFrom("@1700000000000"), { kind: "time", atMs: 1_700_000_000_000 });
  assert.deepEqual(parseFrom("2026-11-21T03:00:00Z"), { kind: "time", atMs: Date.UTC(2026, 10, 21, 3) });
  for (const wrong of [
    "",
    "x",
    "1.5",
    "99999999999999999",
    "-",
    "2026-13-45",
    "2026-02-30",
    "2026-02-30T12:00:00Z",
    "2025-02-29",
  ]) {
    assert.equal(parseFrom(wrong), undefined, wrong);
  }
});

test("a reload reads again around the place, and no more than it showed", () => {
  const place = { first: 100, next: 90_000, top: 50_000, following: false };
  assert.deepEqual(reloadFrom(place), { kind: "offset", offset: 49_000 });
  assert.deepEqual(reloadFrom({ ...place, following: true }), { kind: "offset", offset: 88_000 });
  assert.deepEqual(reloadFrom({ first: 7, next: 9, top: 8, following: true }), { kind: "offset", offset: 7 });
});

test("a history entry of another page is not taken for a place", () => {
  assert.deepEqual(asPlace({ first: 0, next: 1, top: 0, following: true })?.next, 1);
  for (const wrong of [
    null,
    undefined,
    3,
    {},
    { first: -1, next: 1, top: 0, following: true },
    { first: 0, next: 1, top: 0 },
  ]) {
    assert.equal(asPlace(wrong), undefined);
  }
});
