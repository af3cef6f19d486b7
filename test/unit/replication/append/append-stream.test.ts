import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import { answerGraceMs } from "../../../../src/replication/append/append-attempts.ts";
import { AppendStream, leaderWaitMs } from "../../../../src/replication/append/append-stream.ts";
import { ForwardLimiter } from "../../../../src/replication/append/forward-limiter.ts";
import { ProducedRunWatch } from "../../../../src/replication/append/produced-run-watch.ts";
import { LeaderWatch } from "../../../../src/replication/leader-watch.ts";
import type { Appended, AppendOptions, RecordRun } from "../../../../src/types.ts";
import { run } from "../../../support/log/logs.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const producer = (sequence: number): AppendOptions => ({
  producer: { subject: "s", id: 1n, epoch: 0, sequence },
});
const isFault =
  (kind: FaultKind) =>
  (reason: unknown): boolean => {
    assert.equal(Fault.from(reason).kind, kind);
    return true;
  };
const lost = new Fault("interrupted", { written: "unknown" });
const notLeader = new Fault("not-leader");

interface Sent {
  readonly leader: string;
  readonly text: string;
  readonly count: number;
  readonly ok: (firstOffset: number) => void;
  readonly fail: (fault: Fault) => void;
  aborted: boolean;
}

/** A node that knows a leader, and the appends that it has sent there or to itself. */
class Node {
  readonly time = new VirtualTime();
  readonly clock = this.time.clock();
  readonly produced = new ProducedRunWatch();
  readonly sent: Sent[] = [];
  readonly watch: LeaderWatch;
  #leader: string | undefined = "a";
  #term = 1;
  unusable: Fault | undefined;
  /** The text of the runs that this node refuses as leader, since its queue is full. */
  tooLarge: string | undefined;

  constructor() {
    this.watch = new LeaderWatch({
      clock: this.clock,
      ready: () => this.#leader === "here",
      leads: () => this.#leader === "here",
      leaderName: () => this.#leader,
    });
  }

  lead(leader: string | undefined): void {
    this.#leader = leader;
    this.#term++;
    this.watch.notify();
  }

  stream(order?: { ended: boolean }): AppendStream {
    return new AppendStream(
      {
        clock: this.clock,
        watch: this.watch,
        term: () => this.#term,
        appendHere: (given) => this.#send("here", given),
        forward: (leader, given, _, signal) => this.#send(leader, given, signal),
        visibleHere: () => Promise.resolve(),
        limiter: new ForwardLimiter(),
        produced: this.produced,
        notLeader: () => notLeader,
        unusable: () => this.unusable,
      },
      order,
    );
  }

  #send(leader: string, { bytes, count }: RecordRun, signal?: AbortSignal): Promise<Appended> {
    const { tooLarge } = this;
    if (leader === "here" && tooLarge !== undefined && Buffer.from(bytes).includes(tooLarge))
      throw new Fault("overloaded");
    return new Promise((resolve, reject) => {
      const sent: Sent = {
        leader,
        text: Buffer.from(bytes)
          .toString("latin1")
          .replace(/[^a-z]/g, ""),
        count,
        ok: (firstOffset) => resolve({ firstOffset, count, timestampMs: 1, duplicate: false }),
        fail: reject,
        aborted: false,
      };
      signal?.addEventListener("abort", () => {
        sent.aborted = true;
        reject(lost);
      });
      this.sent.push(sent);
    });
  }

  /** The target and text of all sent runs. */
  get sentTexts(): string[] {
    return this.sent.map(({ leader, text }) => `${leader}:${text}`);
  }

  async pass(ms: number): Promise<void> {
    const end = this.time.now + ms;
    await settle();
    while (this.time.next !== undefined && this.time.next <= end) {
      this.time.step();
      await settle();
    }
    this.time.now = end;
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const offsetOf = ({ firstOffset }: Appended): number => firstOffset;

test("a stream is direct while its next append goes to this node at once, and not while one waits", async () => {
  const node = new Node();
  node.lead("here");
  const stream = node.stream({ ended: false });
  assert.equal(stream.isDirect, true);
  node.lead(undefined);
  assert.equal(stream.isDirect, false);
  const waiting = stream.append(run("a"), producer(0));
  node.lead("here");
  assert.equal(stream.isDirect, false);
  await Promise.resolve();
  node.sent[0]!.ok(0);
  await waiting;
  assert.equal(stream.isDirect, true);
  const failed = stream.append(run("b"), producer(1));
  node.sent[1]!.fail(lost);
  await assert.rejects(failed, isFault("interrupted"));
  assert.equal(stream.isDirect, false);
});

describe("a stream that a follower forwards", () => {
  test("joins waiting records without conditions, and resolves each with its own offset", async () => {
    const node = new Node();
    const stream = node.stream({ ended: false });
    const all = Promise.all(["x", "y", "z"].map((text) => stream.append(run(text), {})));
    await settle();
    assert.deepEqual(node.sentTexts, ["a:xyz"]);
    node.sent[0]!.ok(7);
    assert.deepEqual((await all).map(offsetOf), [7, 8, 9]);
  });

  test("continues in order on the next leader with the runs that the first one did not write", async () => {
    const node = new Node();
    const stream = node.stream({ ended: false });
    const first = [0, 1, 2].map((sequence) => stream.append(run("xyz"[sequence]!), producer(sequence)));
    await settle();
    assert.deepEqual(node.sentTexts, ["a:x", "a:y", "a:z"]);
    node.sent[0]!.ok(0);
    node.sent[1]!.fail(notLeader);
    await settle();
    const later = stream.append(run("w"), producer(3));
    node.lead("b");
    await settle();
    // The attempts on a are given up. The first run that is not written is sent to b alone.
    assert.equal(node.sent[2]!.aborted, true);
    assert.deepEqual(node.sentTexts.slice(3), ["b:y"]);
    node.sent[3]!.ok(1);
    await settle();
    assert.deepEqual(node.sentTexts.slice(4), ["b:z", "b:w"]);
    node.sent[4]!.ok(2);
    node.sent[5]!.ok(3);
    assert.deepEqual((await Promise.all([...first, later])).map(offsetOf), [0, 1, 2, 3]);
  });

  test("waits in order while the queue of the leader is full, even if the next run would fit", async () => {
    const node = new Node();
    const stream = node.stream({ ended: false });
    const first = stream.append(run("x"), producer(0));
    await settle();
    const rest = [1, 2].map((sequence) => stream.append(run("?yz"[sequence]!), producer(sequence)));
    node.tooLarge = "y";
    node.lead("here");
    await settle();
    node.sent.at(-1)!.ok(0);
    await node.pass(50);
    assert.deepEqual(node.sentTexts, ["a:x", "here:x"]);
    node.tooLarge = undefined;
    await node.pass(1_000);
    assert.deepEqual(node.sentTexts.slice(2), ["here:y"]);
    node.sent.at(-1)!.ok(1);
    await settle();
    assert.deepEqual(node.sentTexts.slice(3), ["here:z"]);
    node.sent.at(-1)!.ok(2);
    assert.deepEqual((await Promise.all([first, ...rest])).map(offsetOf), [0, 1, 2]);
  });

  test("of records without conditions fails with an unknown outcome when the replaced leader does not respond", async () => {
    const node = new Node();
    const stream = node.stream({ ended: false });
    const first = assert.rejects(stream.append(run("x"), {}), isFault("interrupted"));
    await settle();
    const second = assert.rejects(stream.append(run("y"), { traceparent: "t" }), isFault("interrupted"));
    await settle();
    node.lead(undefined);
    await node.pass(2_000);
    node.lead("b");
    await node.pass(answerGraceMs - 10);
    assert.equal(node.sent[0]!.aborted, false);
    await node.pass(20);
    await first;
    await second;
    assert.deepEqual(node.sentTexts, ["a:x", "a:y"]);
    await assert.rejects(stream.append(run("z"), {}), isFault("unavailable"));
  });

  test("of records without conditions continues when the replaced leader still responds", async () => {
    const node = new Node();
    const stream = node.stream({ ended: false });
    const first = stream.append(run("x"), {});
    await settle();
    node.lead("b");
    const second = stream.append(run("y"), {});
    await node.pass(answerGraceMs / 2);
    assert.deepEqual(node.sentTexts, ["a:x"]);
    node.sent[0]!.ok(4);
    await settle();
    assert.deepEqual(node.sentTexts, ["a:x", "b:y"]);
    node.sent[1]!.ok(5);
    assert.deepEqual([offsetOf(await first), offsetOf(await second)], [4, 5]);
  });

  test("does not write a record that was refused after a later one was written", async () => {
    const node = new Node();
    const stream = node.stream({ ended: false });
    const first = assert.rejects(stream.append(run("x"), {}), isFault("unavailable"));
    await settle();
    const second = stream.append(run("y"), {});
    await settle();
    node.sent[0]!.fail(new Fault("overloaded"));
    node.sent[1]!.ok(0);
    await node.pass(1_000);
    await first;
    assert.equal(offsetOf(await second), 0);
    assert.equal(node.sent.length, 2);
  });

  test("fails the first run with its own refusal, not with that of a later one", async () => {
    const cases = [
      { first: new Fault("overloaded"), kind: "overloaded", written: "no" },
      { first: notLeader, kind: "unavailable", written: "no" },
      { first: lost, kind: "interrupted", written: "unknown" },
    ] as const;
    for (const { first: refusal, kind, written } of cases) {
      const node = new Node();
      const stream = node.stream({ ended: false });
      const results = [0, 1, 2].map((sequence) =>
        stream.append(run("xyz"[sequence]!), producer(sequence)).catch(Fault.from),
      );
      await settle();
      assert.deepEqual(node.sentTexts, ["a:x", "a:y", "a:z"]);
      node.sent[0]!.fail(refusal);
      await settle();
      node.lead(undefined);
      // The later runs are refused because the first is missing.
      node.sent[1]!.fail(new Fault("unknown-producer", { facts: { sequence: 1 }, written: "unknown" }));
      node.sent[2]!.fail(new Fault("out-of-sequence", { facts: { expected: 0, sequence: 2 } }));
      await node.pass(leaderWaitMs + 100);
      const [first, ...rest] = await Promise.all(results);
      assert.ok(first instanceof Fault);
      assert.deepEqual([first.kind, first.written], [kind, written]);
      for (const one of rest)
        assert.ok(one instanceof Fault && ["unavailable", "interrupted"].includes(one.kind));
      assert.equal(node.sent.length, 3);
    }
  });

  test("that cannot wait for a leader, since too many writes do, is not written later", async () => {
    const node = new Node();
    const listen = node.watch.listen.bind(node.watch);
    node.watch.listen = () => {
      throw new Fault("overloaded");
    };
    const stream = node.stream({ ended: false });
    await assert.rejects(stream.append(run("x"), {}), { kind: "overloaded", written: "no" });
    node.watch.listen = listen;
    await assert.rejects(stream.append(run("y"), {}), { kind: "unavailable", written: "no" });
    await node.pass(1_000);
    assert.deepEqual(node.sentTexts, []);
  });

  test("listens for leader changes only while runs wait, also after a failure on this node", async () => {
    const node = new Node();
    let listeners = 0;
    const listen = node.watch.listen.bind(node.watch);
    node.watch.listen = (changed) => {
      listeners++;
      const stop = listen(changed);
      return () => {
        listeners--;
        stop();
      };
    };
    node.lead("here");
    const stream = node.stream({ ended: false });
    const first = assert.rejects(stream.append(run("x"), {}), isFault("out-of-sequence"));
    node.lead("b");
    const second = assert.rejects(stream.append(run("y"), {}), isFault("unavailable"));
    await settle();
    assert.equal(listeners, 1);
    node.sent[0]!.fail(new Fault("out-of-sequence"));
    await first;
    await second;
    await settle();
    assert.equal(listeners, 0);
    assert.deepEqual(node.sentTexts, ["here:x"]);
  });

  test("waits while the queue of the leader is full", async () => {
    const node = new Node();
    const stream = node.stream({ ended: false });
    const append = stream.append(run("x"), {});
    await settle();
    node.sent[0]!.fail(new Fault("overloaded"));
    await node.pass(500);
    node.sent[1]!.ok(3);
    assert.equal(offsetOf(await append), 3);
  });

  test("sends nothing more once its client has disconnected", async () => {
    const node = new Node();
    const order = { ended: false };
    const stream = node.stream(order);
    node.lead(undefined);
    const append = assert.rejects(stream.append(run("x"), {}), isFault("canceled"));
    await settle();
    order.ended = true;
    node.lead("b");
    await append;
    assert.deepEqual(node.sentTexts, []);
  });

  test("does not continue elsewhere before its appends on this node are settled", async () => {
    const node = new Node();
    node.lead("here");
    const stream = node.stream({ ended: false });
    const first = stream.append(run("x"), {});
    node.lead("b");
    const second = stream.append(run("y"), {});
    await node.pass(100);
    assert.deepEqual(node.sentTexts, ["here:x"]);
    node.sent[0]!.ok(0);
    await settle();
    node.sent[1]!.ok(1);
    assert.deepEqual([offsetOf(await first), offsetOf(await second)], [0, 1]);
    assert.deepEqual(node.sentTexts, ["here:x", "b:y"]);
  });

  test("appends nothing after a record that failed on this node", async () => {
    const node = new Node();
    node.lead("here");
    const stream = node.stream({ ended: false });
    const first = assert.rejects(stream.append(run("x"), {}), isFault("interrupted"));
    node.sent[0]!.fail(lost);
    await first;
    node.lead("b");
    await assert.rejects(stream.append(run("y"), {}), isFault("unavailable"));
    assert.deepEqual(node.sentTexts, ["here:x"]);
  });
});

describe("a single append that a follower forwards", () => {
  test("with a sequence or an expected offset is sent to the new leader at once, also if that is this node", async () => {
    for (const options of [producer(0), { expectedOffset: 4 }]) {
      for (const next of ["b", "here"]) {
        const node = new Node();
        const append = node.stream().append(run("x"), options);
        await settle();
        node.lead(undefined);
        await node.pass(1_000);
        assert.deepEqual(node.sentTexts, ["a:x"]);
        node.lead(next);
        await node.pass(0);
        assert.deepEqual(node.sentTexts, ["a:x", `${next}:x`]);
        node.sent[1]!.ok(4);
        assert.equal(offsetOf(await append), 4);
      }
    }
  });

  test("without a condition fails with an unknown outcome soon after this node becomes leader", async () => {
    const node = new Node();
    const append = assert.rejects(node.stream().append(run("x"), {}), isFault("interrupted"));
    await settle();
    node.lead("here");
    await node.pass(answerGraceMs + 1);
    await append;
    assert.deepEqual(node.sentTexts, ["a:x"]);
  });

  test("is awaited while the same leader leads", async () => {
    const node = new Node();
    const append = node.stream().append(run("x"), {});
    await settle();
    node.lead(undefined);
    node.lead("a");
    await node.pass(5_000);
    node.sent[0]!.ok(1);
    assert.equal(offsetOf(await append), 1);
  });

  test("is awaited when the leader was replaced only for a moment", async () => {
    const node = new Node();
    const append = node.stream().append(run("x"), {});
    await settle();
    node.lead("b");
    node.lead("a");
    await node.pass(2 * answerGraceMs);
    node.sent[0]!.ok(2);
    assert.equal(offsetOf(await append), 2);
  });

  test("is not forwarded with `forward: false`", async () => {
    const node = new Node();
    const stream = node.stream({ ended: false });
    await assert.rejects(stream.append(run("x"), { forward: false }), isFault("not-leader"));
    assert.deepEqual(node.sentTexts, []);
  });

  test("survives two quick changes of leader", async () => {
    const node = new Node();
    const append = node.stream().append(run("x"), producer(0));
    await settle();
    node.lead("b");
    node.lead("c");
    await node.pass(0);
    assert.deepEqual(node.sentTexts.at(-1), "c:x");
    node.sent.at(-1)!.ok(9);
    assert.equal(offsetOf(await append), 9);
  });

  test("with a sequence resolves once this node's own log shows it, also without a response", async () => {
    const node = new Node();
    const append = node.stream().append(run("x"), producer(5));
    await settle();
    node.lead(undefined);
    const batch = { index: 3, sequence: 2, count: 8, firstOffset: 40, timestampMs: 6 };
    node.produced.committed({ subject: "s", id: 1n, epoch: 0, sequence: 2 }, batch);
    assert.deepEqual(await append, { firstOffset: 43, count: 1, timestampMs: 6, duplicate: false });
  });

  test("to a named log is not taken for records of the same producer in another log", async () => {
    const node = new Node();
    const stamp = { subject: "s", id: 1n, epoch: 0, sequence: 0 };
    const batch = { index: 3, sequence: 0, count: 1, firstOffset: 40, timestampMs: 6 };
    const unknown = node.stream().append(run("x"), { producer: stamp, log: { name: "l" } });
    const known = node.stream().append(run("y"), { producer: stamp, log: { name: "l", id: 7 } });
    await settle();
    node.produced.committed(stamp, batch);
    node.produced.committed({ ...stamp, logId: 8 }, batch);
    node.produced.committed({ ...stamp, logId: 7 }, { ...batch, firstOffset: 5 });
    assert.deepEqual(await known, { firstOffset: 5, count: 1, timestampMs: 6, duplicate: false, logId: 7 });
    node.sent[0]!.ok(9);
    assert.equal(offsetOf(await unknown), 9);
  });

  test("waits for a leader until its time is over, and then fails as not written", async () => {
    const node = new Node();
    node.lead(undefined);
    const append = assert.rejects(node.stream().append(run("x"), {}), isFault("unavailable"));
    const deadlineMs = node.clock.monotonicMs() + 100;
    const late = assert.rejects(node.stream().append(run("x"), { deadlineMs }), isFault("deadline"));
    await node.pass(101);
    await late;
    await node.pass(leaderWaitMs);
    await append;
    assert.deepEqual(node.sentTexts, []);
  });

  test("is refused when the node stops", async () => {
    const node = new Node();
    node.lead(undefined);
    const append = assert.rejects(node.stream().append(run("x"), {}), isFault("unavailable"));
    await settle();
    node.unusable = new Fault("unavailable", { message: "the log is closed" });
    node.watch.notify();
    await append;
  });
});
