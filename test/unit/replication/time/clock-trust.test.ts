import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ClockTrust, clockProblem } from "../../../../src/replication/time/clock-trust.ts";

const second = 1_000;
const minute = 60_000;
const hour = 3_600_000;
const start = 1_700_000_000_000;

/** A voter "a" and the others, with adjustable clocks. Voter "a" reads all clocks once a second. */
class Voters {
  readonly trust = new ClockTrust();
  readonly off: Record<string, number> = { a: 0 };
  readonly silent = new Set<string>();
  /** Others that report that their clocks were set. */
  readonly unsteady = new Set<string>();
  /** Others that report that they started within the hour with an empty log. */
  readonly fresh = new Set<string>();
  monotonicMs = 1;
  #trueMs = start;

  constructor(...others: string[]) {
    for (const name of others) this.off[name] = 0;
    this.trust.compareWith(others, this.now);
  }

  get now() {
    return { wallMs: this.#trueMs + this.off["a"]!, monotonicMs: this.monotonicMs };
  }
  get kind(): string {
    return this.trust.status(this.now).kind;
  }
  get successors(): string {
    return this.trust.status(this.now).successors.join();
  }
  /** How far the timestamp of a record is ahead of the true time. */
  get stampAheadMs(): number {
    return this.trust.stampMs(this.now) - this.#trueMs;
  }

  /** Moves clocks, without a reading since. */
  set(...moved: [name: string, byMs: number][]): this {
    for (const [name, byMs] of moved) this.off[name]! += byMs;
    return this;
  }

  pass(ms: number): this {
    this.monotonicMs += ms;
    this.#trueMs += ms;
    return this;
  }

  /** Advances the time by one second and reads the other clocks. */
  hear(times = 1): this {
    for (let n = 0; n < times; n++) {
      this.pass(second);
      for (const [name, offMs] of Object.entries(this.off)) {
        if (name === "a" || this.silent.has(name)) continue;
        const { monotonicMs } = this;
        this.trust.peers.record(name, this.#trueMs + offMs, monotonicMs, monotonicMs, {
          saysSteady: !this.unsteady.has(name),
          saysFresh: this.fresh.has(name),
        });
      }
      this.trust.status(this.now);
    }
    return this;
  }

  /** Suspends this machine: its monotonic clock stops. */
  suspend(ms: number): this {
    this.#trueMs += ms;
    return this;
  }
}

describe("an only voter", () => {
  test("is trusted, except for an hour after its clock was set", () => {
    for (const byMs of [2 * hour, -2 * hour]) {
      const alone = new Voters().hear(3);
      assert.equal(alone.kind, "trusted");
      alone.set(["a", byMs]);
      assert.equal(alone.kind, "set");
      assert.equal(alone.successors, "");
      alone.pass(hour - second);
      assert.equal(alone.kind, "set");
      alone.pass(second);
      assert.equal(alone.kind, "trusted");
    }
  });

  test("is trusted again when its clock is set back to the previous time", () => {
    const alone = new Voters().hear();
    alone
      .set(["a", 2 * hour])
      .hear()
      .pass(30 * minute)
      .set(["a", -2 * hour + minute]);
    assert.equal(alone.kind, "set");
    assert.equal(alone.set(["a", -minute]).kind, "trusted");
  });

  test("is not trusted for an hour if it starts more than an hour after the newest record", () => {
    const cases: [ageMs: number, kind: string][] = [
      [2 * hour, "ahead"],
      [30 * minute, "trusted"],
      [-2 * hour, "trusted"],
      [start, "trusted"], // an empty log
    ];
    for (const [ageMs, kind] of cases) {
      const alone = new Voters();
      alone.trust.begin(start - ageMs, undefined, alone.now);
      assert.equal(alone.kind, kind);
      assert.equal(alone.pass(hour).kind, "trusted");
    }
  });

  test("is not trusted for another hour if it restarts within the hour after its clock was set", () => {
    const alone = new Voters();
    alone.trust.begin(start, 2 * hour, alone.now);
    assert.equal(alone.kind, "set");
    assert.equal(alone.trust.setByMs(alone.now), 2 * hour);
    assert.equal(alone.pass(hour).kind, "trusted");
    assert.equal(alone.trust.setByMs(alone.now), undefined);
  });

  test("uses its clock for timestamps, and the time without the leap for an hour after it was set back", () => {
    assert.equal(new Voters().hear().set(["a", 2 * hour]).stampAheadMs, 2 * hour);
    const alone = new Voters().hear().set(["a", -33 * hour]);
    assert.equal(alone.stampAheadMs, 0);
    assert.equal(alone.pass(30 * minute).stampAheadMs, 0);
    assert.equal(alone.set(["a", 33 * hour]).kind, "trusted");
    assert.equal(alone.stampAheadMs, 0);
    const corrected = new Voters().hear().set(["a", -33 * hour]);
    assert.equal(corrected.stampAheadMs, 0);
    assert.equal(corrected.pass(hour).stampAheadMs, -33 * hour);
    const undone = new Voters()
      .hear()
      .set(["a", 2 * hour])
      .hear();
    assert.equal(undone.set(["a", -2 * hour - minute]).stampAheadMs, 0);
  });

  test("uses no timestamp before the stored time if it restarts after its clock was set back", () => {
    for (const [offMs, aheadMs] of [
      [-33 * hour, -5 * minute], // still behind: the five minutes since the store are unknown
      [0, 0], // set right meanwhile
    ] as const) {
      const alone = new Voters().set(["a", offMs]);
      alone.trust.begin(0, -33 * hour, alone.now, start - 5 * minute);
      assert.equal(alone.stampAheadMs, aheadMs);
      assert.equal(alone.pass(minute).stampAheadMs, aheadMs);
      assert.equal(alone.pass(hour).stampAheadMs, offMs);
    }
  });
});

describe("one of three voters", () => {
  test("is trusted once a majority shows its time within 10 s, and unknown before", () => {
    const voters = new Voters("b", "c");
    assert.equal(voters.kind, "unknown");
    assert.equal(voters.successors, "");
    voters.silent.add("c");
    assert.equal(voters.hear().kind, "trusted");
    voters.silent.add("b");
    assert.equal(voters.pass(31 * second).kind, "unknown");
    assert.equal(voters.successors, "");
  });

  test("is off at once when its clock leaps, and the others should lead once their clocks are read again", () => {
    for (const byMs of [2 * hour, -2 * hour, 11 * second, -11 * second]) {
      const voters = new Voters("b", "c").hear().set(["a", byMs]);
      assert.equal(voters.kind, "off", `${byMs}`);
      assert.equal(voters.successors, Math.abs(byMs) > minute ? "" : "b,c");
      voters.hear();
      assert.equal(voters.successors, "b,c");
      voters.set(["a", -byMs]);
      assert.equal(voters.kind, "trusted");
    }
  });

  test("does not alternate around the limit", () => {
    const voters = new Voters("b", "c").hear().set(["a", 10.5 * second]);
    assert.equal(voters.kind, "off");
    assert.equal(voters.set(["a", -second]).kind, "off");
    assert.equal(voters.set(["a", -2 * second]).kind, "trusted");
    assert.equal(voters.set(["a", 2 * second]).kind, "trusted");
  });

  test("is trusted when it agrees with a clock that was not set, whatever the third shows", () => {
    const voters = new Voters("b", "c").hear();
    for (const absurd of [hour, -hour, Number.MAX_VALUE, -Number.MAX_VALUE, 0]) {
      voters.off["c"] = absurd;
      assert.equal(voters.hear().kind, "trusted");
      assert.equal(voters.successors, "");
      assert.ok(voters.stampAheadMs <= 10 * second && voters.stampAheadMs >= 0);
    }
  });

  test("lets nothing expire and continues to lead while the two others leap together", () => {
    const voters = new Voters("b", "c").hear();
    voters.set(["b", 2 * hour], ["c", 2 * hour]).hear();
    assert.equal(voters.kind, "off");
    assert.equal(voters.successors, "");
    assert.equal(voters.stampAheadMs, 0);
  });

  test("hands over to the third if it leaps together with another", () => {
    const voters = new Voters("b", "c").hear();
    voters.set(["a", 2 * hour], ["b", 2 * hour]).hear(2);
    assert.notEqual(voters.kind, "trusted");
    assert.equal(voters.successors, "c");
    assert.equal(voters.stampAheadMs, 10 * second);
  });

  test("continues to lead if all three disagree, and nothing expires", () => {
    const voters = new Voters("b", "c").set(["b", hour], ["c", 2 * hour]).hear();
    assert.equal(voters.kind, "off");
    assert.equal(voters.successors, "");
  });

  test("continues to lead if all leap together, and nothing expires for an hour", () => {
    const voters = new Voters("b", "c").hear();
    voters.set(["a", 2 * hour], ["b", 2 * hour], ["c", 2 * hour]);
    assert.equal(voters.kind, "off");
    assert.equal(voters.successors, "");
    voters.hear();
    assert.equal(voters.kind, "set");
    assert.equal(voters.successors, "");
    voters.pass(hour).hear();
    assert.equal(voters.kind, "trusted");
  });

  test("uses the time without the leap while all clocks are set back for a moment", () => {
    const voters = new Voters("b", "c").hear();
    voters.set(["a", -33 * hour], ["b", -33 * hour], ["c", -33 * hour]);
    assert.equal(voters.stampAheadMs, 0);
    voters.unsteady.add("b").add("c");
    voters.hear();
    assert.equal(voters.kind, "set");
    assert.equal(voters.stampAheadMs, 0);
    voters.set(["a", 33 * hour], ["b", 33 * hour], ["c", 33 * hour]).unsteady.clear();
    voters.hear(2);
    assert.equal(voters.kind, "trusted");
    assert.equal(voters.stampAheadMs, 0);
  });

  test("uses its clock once a majority confirms that it was set back correctly", () => {
    const voters = new Voters("b", "c").set(["a", 2 * hour]).hear();
    assert.equal(voters.kind, "off");
    voters.set(["a", -2 * hour]).hear();
    assert.equal(voters.kind, "trusted");
    assert.equal(voters.stampAheadMs, 0);
  });

  test("uses timestamps at most 10 s before a majority of the voters, and one voter alone raises none", () => {
    const voters = new Voters("b", "c").set(["a", -2 * hour]).hear();
    assert.equal(voters.kind, "off");
    assert.equal(voters.stampAheadMs, -10 * second);
    const two = new Voters("b", "c").set(["a", -2 * hour], ["c", 400 * hour]).hear();
    assert.equal(two.stampAheadMs, -10 * second);
    const one = new Voters("b", "c").set(["a", -2 * hour]);
    one.silent.add("c");
    assert.equal(one.hear().stampAheadMs, -2 * hour);
    const ahead = new Voters("b", "c").set(["b", 400 * hour]).hear();
    assert.equal(ahead.stampAheadMs, 0);
  });

  test("is limited by the clocks of the others when it leaps forward, but not to before its own time without the leap", () => {
    const voters = new Voters("b", "c").hear();
    voters.unsteady.add("b").add("c");
    voters.hear().set(["a", 255 * hour]);
    assert.equal(voters.kind, "off");
    assert.equal(voters.stampAheadMs, 10 * second);
    voters.set(["b", -33 * hour], ["c", -33 * hour]).hear();
    assert.equal(voters.stampAheadMs, 0);
    voters.set(["b", 288 * hour], ["c", 288 * hour]).hear();
    assert.equal(voters.kind, "set");
    assert.equal(voters.stampAheadMs, 255 * hour);
  });

  test("lets nothing expire for an hour after a suspension, and may lead", () => {
    const voters = new Voters("b", "c")
      .hear()
      .suspend(2 * hour)
      .hear();
    assert.equal(voters.kind, "set");
    assert.equal(voters.successors, "");
    voters.pass(hour).hear();
    assert.equal(voters.kind, "trusted");
  });

  test("is off with a wrong clock at the start, as soon as both others are read", () => {
    const voters = new Voters("b", "c").set(["a", -2 * hour]);
    voters.trust.begin(start, undefined, voters.now);
    voters.silent.add("c");
    assert.equal(voters.hear().kind, "unknown");
    voters.silent.clear();
    assert.equal(voters.hear().kind, "off");
    assert.equal(voters.successors, "b,c");
  });

  test("uses timestamps at most 10 s ahead of the others, at once after a leap", () => {
    const voters = new Voters("b", "c").hear().set(["a", 2 * hour]);
    assert.equal(voters.stampAheadMs, 10 * second);
    assert.equal(voters.pass(20 * second).stampAheadMs, 10 * second);
    voters.silent.add("b").add("c");
    voters.set(["a", -2 * hour - 5 * second]);
    assert.equal(voters.stampAheadMs, -5 * second);
  });
});

describe("a voter that was down when all clocks leapt", () => {
  test("learns from the others that their clocks were set, and lets nothing expire", () => {
    const voters = new Voters("b", "c");
    voters.unsteady.add("b").add("c");
    assert.equal(voters.hear().kind, "unknown");
    voters.unsteady.delete("c");
    assert.equal(voters.hear().kind, "trusted");
  });

  test("lets nothing expire if all start after the leap and their newest record is old", () => {
    const voters = new Voters("b", "c");
    voters.trust.begin(start - 2 * hour, undefined, voters.now);
    assert.equal(voters.trust.setByMs(voters.now), 2 * hour);
    voters.unsteady.add("b").add("c");
    assert.equal(voters.hear().kind, "ahead");
    voters.unsteady.clear();
    assert.equal(voters.hear().kind, "trusted");
  });
});

describe("a voter that becomes the only one", () => {
  test("is not trusted for an hour if the others had not confirmed its clock", () => {
    const voters = new Voters("b", "c").set(["a", 2 * hour]).hear();
    voters.trust.compareWith([], voters.now);
    assert.equal(voters.kind, "alone");
    assert.equal(voters.pass(hour).kind, "trusted");
    const confirmed = new Voters("b", "c").hear();
    confirmed.trust.compareWith([], confirmed.now);
    assert.equal(confirmed.kind, "trusted");
  });
});

describe("three voters of which one after the other leaps and comes back", () => {
  test("hand over each time, and use no timestamps in the future", () => {
    const voters = new Voters("b", "c").hear();
    for (const name of ["a", "b", "c", "a", "c", "b", "a"]) {
      voters.set([name, 2 * hour]).hear(2);
      assert.equal(voters.kind, name === "a" ? "off" : "trusted");
      assert.equal(voters.successors, name === "a" ? "b,c" : "");
      assert.ok(voters.stampAheadMs <= 10 * second);
      voters.set([name, -2 * hour]).hear(2);
      assert.equal(voters.kind, "trusted");
    }
  });
});

describe("one of two voters", () => {
  test("hands over if its clock was set and differs from the other, and nothing expires", () => {
    const set = new Voters("b")
      .hear()
      .set(["a", 2 * hour])
      .hear(2);
    assert.equal(set.kind, "off");
    assert.equal(set.successors, "b");
    assert.equal(set.stampAheadMs, 10 * second);
    const other = new Voters("b")
      .hear()
      .set(["b", 2 * hour])
      .hear();
    assert.equal(other.kind, "off");
    assert.equal(other.successors, "");
    assert.equal(other.stampAheadMs, 0);
    const ever = new Voters("b").set(["b", 2 * hour]).hear();
    assert.equal(ever.kind, "off");
    assert.equal(ever.successors, "");
  });
});

describe("one of five voters", () => {
  test("needs two others that agree with it, and a single reachable voter limits no timestamps", () => {
    const voters = new Voters("b", "c", "d", "e");
    for (const name of ["c", "d", "e"]) voters.silent.add(name);
    voters.set(["b", -2 * hour]).hear();
    assert.equal(voters.kind, "unknown");
    assert.equal(voters.stampAheadMs, 0);
    voters.silent.delete("c");
    assert.equal(voters.hear().kind, "unknown");
    voters.silent.delete("d");
    assert.equal(voters.hear().kind, "trusted");
    voters.set(["d", hour]).hear();
    voters.silent.delete("e");
    assert.equal(voters.hear().kind, "trusted");
  });
});

describe("a voter that started within the hour with an empty log", () => {
  test("confirms no clock that was set, since its own may have been set before it started", () => {
    const voters = new Voters("b", "c");
    voters.fresh.add("c");
    voters.silent.add("b");
    voters
      .hear()
      .set(["a", 37 * hour], ["c", 37 * hour])
      .hear();
    assert.equal(voters.kind, "set");
    voters.silent.delete("b");
    voters.set(["b", 37 * hour]).hear();
    assert.equal(voters.kind, "trusted", "b confirms it");
  });

  test("confirms a clock that was not set", () => {
    const voters = new Voters("b", "c");
    for (const name of ["b", "c"]) voters.fresh.add(name);
    assert.equal(voters.hear().kind, "trusted");
  });
});

test("a clock that is wrong by a year expires nothing, and its timestamps are within 10 s of those of the others", () => {
  const year = 365 * 24 * hour;
  for (const byMs of [year, -year]) {
    const leader = new Voters("b", "c").hear(3);
    assert.equal(leader.kind, "trusted");
    leader.set(["a", byMs]).hear(3);
    for (let hours = 0; hours < 3; hours++) {
      assert.equal(leader.kind, "off");
      assert.equal(leader.successors, "b,c");
      assert.ok(Math.abs(leader.stampAheadMs) <= 10 * second, `${leader.stampAheadMs}`);
      leader.pass(hour).hear(3);
    }
    // A follower whose clock is wrong changes nothing for the leader.
    const other = new Voters("b", "c").hear(3).set(["b", byMs]);
    for (let hours = 0; hours < 3; hours++) {
      other.hear(3);
      assert.deepEqual([other.kind, other.stampAheadMs], ["trusted", 0]);
      other.pass(hour);
    }
  }
});

test("the description of a problem contains its figures", () => {
  const voters = new Voters("b", "c").hear().set(["a", 2 * hour]);
  assert.equal(
    clockProblem(voters.trust.status(voters.now)),
    "the clock is more than 10.0 s off most other voters (b -7200.0 s, c -7200.0 s): nothing expires by age",
  );
  const alone = new Voters().hear().set(["a", -90 * second]);
  assert.equal(
    clockProblem(alone.trust.status(alone.now)),
    "the wall clock moved by -90.0 s against the monotonic clock: nothing expires by age for another 3600.0 s or until a majority confirms it",
  );
  const late = new Voters();
  late.trust.begin(start - 2 * hour, undefined, late.now);
  assert.match(
    clockProblem(late.trust.status(late.now))!,
    /^the clock is 7200\.0 s ahead of the newest record/,
  );
  assert.equal(clockProblem(new Voters().trust.status(new Voters().now)), undefined);
});
