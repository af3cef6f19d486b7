import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { AdmissionGate } from "../../../src/membership/admission.ts";
import { EventBuffer } from "../../../src/membership/serf/serf-event.ts";
import { encodeTags } from "../../../src/membership/serf/tags.ts";

const at = { host: "10.0.0.1", port: 7946 };

function open() {
  const events = new EventBuffer();
  const clock = { nowMs: 0 };
  const refusal = new Fault("failed-precondition", { message: "another cluster" });
  const gate = new AdmissionGate({
    events,
    nowMs: () => clock.nowMs,
    admission: (_name, tags) => (tags["cluster"] === "ours" ? undefined : refusal),
  });
  const kinds = (): string[] => events.take().map(({ kind }) => kind);
  return { gate, clock, kinds, refusal };
}

test("a refused member is reported at most once in ten seconds per name", () => {
  const { clock, gate, kinds } = open();
  assert.equal(gate.refuses("a", at, encodeTags({ cluster: "ours" })), false);
  assert.equal(gate.refuses("b", at, encodeTags({})), true);
  assert.equal(gate.refuses("b", at, encodeTags({})), true);
  assert.equal(gate.refuses("c", at, encodeTags({})), true);
  assert.deepEqual(kinds(), ["refused", "refused"]);
  clock.nowMs = 10_000;
  gate.refuses("b", at, encodeTags({}));
  assert.deepEqual(kinds(), ["refused"]);
});

test("the refusal at an address is known until reset", () => {
  const { gate, refusal } = open();
  gate.refuses("b", at, encodeTags({}));
  assert.equal(gate.refusalAt(at), refusal);
  assert.equal(gate.refusalAt({ ...at, port: 1 }), undefined);
  gate.reset();
  assert.equal(gate.refusalAt(at), undefined);
});

test("a conflict is kept by name, and reported at the same rate", () => {
  const { gate, kinds } = open();
  for (let count = 0; count < 3; count++) gate.reportConflict("twin", at, { ...at, port: 2 });
  assert.equal(gate.hadConflict("twin"), true);
  assert.equal(gate.hadConflict("other"), false);
  assert.deepEqual(kinds(), ["conflict"]);
});
