import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { LeaderWatch } from "../../../src/replication/leader-watch.ts";
import { Trimmer } from "../../../src/replication/trimmer.ts";

/** A node whose leader is `leader`. Trims that are sent there return these outcomes in turn. */
class TrimmingNode {
  leader = "a";
  readonly sent: string[] = [];
  readonly outcomes: ((signal: AbortSignal) => Promise<number>)[];
  readonly watch = new LeaderWatch({
    clock: systemClock,
    ready: () => this.leader === "here",
    leads: () => this.leader === "here",
    leaderName: () => this.leader,
  });
  readonly log = { bounds: { lowest: 3, next: 10 } };
  commands = 0;
  confirmed = 0;
  /** The id that the name of a log means now. */
  id = 4;
  readonly trimmer = new Trimmer({
    log: this.log,
    appender: {
      command: async () => {
        this.commands++;
        this.log.bounds = { lowest: 7, next: 10 };
      },
      confirmed: async () => {
        this.confirmed++;
      },
    },
    clock: systemClock,
    watch: this.watch,
    forward: (leader, before, { log }, signal) => {
      this.sent.push(log === undefined ? `${leader}:${before}` : `${leader}:${before} of ${log.id}`);
      return this.outcomes.shift()!(signal);
    },
    trimNamed: () => Promise.reject(new Fault("not-found")),
    resolved: (log) => Promise.resolve({ ...log, id: log.id ?? this.id++ }),
    visibleHere: () => Promise.resolve(),
  });

  constructor(...outcomes: ((signal: AbortSignal) => Promise<number>)[]) {
    this.outcomes = outcomes;
  }

  trim(): Promise<number> {
    return this.trimmer.trimOnLeader(7, {}, systemClock.monotonicMs() + 60_000);
  }

  lead(leader: string): void {
    this.leader = leader;
    this.watch.notify();
  }
}

const fails = (fault: Fault) => () => Promise.reject(fault);
const lost = new Fault("interrupted", { written: "unknown" });

describe("a trim on the leader", () => {
  test("proposes nothing if the records are trimmed already, and refuses an offset beyond the end once that is certain", async () => {
    const node = new TrimmingNode();
    const { trimmer, log } = node;
    assert.equal(await trimmer.trimHere(3), log.bounds.lowest);
    await assert.rejects(trimmer.trimHere(11), { kind: "out-of-range" });
    assert.equal(node.confirmed, 1);
    assert.equal(await trimmer.trimHere(7), 7);
  });
});

describe("a forwarded trim", () => {
  test("is sent to the new leader when the first one is replaced, also after an unknown outcome", async () => {
    const node = new TrimmingNode(
      (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(lost))),
      async () => 7,
    );
    const trimming = node.trim();
    await new Promise(setImmediate);
    node.lead("b");
    assert.equal(await trimming, 7);
    assert.deepEqual(node.sent, ["a:7", "b:7"]);
  });

  test("is done on this node once it is the leader", async () => {
    const node = new TrimmingNode(fails(new Fault("not-leader")));
    const trimming = node.trim();
    await new Promise(setImmediate);
    node.lead("here");
    assert.equal(await trimming, 7);
    assert.equal(node.commands, 1);
  });

  test("is not repeated after a fault that a second attempt cannot avoid", async () => {
    const node = new TrimmingNode(fails(new Fault("out-of-range")));
    await assert.rejects(node.trim(), { kind: "out-of-range", written: "no" });
    assert.deepEqual(node.sent, ["a:7"]);
  });

  test("has an unknown outcome if an earlier attempt may have been written", async () => {
    const node = new TrimmingNode(fails(lost), fails(new Fault("disk-full")));
    await assert.rejects(node.trim(), { kind: "interrupted", written: "unknown" });
  });

  test("states the id that the name of a log had first to each leader", async () => {
    const node = new TrimmingNode(fails(lost), async () => 7);
    const trimming = node.trimmer.trimOnLeader(7, { log: { name: "l" } }, systemClock.monotonicMs() + 60_000);
    await new Promise(setImmediate);
    node.lead("b");
    assert.equal(await trimming, 7);
    assert.deepEqual(node.sent, ["a:7 of 4", "b:7 of 4"]);
  });

  test("of a log that another one has replaced is not found, unless the caller states the id", async () => {
    const another = fails(new Fault("failed-precondition", { facts: { name: "l", reason: "ANOTHER_LOG" } }));
    const untilMs = systemClock.monotonicMs() + 60_000;
    const byName = new TrimmingNode(another).trimmer.trimOnLeader(7, { log: { name: "l" } }, untilMs);
    await assert.rejects(byName, { kind: "not-found", written: "no" });
    const byId = new TrimmingNode(another).trimmer.trimOnLeader(7, { log: { name: "l", id: 4 } }, untilMs);
    await assert.rejects(byId, { kind: "failed-precondition", written: "no" });
  });
});
