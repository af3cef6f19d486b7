import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import { ForwardedAppends } from "../../../../src/replication/append/forwarded-appends.ts";
import type { Appended, AppendOptions } from "../../../../src/types.ts";
import { run, StillClock } from "../../../support/log/logs.ts";

/** A leader whose queue has space for `spaceBytes`. */
class Leader {
  readonly clock = new StillClock();
  readonly taken: number[] = [];
  spaceBytes = 0;
  isReady = true;
  leads = true;
  failure: Fault | undefined;
  readonly appends = new ForwardedAppends({
    clock: this.clock,
    append: ({ bytes }): Promise<Appended> => {
      if (this.failure !== undefined) throw this.failure;
      if (bytes.length > this.spaceBytes) throw new Fault("overloaded");
      this.spaceBytes -= bytes.length;
      this.taken.push(bytes.length);
      return Promise.resolve({ firstOffset: this.taken.length, count: 1, timestampMs: 1, duplicate: false });
    },
    ready: () => this.isReady,
    leads: () => this.leads,
    notLeader: () => new Fault("not-leader"),
  });

  send(bytes: number, options: AppendOptions = {}): Promise<Appended> {
    return this.appends.append({ ...run("x"), bytes: new Uint8Array(bytes) }, options);
  }

  pass(): void {
    this.clock.advance(10);
  }
}

const isFault =
  (kind: FaultKind) =>
  (reason: unknown): boolean => {
    const { kind: found, written } = Fault.from(reason);
    assert.deepEqual([found, written], [kind, "no"]);
    return true;
  };

describe("forwarded appends on a leader", () => {
  test("wait in arrival order while the queue is full, even if a later one would fit", async () => {
    const leader = new Leader();
    leader.spaceBytes = 10;
    const sent = [leader.send(100), leader.send(5), leader.send(6)];
    leader.pass();
    assert.deepEqual(leader.taken, []);
    leader.spaceBytes = 107;
    leader.pass();
    assert.deepEqual(leader.taken, [100, 5]);
    const last = leader.send(1);
    assert.deepEqual(leader.taken, [100, 5]);
    leader.spaceBytes = 50;
    leader.pass();
    assert.deepEqual(leader.taken, [100, 5, 6, 1]);
    await Promise.all([...sent, last]);
    assert.equal(leader.appends.size, 0);
  });

  test("wait during a leadership transfer, and fail as not written when this node no longer leads", async () => {
    const leader = new Leader();
    const sent = [leader.send(1), leader.send(2)];
    leader.isReady = false;
    leader.spaceBytes = 100;
    leader.pass();
    assert.equal(leader.appends.size, 2);
    leader.leads = false;
    leader.pass();
    for (const one of sent) await assert.rejects(one, isFault("not-leader"));
    assert.deepEqual(leader.taken, []);
  });

  test("fail as not written at their deadline, and at once for any other reason", async () => {
    const leader = new Leader();
    const late = leader.send(1, { deadlineMs: leader.clock.monotonicMs() + 8 });
    const next = leader.send(2);
    leader.pass();
    await assert.rejects(late, isFault("deadline"));
    leader.failure = new Fault("disk-full");
    leader.pass();
    await assert.rejects(next, isFault("disk-full"));
    assert.throws(() => leader.send(3), isFault("disk-full"));
  });

  test("of other logs and subjects go on while those of one log wait", async () => {
    const leader = new Leader();
    const to = (name: string, subject = "s"): AppendOptions => ({ log: { name }, subject });
    leader.spaceBytes = 10;
    const sent = [leader.send(100, to("a")), leader.send(5, to("a"))];
    sent.push(leader.send(4, to("b")), leader.send(3, to("a", "t")), leader.send(2));
    assert.deepEqual(leader.taken, [4, 3, 2]);
    leader.pass();
    sent.push(leader.send(1, to("b")));
    assert.deepEqual([leader.taken, leader.appends.size], [[4, 3, 2, 1], 2]);
    leader.spaceBytes = 200;
    leader.pass();
    assert.deepEqual(leader.taken, [4, 3, 2, 1, 100, 5]);
    await Promise.all(sent);
  });

  test("of many logs are all tried, some in each retry", async () => {
    const leader = new Leader();
    const sent = Array.from({ length: 200 }, (_, at) => leader.send(100 + at, { log: { name: String(at) } }));
    leader.spaceBytes = 150;
    for (let retry = 0; retry < 20; retry++) leader.pass();
    assert.equal(leader.taken.length, 1);
    leader.spaceBytes = 1e6;
    for (let retry = 0; retry < 20; retry++) leader.pass();
    await Promise.all(sent);
    assert.equal(leader.appends.size, 0);
  });
});
