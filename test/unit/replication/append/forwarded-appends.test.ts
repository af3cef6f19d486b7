import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import { ForwardedAppends } from "../../../../src/replication/append/forwarded-appends.ts";
import type { Appended, AppendOptions } from "../../../../src/types.ts";
import { run, StillClock } from "../../../support/logs.ts";

/** A leader with room for so many bytes. */
class Leader {
  readonly clock = new StillClock();
  readonly taken: number[] = [];
  room = 0;
  isReady = true;
  leads = true;
  failure: Fault | undefined;
  readonly line = new ForwardedAppends({
    clock: this.clock,
    append: ({ bytes }): Promise<Appended> => {
      if (this.failure !== undefined) throw this.failure;
      if (bytes.length > this.room) throw new Fault("overloaded");
      this.room -= bytes.length;
      this.taken.push(bytes.length);
      return Promise.resolve({ firstOffset: this.taken.length, count: 1, timestampMs: 1, duplicate: false });
    },
    ready: () => this.isReady,
    leads: () => this.leads,
    notLeader: () => new Fault("not-leader"),
  });

  send(bytes: number, options: AppendOptions = {}): Promise<Appended> {
    return this.line.append({ ...run("x"), bytes: new Uint8Array(bytes) }, options);
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

describe("appends that other nodes have sent to a leader", () => {
  test("wait for room in the order in which they came, also where a later one would fit", async () => {
    const leader = new Leader();
    leader.room = 10;
    const sent = [leader.send(100), leader.send(5), leader.send(6)];
    leader.pass();
    assert.deepEqual(leader.taken, []);
    leader.room = 107;
    leader.pass();
    assert.deepEqual(leader.taken, [100, 5]);
    const last = leader.send(1);
    assert.deepEqual(leader.taken, [100, 5]);
    leader.room = 50;
    leader.pass();
    assert.deepEqual(leader.taken, [100, 5, 6, 1]);
    await Promise.all([...sent, last]);
    assert.equal(leader.line.size, 0);
  });

  test("stay in line while leadership is being handed over, and are refused as not written once it is gone", async () => {
    const leader = new Leader();
    const sent = [leader.send(1), leader.send(2)];
    leader.isReady = false;
    leader.room = 100;
    leader.pass();
    assert.equal(leader.line.size, 2);
    leader.leads = false;
    leader.pass();
    for (const one of sent) await assert.rejects(one, isFault("not-leader"));
    assert.deepEqual(leader.taken, []);
  });

  test("are refused as not written when their time is up, and for any other reason at once", async () => {
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
});
