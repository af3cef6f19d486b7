import assert from "node:assert/strict";
import { test } from "node:test";
import { preferredType } from "../../../../../src/api/http/logs/accept.ts";

const offers = ["application/json", "application/octet-stream", "text/event-stream"] as const;
const chosen = (accept?: string) => preferredType(accept, offers);

test("without a preference the first offer is chosen", () => {
  for (const accept of [undefined, "", "*/*", "image/png", "text/html,*/*;q=0.8", ";;,,", "application/*"])
    assert.equal(chosen(accept), offers[0], String(accept));
});

test("the highest quality wins, and the first offer in a tie", () => {
  assert.equal(chosen("text/event-stream"), offers[2]);
  assert.equal(chosen("TEXT/Event-Stream ; q=1.000"), offers[2]);
  assert.equal(chosen("text/event-stream, application/json"), offers[0]);
  assert.equal(chosen("application/json;q=0.1, application/octet-stream;q=0.2"), offers[1]);
  assert.equal(chosen("application/json;q=0.5, text/*;q=0.9"), offers[2]);
});

test("a specific range counts before a general one", () => {
  assert.equal(chosen("*/*, application/json;q=0.5"), offers[1]);
  assert.equal(chosen("application/json;q=0, application/octet-stream;q=0, */*"), offers[2]);
  assert.equal(chosen("application/*;q=0.3, */*;q=0.2"), offers[0]);
});

test("an invalid quality is none, and a long header costs no more than its length", () => {
  assert.equal(chosen("application/octet-stream;q=x"), offers[0]);
  assert.equal(chosen("application/octet-stream;q=2, application/json;q=0.1"), offers[0]);
  const began = performance.now();
  for (const text of [",", ";", "a/b;", "q=0.", " "]) chosen(text.repeat(16_000));
  assert.ok(performance.now() - began < 5_000);
});
