import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Fault } from "../../../../src/fault.ts";
import { LogTurns } from "../../../../src/replication/logs/log-turns.ts";
import { StillClock } from "../../../support/log/logs.ts";
import { until } from "../../../support/until.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A group of a command, which ends when the test says so. */
function command() {
  const barriers: ((fault?: Fault) => void)[] = [];
  const end = (fault?: Fault): void => {
    for (const barrier of barriers) barrier(fault);
  };
  const onSettled = (barrier: (fault?: Fault) => void): void => void barriers.push(barrier);
  return { group: { onSettled } as never, end };
}

function open() {
  const clock = new StillClock();
  const turns = new LogTurns(clock);
  const done: string[] = [];
  const enter = (name: string, what: string, afterMs?: number): Promise<string> => {
    const deadlineMs = afterMs === undefined ? undefined : clock.monotonicMs() + afterMs;
    return turns.inTurn(
      name,
      deadlineMs,
      () => {
        done.push(what);
        return Promise.resolve(what);
      },
      () => done.push(`${what} given`),
    );
  };
  return { clock, turns, done, enter };
}

test("a command is under way until its group is settled; a newer one is not ended by it", () => {
  const { turns } = open();
  const [first, second] = [command(), command()];
  turns.began("a", first.group);
  turns.began("a", second.group);
  first.end();
  assert.equal(turns.isBusy("a"), true);
  second.end(new Fault("unavailable"));
  assert.deepEqual([turns.isBusy("a"), turns.isBusy("b")], [false, false]);
});

test("barrier of a log: what waits for a command has its turn in the order of the calls, and another log does not wait", async () => {
  const { turns, done, enter } = open();
  const [first, second] = [command(), command()];
  turns.began("a", first.group);
  const all = ["one", "two", "three"].map((what) => enter("a", what));
  await enter("b", "other");
  assert.deepEqual(done, ["other given", "other"]);
  first.end();
  turns.began("a", second.group);
  await settled();
  assert.equal(done.length, 2, "another command has begun in between");
  second.end();
  assert.deepEqual(await Promise.all(all), ["one", "two", "three"]);
  assert.deepEqual(
    done.filter((what) => !what.endsWith("given")),
    ["other", "one", "two", "three"],
  );
  assert.equal(turns.isBusy("a"), false);
});

test("deadline of what waits: it fails as not written, is never done, and does not hold up what comes after it", async () => {
  const { clock, turns, done, enter } = open();
  const barrier = command();
  turns.began("a", barrier.group);
  const late = enter("a", "late", 50);
  const next = enter("a", "next", 1_000);
  const last = enter("a", "last");
  clock.advance(50);
  const outcome = late.catch(({ kind, written }: Fault) => `${kind} ${written}`);
  assert.equal(await Promise.race([outcome, settled().then(() => "waits")]), "deadline no");
  assert.deepEqual(done, ["late given"]);
  barrier.end();
  assert.deepEqual(await Promise.all([next, last]), ["next", "last"]);
  assert.ok(!done.includes("late"));
  assert.deepEqual([clock.timers, turns.isBusy("a")], [0, false]);
});

test("what is late is not kept in memory, though it stays in line", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const { clock, turns } = open();
  const barrier = command();
  turns.began("a", barrier.group);
  const enter = (): readonly [WeakRef<Uint8Array>, Promise<unknown>] => {
    const bytes = new Uint8Array(1_000);
    const late = turns.inTurn("a", clock.monotonicMs() + 50, () => Promise.resolve(bytes));
    return [new WeakRef(bytes), late.catch(() => "late")];
  };
  const [ref, late] = enter();
  clock.advance(50);
  assert.equal(await late, "late");
  await until("it is collected", () => {
    collect();
    return ref.deref() === undefined;
  });
  assert.equal(turns.isBusy("a"), true);
  barrier.end();
});

test("work that throws rejects, and the next one has its turn", async () => {
  const { turns, enter } = open();
  const barrier = command();
  turns.began("a", barrier.group);
  const failing = turns.inTurn("a", undefined, () => {
    throw new Fault("unavailable");
  });
  const next = enter("a", "next");
  barrier.end();
  await assert.rejects(failing, { kind: "unavailable" });
  assert.equal(await next, "next");
});
