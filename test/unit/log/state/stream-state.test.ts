import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkOrder,
  checkProducer,
  type StreamState,
  streamAfter,
  streamFrom,
  streamToValue,
} from "../../../../src/log/state/stream-state.ts";

const by = (name: string, epoch: number, sequence: number, subject = "local") => ({
  producer: { name, subject, epoch, sequence },
});
const day = 24 * 3_600_000;

function after(...commands: readonly Parameters<typeof streamAfter>[1][]): StreamState | undefined {
  let state: StreamState | undefined;
  for (const [at, command] of commands.entries()) state = streamAfter(state, command, 1000 + at);
  return state;
}
const check = (state: StreamState | undefined, name: string, epoch: number, sequence: number) =>
  checkProducer(state, by(name, epoch, sequence).producer, 2000);

test("an append without a producer and an order leaves no state", () => {
  assert.equal(after({}, { closes: true }), undefined);
});

test("a producer goes on at its next sequence, and every earlier one is a duplicate", () => {
  const state = after(by("a", 0, 0), by("a", 0, 1), by("b", 7, 0));
  assert.equal(check(state, "a", 0, 2), undefined);
  assert.equal(check(state, "a", 0, 0), 1, "the last sequence");
  assert.equal(check(state, "a", 0, 1), 1);
  assert.throws(() => check(state, "a", 0, 4), {
    kind: "out-of-sequence",
    facts: { expected: 2, sequence: 4 },
  });
  assert.throws(() => check(state, "c", 0, 1), {
    kind: "out-of-sequence",
    facts: { expected: 0, sequence: 1 },
  });
  assert.equal(check(state, "c", 5, 0), undefined, "a new producer begins with any epoch");
});

test("a higher epoch begins with sequence 0, a lower one is fenced", () => {
  const state = after(by("a", 3, 0));
  assert.equal(check(state, "a", 4, 0), undefined);
  assert.throws(() => check(state, "a", 4, 1), { kind: "bad-request" });
  assert.throws(() => check(state, "a", 2, 9), { kind: "producer-fenced", facts: { epoch: 3 } });
});

test("two subjects can use the same name", () => {
  const state = after(by("a", 1, 0, "ann"));
  assert.equal(checkProducer(state, by("a", 0, 0, "bob").producer, 2000), undefined);
});

test("an order must be greater as bytes, and stays when an append has none", () => {
  const state = after({ order: "09" }, by("a", 0, 0));
  checkOrder(state, "10");
  checkOrder(undefined, "");
  for (const order of ["09", "08", "0"])
    assert.throws(() => checkOrder(state, order), { kind: "failed-precondition" });
  assert.throws(() => checkOrder(after({ order: "b" }), "B"), { facts: { reason: "STREAM_SEQ" } });
});

test("a new producer takes the place of the one that appended least recently, if that was more than 7 days ago", () => {
  const name = (n: number): string => `${n}-`.padEnd(200, "x");
  let state: StreamState | undefined;
  let count = 0;
  while ((state?.producers?.length ?? 0) === count)
    state = streamAfter(state, by(name(count++), 0, 0), count);
  const kept = state!.producers!;
  assert.ok(kept.length > 20 && kept.length < 60, `${kept.length} producers`);
  assert.equal(kept[0]!.name, name(1), "the first one made place");
  const fresh = by(name(count), 0, 0).producer;
  assert.throws(() => checkProducer(state, fresh, count + day), { kind: "too-many-producers" });
  assert.equal(checkProducer(state, fresh, kept[0]!.lastMs + 7 * day), undefined);
  assert.equal(check(state, name(5), 0, 1), undefined, "a known one needs no place");
});

test("a state survives its plain value", () => {
  for (const state of [after(by("a", 1, 0), by("é", 0, 0), { order: "x" }), after({ order: "x" })])
    assert.deepEqual(streamFrom(JSON.parse(JSON.stringify(streamToValue(state!)))), state);
  for (const value of [
    null,
    1,
    { order: 1 },
    { producers: {} },
    { producers: [["a", "b", -1, 0, 0]] },
    { producers: [1] },
  ])
    assert.equal(streamFrom(value), undefined);
});
