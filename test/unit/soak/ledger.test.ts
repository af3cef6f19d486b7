import assert from "node:assert/strict";
import { test } from "node:test";
import { Ledger } from "../../soak/ledger.ts";
import { RunList } from "../../soak/run-list.ts";

/** A log with three acknowledged records, which `reader` has read up to `read`. */
function ledgerWith(read: number): Ledger {
  const ledger = new Ledger("orders");
  for (let n = 0; n < 3; n++) ledger.ack(n, n);
  for (let n = 0; n < read; n++) ledger.readRecord("r", n, n);
  return ledger;
}

test("a reader that has read everything in order is right", () => {
  const ledger = ledgerWith(3);
  ledger.checkReaders();
  assert.deepEqual([ledger.violations, ledger.behind], [[], 0]);
});

test("a reader may read a record before it is acknowledged, and one that never is", () => {
  const ledger = new Ledger("orders");
  ledger.readRecord("r", 0, 0);
  ledger.readRecord("r", 1, 1);
  ledger.ack(0, 0);
  ledger.checkReaders();
  assert.deepEqual(ledger.violations, []);
});

const wrong: Readonly<Record<string, readonly [(ledger: Ledger) => void, RegExp]>> = {
  "a gap": [(one) => one.readRecord("r", 2, 2), /r read offset 2, not 1/],
  "a repetition": [(one) => one.readRecord("r", 0, 1), /r read offset 0, not 1/],
  "a sequence that is not behind the last one": [(one) => one.readRecord("r", 1, 0), /r read 0 after 0/],
  "a foreign value": [(one) => one.readRecord("r", 1, undefined), /offset 1 that was never written/],
  "an offset that is given twice": [(one) => one.ack(3, 2), /offset 2 was acknowledged twice/],
  "an acknowledged record that was not read": [(one) => one.checkReaders(), /2 acknowledged .* offset 1 /],
  "an acknowledged record that a node lacks": [
    (one) => one.checkKept("n1", 1, new RunList()),
    /n1 lacks 2 acknowledged records from offset 1/,
  ],
};

for (const [name, [happens, message]] of Object.entries(wrong)) {
  test(`it finds ${name}`, () => {
    const ledger = ledgerWith(1);
    happens(ledger);
    assert.match(ledger.violations.join("; "), message);
  });
}

test("it counts what the slowest reader has not read", () => {
  const ledger = ledgerWith(3);
  ledger.readRecord("slow", 0, 0);
  assert.equal(ledger.behind, 2);
});

test("it knows between which times a record was acknowledged", () => {
  const ledger = new Ledger("orders");
  ledger.mark(1_000);
  ledger.ack(0, 0);
  ledger.ack(1, 1);
  ledger.mark(2_000);
  ledger.ack(2, 2);
  ledger.mark(3_000);
  assert.equal(ledger.trimmedMs(0), undefined);
  assert.deepEqual([ledger.trimmedMs(1), ledger.trimmedMs(2), ledger.trimmedMs(3)], [2_000, 2_000, 3_000]);
  assert.deepEqual([ledger.oldestMs(1), ledger.oldestMs(2)], [1_000, 2_000]);
});
