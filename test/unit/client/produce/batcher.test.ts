/**
 * The batcher: limits and linger step by step, then simulated runs against a server with the real producer table over a
 * network that loses and delays messages, also beyond the deadline of the sender.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Batcher } from "../../../../src/client/produce/batcher.ts";
import type { Batch, BatcherSettings, Outcome } from "../../../../src/client/produce/batcher-types.ts";
import { encodeRun } from "../../../../src/client/record-codec.ts";
import { Fault } from "../../../../src/fault.ts";
import { type Prng, prng } from "../../../../src/lib/prng.ts";
import { defaultSettings } from "../../../../src/log/mod.ts";
import { ProducerTable } from "../../../../src/log/state/producer-table.ts";
import type { Appended, RecordRun } from "../../../../src/types.ts";

const settings = (changes: Partial<BatcherSettings> = {}): BatcherSettings => ({
  recordsMax: 4,
  bytesMax: 1_000,
  lingerMs: 10,
  inFlightMax: 2,
  queueBytesMax: 5_000,
  deliveryMs: 1_000,
  ...changes,
});
const one = (text = "x"): RecordRun => encodeRun([{ value: text }]);
const appended = (firstOffset: number, count: number): Appended => ({
  firstOffset,
  count,
  timestampMs: 1,
  duplicate: false,
});
const stamped = { producer: { id: 5n, epoch: 0 } };

test("a batch lingers for more runs, and is sent at once when it is full or flushed", () => {
  const batcher = new Batcher<number>(settings());
  batcher.add(one(), 0, 100);
  assert.equal(batcher.next(109), undefined);
  assert.equal(batcher.wakeAt(), 110);
  assert.equal(batcher.next(110)!.run.count, 1);
  for (let n = 1; n <= 4; n++) batcher.add(one(), n, 120);
  assert.equal(batcher.next(120)!.run.count, 4, "full by records");
  assert.equal(batcher.next(1e9), undefined, "two are in flight");
});

test("a producer sends no more batches than a node keeps results of until the first one is resolved", () => {
  const batcher = new Batcher<number>(settings({ recordsMax: 1, ...stamped }));
  for (let n = 0; n < 4; n++) batcher.add(one(), n, 0);
  const [first, second] = [batcher.next(0)!, batcher.next(0)!];
  batcher.acked(second, appended(1, 1));
  assert.equal(batcher.next(0), undefined, "the first one can still be sent again");
  batcher.acked(first, appended(0, 1));
  assert.deepEqual([batcher.next(0)?.stamp?.sequence, batcher.next(0)?.stamp?.sequence], [2, 3]);
});

test("flush ends the linger time of the open batch only", () => {
  const batcher = new Batcher<number>(settings());
  batcher.add(one(), 0, 0);
  batcher.flush();
  assert.equal(batcher.next(0)!.run.count, 1);
  batcher.add(one(), 1, 0);
  assert.equal(batcher.next(0), undefined);
});

test("the bytes of a batch are limited, and a larger run is sent alone", () => {
  const batcher = new Batcher<number>(settings({ inFlightMax: 9 }));
  batcher.add(one("a".repeat(600)), 0, 0);
  batcher.add(one("b".repeat(600)), 1, 0);
  batcher.add(one("c".repeat(2_000)), 2, 0);
  batcher.flush();
  const counts: number[] = [];
  for (let batch = batcher.next(0); batch !== undefined; batch = batcher.next(0))
    counts.push(batch.items.length);
  assert.deepEqual(counts, [1, 1, 1]);
});

test("a full queue rejects runs until a batch is settled", () => {
  const batcher = new Batcher<number>(settings({ queueBytesMax: 100, lingerMs: 0 }));
  batcher.add(one("a".repeat(500)), 0, 0);
  assert.throws(
    () => batcher.add(one(), 1, 0),
    (reason) => reason instanceof Fault && reason.kind === "overloaded" && reason.written === "no",
  );
  const batch = batcher.next(0)!;
  batcher.acked(batch, appended(0, 1));
  assert.equal(batcher.bytes, 0);
  batcher.add(one(), 1, 0);
});

test("sequences count records, and each run gets its own offset", () => {
  const batcher = new Batcher<string>(settings({ ...stamped, lingerMs: 0 }));
  batcher.add(encodeRun([{}, {}]), "two", 0);
  batcher.add(one(), "one", 0);
  const first = batcher.next(0)!;
  assert.deepEqual(first.stamp, { id: 5n, epoch: 0, sequence: 0 });
  batcher.add(one(), "next", 0);
  assert.equal(batcher.next(0)!.stamp!.sequence, 3);
  batcher.acked(first, appended(40, 3));
  assert.deepEqual(
    batcher
      .takeOutcomes()
      .map((outcome) => [outcome.ticket, "appended" in outcome && outcome.appended.firstOffset]),
    [
      ["two", 40],
      ["one", 42],
    ],
  );
});

test("a batch with an unknown outcome is retried with the same sequence before a new one is sent", () => {
  const batcher = new Batcher<number>(settings({ ...stamped, lingerMs: 0 }));
  batcher.add(one(), 0, 0);
  const batch = batcher.next(0)!;
  batcher.failed(batch, new Fault("unknown", { written: "unknown" }), 50);
  batcher.add(one(), 1, 0);
  assert.equal(batcher.next(49), undefined);
  assert.equal(batcher.wakeAt(), 50);
  assert.equal(batcher.next(50), batch);
  assert.equal(batch.stamp!.sequence, 0);
  assert.equal(batcher.next(50), undefined, "nothing new while one is tried again");
  batcher.acked(batch, appended(0, 1));
  assert.equal(batcher.next(51)!.stamp!.sequence, 1);
});

test("without a producer an unknown outcome is final, and a batch that was not written is retried", () => {
  const batcher = new Batcher<number>(settings({ lingerMs: 0, inFlightMax: 1 }));
  batcher.add(one(), 0, 0);
  const batch = batcher.next(0)!;
  assert.equal(batch.stamp, undefined);
  batcher.failed(batch, new Fault("unavailable"), 10);
  assert.equal(batcher.next(10), batch);
  batcher.failed(batch, new Fault("unknown", { written: "unknown" }), 20);
  const [outcome] = batcher.takeOutcomes();
  assert.ok(outcome !== undefined && "fault" in outcome && outcome.fault.written === "unknown");
  assert.ok(batcher.isIdle);
});

test("a batch that expires after an unknown outcome is unknown, and a new epoch fences it", () => {
  const batcher = new Batcher<number>(settings({ ...stamped, lingerMs: 0 }));
  batcher.add(one(), 0, 0);
  const batch = batcher.next(0)!;
  batcher.failed(batch, new Fault("unknown", { written: "unknown" }), 5);
  assert.equal(batcher.next(1_000), undefined);
  const [outcome] = batcher.takeOutcomes();
  assert.ok(outcome !== undefined && "fault" in outcome);
  assert.deepEqual([outcome.fault.kind, outcome.fault.written], ["deadline", "unknown"]);
  batcher.add(one(), 1, 1_000);
  assert.deepEqual(batcher.next(1_000)!.stamp, { id: 5n, epoch: 1, sequence: 0 });
});

test("one invalid run does not fail the others of its batch", () => {
  const batcher = new Batcher<string>(settings({ ...stamped, lingerMs: 0, inFlightMax: 1 }));
  for (const name of ["a", "bad", "c"]) batcher.add(one(name), name, 0);
  const batch = batcher.next(0)!;
  batcher.failed(batch, new Fault("bad-record"), 0);
  const seen: unknown[] = [];
  for (let part = batcher.next(0), offset = 0; part !== undefined; part = batcher.next(0)) {
    const [{ ticket }] = part.items as unknown as [{ ticket: string }];
    seen.push([ticket, part.stamp!.sequence]);
    if (ticket === "bad") batcher.failed(part, new Fault("bad-record"), 0);
    else batcher.acked(part, appended(offset++, 1));
  }
  assert.deepEqual(seen, [
    ["a", 0],
    ["bad", 1],
    ["c", 1],
  ]);
});

test("a run with an early deadline does not share a batch with a later one", () => {
  const batcher = new Batcher<string>(settings({ lingerMs: 0, inFlightMax: 1 }));
  batcher.add(one(), "patient", 0, 900);
  const batch = batcher.next(0)!;
  batcher.add(one(), "patient too", 0, 900);
  batcher.add(one(), "hasty", 0, 300);
  batcher.failed(batch, new Fault("unavailable"), 500);
  assert.equal(batcher.wakeAt(), 300);
  assert.equal(batcher.next(300), undefined);
  const outcomes = batcher.takeOutcomes();
  assert.deepEqual(
    outcomes.map((outcome) => [
      outcome.ticket,
      "fault" in outcome && [outcome.fault.kind, outcome.fault.written],
    ]),
    [["hasty", ["deadline", "no"]]],
  );
  assert.equal(batcher.next(500), batch);
});

test("a fenced producer fails everything that is pending and every later run", () => {
  const batcher = new Batcher<number>(settings({ ...stamped, lingerMs: 0 }));
  batcher.add(one(), 0, 0);
  const batch = batcher.next(0)!;
  batcher.add(one(), 1, 0);
  batcher.failed(batch, new Fault("producer-fenced"), 0);
  assert.deepEqual(
    batcher
      .takeOutcomes()
      .map((outcome) => "fault" in outcome && [outcome.fault.kind, outcome.fault.written]),
    [
      ["producer-fenced", "no"],
      ["producer-fenced", "no"],
    ],
  );
  assert.throws(() => batcher.add(one(), 2, 0), /newer epoch/);
});

// Simulated runs. One step is one millisecond.

interface Simulation {
  readonly log: { readonly run: number; readonly part: number }[];
  readonly outcomes: Map<number, Outcome<number>>;
  readonly added: number;
  readonly epochs: number;
}

test("a batch with an unknown outcome that may not be repeated is dropped, and a new epoch fences it", () => {
  const batcher = new Batcher<number>(settings(stamped));
  batcher.add(one(), 0, 0);
  batcher.flush();
  const first = batcher.next(0)!;
  batcher.failed(first, new Fault("interrupted", { written: "unknown" }), 0, false);
  assert.deepEqual(
    batcher.takeOutcomes().map((outcome) => "fault" in outcome && outcome.fault.written),
    ["unknown"],
  );
  batcher.add(one(), 1, 0);
  batcher.flush();
  assert.deepEqual(batcher.next(0)!.stamp, { id: 5n, epoch: 1, sequence: 0 });
});

function simulate(chance: Prng, isStamped: boolean): Simulation {
  const inFlightMax = isStamped ? chance.between(1, 5) : 1;
  const limits = settings({
    recordsMax: chance.between(1, 8),
    lingerMs: chance.between(0, 5),
    inFlightMax,
    queueBytesMax: 4_000,
    deliveryMs: chance.between(60, 400),
    ...(isStamped ? stamped : {}),
  });
  const batcher = new Batcher<number>(limits);
  const server = new Server(chance, isStamped);
  const loss = chance.pick([0, 0.05, 0.3]);
  const outcomes = new Map<number, Outcome<number>>();
  const due: { readonly at: number; readonly event: () => void }[] = [];
  let nowMs = 0;
  let added = 0;
  let inFlight = 0;
  const later = (event: () => void, delayMs = chance.between(0, 15)): void => {
    due.push({ at: nowMs + delayMs, event });
  };
  const fly = (batch: Batch<number>): void => {
    inFlight++;
    assert.ok(inFlight <= inFlightMax, "more in flight than allowed");
    assert.ok(batch.items.length === 1 || batch.run.count <= limits.recordsMax);
    const { stamp, items } = batch;
    let isOver = false;
    const end = (work: () => void): void => {
      if (isOver) return;
      isOver = true;
      inFlight--;
      if (batcher.owns(batch)) work();
    };
    const again = nowMs + chance.between(0, 20);
    const arrive = (): void => {
      const answer = server.append(
        stamp,
        items.map(({ ticket, count }) => ({ ticket, count })),
        nowMs,
      );
      if (chance.chance(loss)) return;
      later(() =>
        end(() => {
          if (answer instanceof Fault) batcher.failed(batch, answer, again);
          else batcher.acked(batch, answer);
        }),
      );
    };
    if (!chance.chance(loss)) later(arrive, chance.chance(0.1) ? chance.between(40, 200) : undefined);
    later(() => end(() => batcher.failed(batch, new Fault("unknown", { written: "unknown" }), again)), 40);
  };
  for (; nowMs < 3_000; nowMs++) {
    for (const { event } of due.filter(({ at }) => at === nowMs)) event();
    if (nowMs < 600 && chance.chance(nowMs % 200 < 120 ? 0.3 : 0)) {
      const run = encodeRun(Array.from({ length: chance.between(1, 3) }, () => ({ value: "x".repeat(20) })));
      const expiresAt = chance.chance(0.2) ? nowMs + chance.between(20, 600) : undefined;
      if (batcher.hasRoom(run.bytes.length)) batcher.add(run, added++, nowMs, expiresAt);
    }
    if (chance.chance(0.01)) batcher.flush();
    // A server deletes a producer after days. Nothing is in flight by then.
    const isQuiet = batcher.isIdle && !due.some(({ at }) => at > nowMs);
    if (isStamped && isQuiet && chance.chance(0.1)) server.forget();
    for (let batch = batcher.next(nowMs); batch !== undefined; batch = batcher.next(nowMs)) fly(batch);
    for (const outcome of batcher.takeOutcomes()) {
      assert.ok(!outcomes.has(outcome.ticket), "settled twice");
      outcomes.set(outcome.ticket, outcome);
    }
    const wakeAt = batcher.wakeAt();
    assert.ok(
      batcher.isIdle || inFlight > 0 || (wakeAt !== undefined && wakeAt > nowMs),
      "it never wakes up",
    );
    assert.ok(batcher.bytes <= limits.queueBytesMax);
  }
  assert.ok(batcher.isIdle, "something was never settled");
  assert.equal(batcher.bytes, 0);
  return { log: server.log, outcomes, added, epochs: batcher.epoch };
}

/** A log with the producer table that nodes have. */
class Server {
  readonly log: { readonly run: number; readonly part: number }[] = [];
  readonly #chance: Prng;
  readonly #trouble: number;
  #table = new ProducerTable();
  #index = 0;

  constructor(chance: Prng, isStamped: boolean) {
    this.#chance = chance;
    this.#trouble = chance.pick([0, 0.1, isStamped ? 0.4 : 0.2]);
  }

  forget(): void {
    this.#table = new ProducerTable();
  }

  append(
    stamp: Batch<number>["stamp"],
    items: readonly { readonly ticket: number; readonly count: number }[],
    nowMs: number,
  ): Appended | Fault {
    if (this.#chance.chance(this.#trouble)) return new Fault("unavailable");
    if (items.some(({ ticket }) => ticket % 23 === 7)) return new Fault("bad-record");
    const count = items.reduce((sum, item) => sum + item.count, 0);
    const who = stamp === undefined ? undefined : { ...stamp, subject: "s" };
    try {
      if (who !== undefined) {
        const verdict = this.#table.check(who, count, nowMs, defaultSettings);
        if ("duplicate" in verdict) {
          return { ...appended(verdict.duplicate.firstOffset, count), duplicate: true };
        }
      }
    } catch (fault) {
      return Fault.from(fault);
    }
    const firstOffset = this.log.length;
    for (const { ticket, count: parts } of items) {
      for (let part = 0; part < parts; part++) this.log.push({ run: ticket, part });
    }
    if (who !== undefined) {
      const batch = { index: ++this.#index, sequence: who.sequence, count, firstOffset, timestampMs: nowMs };
      this.#table.stage(who, batch);
      this.#table.commitTo(this.#index, defaultSettings);
    }
    return appended(firstOffset, count);
  }
}

for (const isStamped of [true, false]) {
  test(`over a bad network ${isStamped ? "a producer appends exactly once and in order" : "no run is duplicated"}`, () => {
    let acked = 0;
    let refused = 0;
    let unknown = 0;
    let epochs = 0;
    for (let seed = 0; seed < 150; seed++) {
      const {
        log,
        outcomes,
        added,
        epochs: raised,
      } = simulate(prng(`batcher ${isStamped} ${seed}`), isStamped);
      epochs += raised;
      assert.equal(outcomes.size, added, `seed ${seed}`);
      const places = new Map<number, number[]>();
      for (const [offset, { run }] of log.entries()) places.set(run, [...(places.get(run) ?? []), offset]);
      let last = -1;
      for (let ticket = 0; ticket < added; ticket++) {
        const outcome = outcomes.get(ticket)!;
        const found = places.get(ticket) ?? [];
        const first = log.findIndex(({ run }) => run === ticket);
        const isWhole = found.every((offset, part) => offset === first + part && log[offset]!.part === part);
        assert.ok(isWhole, `seed ${seed}: run ${ticket} is doubled or torn`);
        if ("appended" in outcome) {
          acked++;
          assert.equal(outcome.appended.firstOffset, first, `seed ${seed}: run ${ticket} lies elsewhere`);
          assert.equal(outcome.appended.count, found.length);
        } else if (outcome.fault.written === "no") {
          refused++;
          assert.equal(first, -1, `seed ${seed}: run ${ticket} was written after all`);
        } else unknown++;
        if (first < 0 || (!isStamped && !("appended" in outcome))) continue;
        assert.ok(first > last, `seed ${seed}: run ${ticket} is out of order`);
        last = first;
      }
    }
    assert.ok(acked > 3_000 && refused > 300 && unknown > 50, `too tame: ${acked} ${refused} ${unknown}`);
    if (isStamped) assert.ok(epochs > 10, `epochs were raised only ${epochs} times`);
  });
}
