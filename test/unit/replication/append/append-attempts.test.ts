import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import {
  AppendAttempts,
  answerGraceMs,
  leaderOf,
  targetOf,
} from "../../../../src/replication/append/append-attempts.ts";
import { ForwardLimiter } from "../../../../src/replication/append/forward-limiter.ts";
import type { OrderedGroup, QueuedRun } from "../../../../src/replication/append/ordered-runs.ts";
import type { Appended, AppendOptions } from "../../../../src/types.ts";
import { run, StillClock } from "../../../support/log/logs.ts";

const appended: Appended = { firstOffset: 0, count: 1, timestampMs: 1, duplicate: false };

/** Attempts whose targets answer when the test says so. An abort rejects a forwarded append as unknown. */
function open() {
  const clock = new StillClock();
  const limiter = new ForwardLimiter({ requestsMax: 1, bytesMax: 1000 });
  const outcomes: string[] = [];
  const sent: { leader: string; answer: PromiseWithResolvers<Appended> }[] = [];
  const send = (leader: string): Promise<Appended> => {
    const answer = Promise.withResolvers<Appended>();
    sent.push({ leader, answer });
    return answer.promise;
  };
  const attempts = new AppendAttempts<QueuedRun>(
    {
      clock,
      limiter,
      appendHere: () => send("here"),
      forward: (leader, _run, _options, signal) => {
        const work = send(leader);
        const giveUp = (): void =>
          sent.at(-1)?.answer.reject(new Fault("interrupted", { written: "unknown" }));
        signal.addEventListener("abort", giveUp, { once: true });
        return work;
      },
    },
    {
      written: () => outcomes.push("written"),
      failed: (_group, { kind, written }) => outcomes.push(`${kind} ${written}`),
    },
  );
  return { clock, limiter, outcomes, sent, attempts };
}

function group(leader: string, options: AppendOptions = {}): OrderedGroup<QueuedRun> {
  const queued = { run: run("a"), options, overtaken: false, settled: false };
  return { target: targetOf(3, leader), runs: [queued], bytes: queued.run.bytes.length };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a target is read back to its leader, also if the name has spaces", () => {
  assert.equal(leaderOf({ target: targetOf(12, "node one") }), "node one");
});

test("a forwarded append counts against the limit until it is answered, one on this node does not", async () => {
  const { attempts, limiter, sent, outcomes } = open();
  attempts.start(group("here"));
  assert.equal(limiter.hasCapacity({}), true);
  attempts.start(group("n2"));
  assert.deepEqual([limiter.hasCapacity({}), attempts.size], [false, 2]);
  for (const { answer } of sent) answer.resolve(appended);
  await settled();
  assert.deepEqual([limiter.hasCapacity({}), attempts.size, outcomes], [true, 0, ["written", "written"]]);
});

test("a refusal that is thrown is reported before start returns", () => {
  const { clock, limiter } = open();
  const outcomes: string[] = [];
  const refuse = (): never => {
    throw new Fault("overloaded");
  };
  const attempts = new AppendAttempts<QueuedRun>(
    { clock, limiter, appendHere: refuse, forward: refuse },
    { written: () => assert.fail(), failed: (_group, { kind }) => outcomes.push(kind) },
  );
  attempts.start(group("n2"));
  assert.deepEqual([outcomes, attempts.size, limiter.hasCapacity({})], [["overloaded"], 0, true]);
});

test("when another node leads, what may be repeated is given up at once, and the rest after a grace period", async () => {
  const { attempts, clock, outcomes } = open();
  attempts.start(group("n2", { expectedOffset: 7 }));
  attempts.leaderChanged("n3");
  await settled();
  assert.deepEqual(outcomes, ["interrupted unknown"]);
  attempts.start(group("n2"));
  attempts.leaderChanged("n3");
  clock.advance(answerGraceMs - 1);
  await settled();
  assert.equal(outcomes.length, 1);
  clock.advance(1);
  await settled();
  assert.deepEqual(outcomes, ["interrupted unknown", "interrupted unknown"]);
});

test("a leader that is back within the grace period keeps its append", async () => {
  const { attempts, clock, outcomes, sent } = open();
  attempts.start(group("n2"));
  attempts.leaderChanged("n3");
  attempts.leaderChanged("n2");
  clock.advance(10 * answerGraceMs);
  sent[0]?.answer.resolve(appended);
  await settled();
  assert.deepEqual([outcomes, clock.timers], [["written"], 0]);
});

test("of the appends on this node only those that may be repeated are given up, and their late result is dropped", async () => {
  const { attempts, clock, outcomes, sent } = open();
  attempts.start(group("here"));
  attempts.start(group("here", { expectedOffset: 7 }));
  attempts.leaderChanged("n3");
  clock.advance(10 * answerGraceMs);
  assert.deepEqual([outcomes, attempts.size], [["interrupted unknown"], 1]);
  for (const { answer } of sent) answer.resolve(appended);
  await settled();
  assert.deepEqual(outcomes, ["interrupted unknown", "written"]);
});
