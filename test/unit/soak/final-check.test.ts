import assert from "node:assert/strict";
import { test } from "node:test";
import { retentionFlaws } from "../../soak/final-check.ts";
import { Ledger } from "../../soak/ledger.ts";

/** A record each second, kept for 100 seconds; now it is second 1,000. */
const ledger = new Ledger("orders");
for (let n = 0; n < 1_000; n++) {
  ledger.mark(n * 1_000);
  ledger.ack(n, n);
}
const flawsAt = (lowest: number): string[] =>
  retentionFlaws({ name: "orders", weight: 1, retentionAgeMs: 100_000 }, ledger, lowest, 1_000_000);

test("a log that begins where its retention says is right", () => {
  assert.deepEqual(flawsAt(900), []);
  // Trimmed a little late, and by the clock of a node.
  assert.deepEqual([...flawsAt(880), ...flawsAt(910)], []);
});

test("records that are gone too early, and records that are kept too long, are found", () => {
  assert.match(flawsAt(950).join(), /lost records before 950 that are 50000 ms old/);
  assert.match(flawsAt(700).join(), /keeps the record 700, which is 300000 ms old/);
  assert.match(flawsAt(0).join(), /keeps the record 0/);
});
