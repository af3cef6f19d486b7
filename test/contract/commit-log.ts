/**
 * The contract of CommitLog, for every implementation: the replicated log, and the client of a remote node. `open` returns
 * an empty log whose offsets begin at 0. `skips` names cases that do not hold for an implementation, with the reason.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Facts, Fault, type FaultKind } from "../../src/fault.ts";
import type { CommitLog, ProducerStamp, Written } from "../../src/types.ts";
import { allValues, run, valueAt, valuesOf, whyNotFollow } from "../support/log/logs.ts";

export interface OpenedLog extends AsyncDisposable {
  readonly log: CommitLog;
}

type Case = (log: CommitLog) => Promise<void>;

const isFault =
  (kind: FaultKind, facts: Facts = {}, written: Written = "no") =>
  (reason: unknown): boolean => {
    assert.ok(reason instanceof Fault, `not a Fault: ${String(reason)}`);
    assert.equal(reason.kind, kind);
    assert.equal(reason.written, written);
    assert.partialDeepStrictEqual(reason.facts, facts);
    return true;
  };

/** The fault of work that must fail. */
const failing = async (work: Promise<unknown>): Promise<Fault> =>
  work.then(() => assert.fail("no fault"), Fault.from);

const producer = (sequence: number, changes: Partial<ProducerStamp> = {}): { producer: ProducerStamp } => ({
  producer: { subject: "local", id: 77n, epoch: 1, sequence, ...changes },
});

const cases: Readonly<Record<string, Case>> = {
  "an empty log is empty": async (log) => {
    assert.deepEqual(await log.bounds(), { lowest: 0, next: 0 });
    await assert.rejects(log.read(0), isFault("out-of-range", { lowest: 0, next: 0 }));
    assert.deepEqual(await allValues(log), []);
  },

  "an appended record is read at its offset": async (log) => {
    const appended = await log.append(run("a", "b"));
    assert.equal(appended.firstOffset, 0);
    assert.equal(appended.count, 2);
    assert.equal(appended.duplicate, false);
    assert.ok(appended.timestampMs > 0);
    assert.equal((await log.append(run("c"))).firstOffset, 2);
    for (const [offset, value] of ["a", "b", "c"].entries()) assert.equal(await valueAt(log, offset), value);
    assert.deepEqual(await log.bounds(), { lowest: 0, next: 3 });
  },

  "a record may be empty": async (log) => {
    await log.append(run(""));
    assert.equal(await valueAt(log, 0), "");
  },

  "the caller may reuse its bytes after append() returned": async (log) => {
    const mine = run("before");
    const promise = log.append(mine);
    mine.bytes.fill(0);
    await promise;
    assert.equal(await valueAt(log, 0), "before");
  },

  "an append without records is refused": async (log) => {
    await assert.rejects(log.append(run()), isFault("bad-request"));
  },

  "an append that is larger than a message is refused and not written": async (log) => {
    await assert.rejects(log.append(run("x".repeat(5_000_000))), isFault("too-large"));
    assert.equal((await log.bounds()).next, 0);
  },

  "concurrent appends get consecutive offsets in the order of the calls": async (log) => {
    const appended = await Promise.all(Array.from({ length: 200 }, (_, n) => log.append(run(`v${n}`))));
    assert.deepEqual(
      appended.map(({ firstOffset }) => firstOffset),
      appended.map((_, n) => n),
    );
    assert.deepEqual(
      await allValues(log),
      appended.map((_, n) => `v${n}`),
    );
  },

  "the records of one append have consecutive offsets": async (log) => {
    await Promise.all(Array.from({ length: 20 }, (_, n) => log.append(run(`${n}-0`, `${n}-1`, `${n}-2`))));
    const values = await allValues(log);
    assert.equal(values.length, 60);
    for (let at = 0; at < 60; at += 3) {
      const [owner] = values[at]!.split("-");
      assert.deepEqual(values.slice(at, at + 3), [`${owner}-0`, `${owner}-1`, `${owner}-2`]);
    }
  },

  "an offset beyond the end is out of range, with lowest and next": async (log) => {
    await log.append(run("a"));
    await assert.rejects(log.read(1), isFault("out-of-range", { lowest: 0, next: 1 }));
    assert.ok(isFault("out-of-range", { lowest: 0, next: 1 })(await whyNotFollow(log, 2)));
  },

  "an append is refused with the end of the log if its expected offset is another one": async (log) => {
    assert.equal((await log.append(run("a"), { expectedOffset: 0 })).firstOffset, 0);
    await assert.rejects(
      log.append(run("b"), { expectedOffset: 0 }),
      isFault("offset-mismatch", { expected: 0, next: 1 }),
    );
    await assert.rejects(
      log.append(run("b"), { expectedOffset: 2 }),
      isFault("offset-mismatch", { next: 1 }),
    );
    assert.equal((await log.append(run("b"), { expectedOffset: 1 })).firstOffset, 1);
    assert.deepEqual(await allValues(log), ["a", "b"]);
  },

  "of concurrent appends with the same expected offset exactly one is written": async (log) => {
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => log.append(run(`v${n}`), { expectedOffset: 0 })),
    );
    assert.equal(tries.filter(({ status }) => status === "fulfilled").length, 1);
    for (const one of tries)
      if (one.status === "rejected") isFault("offset-mismatch", { next: 1 })(one.reason);
    assert.equal((await log.bounds()).next, 1);
  },

  "a retry with the same sequence gets the offsets of the first attempt": async (log) => {
    const first = await log.append(run("a", "b"), producer(0));
    await log.append(run("other"));
    const again = await log.append(run("a", "b"), producer(0));
    assert.deepEqual(again, { ...first, duplicate: true });
    assert.equal((await log.append(run("c"), producer(2))).firstOffset, 3);
    assert.deepEqual(await allValues(log), ["a", "b", "other", "c"]);
  },

  "a retry waits for the first attempt if that is under way": async (log) => {
    const tries = await Promise.all([
      log.append(run("a"), producer(0)),
      log.append(run("a"), producer(0)),
      log.append(run("b"), producer(1)),
      log.append(run("a"), producer(0)),
      log.append(run("b"), producer(1)),
    ]);
    assert.deepEqual(
      tries.map(({ firstOffset, duplicate }) => [firstOffset, duplicate]),
      [
        [0, false],
        [0, true],
        [1, false],
        [0, true],
        [1, true],
      ],
    );
    assert.deepEqual(await allValues(log), ["a", "b"]);
  },

  "the last five batches answer retries; an older sequence is too old": async (log) => {
    for (let sequence = 0; sequence < 7; sequence++) await log.append(run(`${sequence}`), producer(sequence));
    for (let sequence = 2; sequence < 7; sequence++) {
      const again = await log.append(run(`${sequence}`), producer(sequence));
      assert.deepEqual([again.firstOffset, again.duplicate], [sequence, true]);
    }
    const facts = { sequence: 1, expected: 7, oldest: 2, last_sequence: 6, last_offset: 6 };
    for (const count of [1, 3]) {
      const values = Array.from({ length: count }, (_, at) => `${1 + at}`);
      const old = await failing(log.append(run(...values), producer(1)));
      assert.deepEqual([old.kind, old.written, old.facts], ["sequence-too-old", "unknown", facts]);
    }
  },

  "a retry may cover several batches with consecutive offsets": async (log) => {
    for (let sequence = 0; sequence < 3; sequence++) await log.append(run(`${sequence}`), producer(sequence));
    const again = await log.append(run("0", "1", "2"), producer(0));
    assert.deepEqual([again.firstOffset, again.count, again.duplicate], [0, 3, true]);
    await log.append(run("another's"));
    await log.append(run("3"), producer(3));
    const torn = await failing(log.append(run("2", "3"), producer(2)));
    assert.deepEqual([torn.kind, torn.written], ["out-of-sequence", "unknown"]);
  },

  "`written` is no only if the records are certainly not in the log": async (log) => {
    await log.append(run("a", "b"), producer(0));
    const ahead = await failing(log.append(run("d"), producer(3)));
    assert.deepEqual([ahead.kind, ahead.written], ["out-of-sequence", "no"]);
    const across = await failing(log.append(run("b", "c"), producer(1)));
    assert.deepEqual([across.kind, across.written], ["out-of-sequence", "unknown"]);
    await log.append(run("c"), producer(0, { epoch: 2 }));
    const fenced = await failing(log.append(run("a", "b"), producer(0)));
    assert.deepEqual([fenced.kind, fenced.written], ["producer-fenced", "unknown"]);
  },

  "a gap in the sequence is refused, and a retry with more records than were appended": async (log) => {
    await log.append(run("a", "b"), producer(0));
    await assert.rejects(log.append(run("d"), producer(3)), isFault("out-of-sequence", { expected: 2 }));
    await assert.rejects(
      log.append(run("b", "c"), producer(1)),
      isFault("out-of-sequence", { expected: 2 }, "unknown"),
    );
    assert.equal((await log.append(run("b"), producer(1))).firstOffset, 1);
    assert.deepEqual(await allValues(log), ["a", "b"]);
  },

  "an unknown producer must begin at sequence 0": async (log) => {
    await assert.rejects(log.append(run("a"), producer(5)), isFault("unknown-producer", {}, "unknown"));
  },

  "a newer epoch fences the older one and begins at sequence 0": async (log) => {
    await log.append(run("a"), producer(0));
    await assert.rejects(
      log.append(run("b"), producer(1, { epoch: 2 })),
      isFault("out-of-sequence", { expected: 0 }),
    );
    await log.append(run("b"), producer(0, { epoch: 2 }));
    await assert.rejects(
      log.append(run("c"), producer(1)),
      isFault("producer-fenced", { epoch: 2 }, "unknown"),
    );
    assert.deepEqual(await allValues(log), ["a", "b"]);
  },

  "timestamps do not decrease": async (log) => {
    let last = 0;
    for (let n = 0; n < 20; n++) {
      const { timestampMs } = await log.append(run("x"));
      assert.ok(timestampMs >= last);
      last = timestampMs;
    }
  },

  "seek finds the start, the end, the last N records and a time": async (log) => {
    assert.equal(await log.seek({ end: true }), 0);
    assert.equal(await log.seek({ fromTimeMs: 0 }), 0);
    const { timestampMs } = await log.append(run("a", "b", "c"));
    assert.equal(await log.seek({ end: true }), 3);
    assert.equal(await log.seek({ last: 2 }), 1);
    assert.equal(await log.seek({ last: 99 }), 0);
    assert.equal(await log.seek({ offset: 1 }), 1);
    assert.equal(await log.seek({ fromTimeMs: 0 }), 0);
    assert.equal(await log.seek({ fromTimeMs: timestampMs }), 0);
    assert.equal(await log.seek({ fromTimeMs: timestampMs + 86_400_000 }), 3);
  },

  "a tail returns the existing records, waits, and returns new ones": async (log) => {
    await log.append(run("a"));
    using tail = log.follow(0);
    assert.equal(await tail.ready(), true);
    const existing: string[] = [];
    for (let slice = tail.take(); slice !== undefined; slice = tail.take()) existing.push(...valuesOf(slice));
    assert.deepEqual(existing, ["a"]);
    assert.equal(tail.position, 1);
    let woken = false;
    const ready = tail.ready().then((more) => {
      woken = true;
      return more;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(woken, false);
    await log.append(run("b"));
    assert.equal(await ready, true);
    assert.deepEqual(valuesOf(tail.take()!), ["b"]);
    assert.equal(tail.take(), undefined);
  },

  "a tail that is disposed wakes its waiter with false": async (log) => {
    const tail = log.follow(0);
    const ready = tail.ready();
    tail[Symbol.dispose]();
    assert.equal(await ready, false);
    assert.equal(await tail.ready(), false);
    assert.equal(tail.take(), undefined);
  },

  "tails at different offsets each get every record once, in order": async (log) => {
    await log.append(run("0", "1", "2"));
    const tails = [0, 1, 2, 3].map((from) => ({ from, tail: log.follow(from), seen: [] as string[] }));
    const reading = tails.map(async ({ tail, seen, from }) => {
      let position = from;
      while (position < 103 && (await tail.ready())) {
        for (let slice = tail.take(1000); slice !== undefined; slice = tail.take(1000)) {
          seen.push(...valuesOf(slice, position));
          position = tail.position;
        }
      }
    });
    for (let n = 3; n < 103; n += 5) {
      await Promise.all([0, 1, 2, 3, 4].map((more) => log.append(run(`${n + more}`))));
    }
    await Promise.all(reading);
    for (const { from, seen, tail } of tails) {
      assert.deepEqual(
        seen,
        Array.from({ length: 103 - from }, (_, n) => `${from + n}`),
      );
      tail[Symbol.dispose]();
    }
  },

  "take() is limited in bytes, but returns at least one batch": async (log) => {
    for (let n = 0; n < 20; n++) await log.append(run(`${n}`.padEnd(1000, ".")));
    using tail = log.follow(0);
    let records = 0;
    while (records < 20 && (await tail.ready())) {
      for (let slice = tail.take(3000); slice !== undefined; slice = tail.take(3000)) {
        assert.ok(slice.frames.length <= 3000);
        records += slice.nextOffset - slice.firstOffset;
      }
    }
    assert.equal(records, 20);
    using other = log.follow(0);
    assert.equal(await other.ready(), true);
    assert.ok(other.take(1)!.frames.length > 1000);
  },

  "a trim raises the lowest offset and does not lower it": async (log) => {
    await log.append(run("a", "b", "c"));
    assert.equal(await log.trim(2), 2);
    assert.deepEqual(await log.bounds(), { lowest: 2, next: 3 });
    await assert.rejects(log.read(1), isFault("out-of-range", { lowest: 2, next: 3 }));
    assert.ok(isFault("out-of-range", { lowest: 2 })(await whyNotFollow(log, 1)));
    assert.equal(await valueAt(log, 2), "c");
    assert.equal(await log.trim(1), 2);
    assert.equal(await log.seek({ last: 9 }), 2);
    assert.equal(await log.seek({ fromTimeMs: 0 }), 2);
    await assert.rejects(log.seek({ offset: 0 }), isFault("out-of-range", { lowest: 2 }));
    assert.equal(await log.trim(3), 3);
    assert.equal((await log.append(run("d"))).firstOffset, 3);
    assert.deepEqual(await allValues(log), ["d"]);
  },

  "a trim beyond the end is out of range and changes nothing": async (log) => {
    await log.append(run("a"));
    await assert.rejects(log.trim(2), isFault("out-of-range", { next: 1 }));
    assert.deepEqual(await log.bounds(), { lowest: 0, next: 1 });
  },

  "a tail before the lowest offset of a trim wakes with out of range": async (log) => {
    await log.append(run("a", "b"));
    using tail = log.follow(0);
    await log.trim(1);
    assert.equal(await tail.ready(), true);
    assert.throws(() => tail.take(), isFault("out-of-range", { lowest: 1, next: 2 }));
  },

  "describe() returns the extent": async (log) => {
    await log.append(run("a", "b"));
    const description = await log.describe();
    assert.equal(description.lowest, 0);
    assert.equal(description.next, 2);
    assert.ok(description.bytes > 0);
    assert.equal(description.sync, "always");
  },

  "describe() lists the segments": async (log) => {
    await log.append(run("a", "b"));
    const { segments } = await log.describe();
    assert.equal(segments.at(-1)!.nextOffset, 2);
    assert.equal(segments.at(-1)!.sealed, false);
  },
};

/** Runs the contract against one implementation. */
export function commitLogContract(
  name: string,
  open: () => Promise<OpenedLog>,
  skips: Readonly<Record<string, string>> = {},
): void {
  describe(`${name} is a commit log`, () => {
    test("every skip names a case and gives a reason", () => {
      for (const [skipped, reason] of Object.entries(skips)) {
        assert.ok(skipped in cases, `no case is named ${skipped}`);
        assert.ok(reason.length > 10, `${skipped} is skipped without a reason`);
      }
    });
    for (const [title, body] of Object.entries(cases)) {
      if (title in skips) continue;
      test(title, async () => {
        await using opened = await open();
        await body(opened.log);
      });
    }
  });
}
