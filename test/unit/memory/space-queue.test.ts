import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../src/lib/prng.ts";
import { smallBytes } from "../../../src/memory/memory-budget.ts";
import { KiB, limit, virtualBudget } from "./virtual-budget.ts";

test("waiting readers are woken in their order when memory is free, small ones apart from large ones", () => {
  const { memory, pass } = virtualBudget();
  const large = memory.share("in");
  large.hold(0.75 * limit);
  const woken: string[] = [];
  memory.whenFits(200 * KiB, () => woken.push("first"));
  memory.whenFits(200 * KiB, () => woken.push("second"));
  const stop = memory.whenFits(200 * KiB, () => woken.push("canceled"));
  memory.whenFits(8 * KiB, () => woken.push("small"));
  stop();
  pass(1);
  assert.deepEqual(woken, ["small"]);
  large.hold(0.5 * limit);
  pass(1);
  assert.deepEqual(woken, ["small", "first", "second"]);
});

test("a thousand waiting readers are woken in turns of at most 64", () => {
  const { memory, time } = virtualBudget();
  let woken = 0;
  for (let reader = 0; reader < 1000; reader++) memory.whenFits(KiB, () => woken++);
  let most = 0;
  for (let before = 0; time.step(); before = woken) most = Math.max(most, woken - before);
  assert.equal(woken, 1000);
  assert.ok(most <= 64, `${most} in one turn`);
});

test("when the first in the queue gives up, the one behind it that fits is woken", () => {
  const { memory, pass } = virtualBudget();
  memory.share("in").hold(0.5 * limit);
  const woken: string[] = [];
  const giveUp = memory.whenFits(400 * KiB, () => woken.push("too large now"));
  memory.whenFits(200 * KiB, () => woken.push("fits"));
  pass(1);
  assert.deepEqual(woken, [], "the order holds");
  giveUp();
  pass(1);
  assert.deepEqual(woken, ["fits"]);
});

test("space for one wakes one, so the others keep their places", () => {
  const { memory, time, pass } = virtualBudget();
  const held = memory.share("in");
  held.hold(0.75 * limit);
  const woken: number[] = [];
  for (let reader = 0; reader < 5; reader++) {
    memory.whenFits(200 * KiB, () => {
      woken.push(reader);
      // As a reader that resolves a promise and takes its memory later in this turn.
      time.after(0, () => memory.share("out").hold(200 * KiB));
    });
  }
  held.hold(0.5 * limit);
  pass(1);
  assert.deepEqual(woken, [0]);
});

test("a share that is larger than the budget waits until half of it is free, and does not stop those behind it", () => {
  const { memory, pass } = virtualBudget();
  const held = memory.share("in");
  held.hold(0.7 * limit);
  const woken: string[] = [];
  memory.whenFits(2 * limit, () => woken.push("huge"));
  memory.whenFits(100 * KiB, () => woken.push("large"));
  pass(1);
  assert.deepEqual(woken, []);
  held.hold(0);
  pass(1);
  assert.deepEqual(woken, ["huge", "large"]);
});

/** A reader of the model: it waits, is woken once, takes its memory at once or later, and releases it. */
interface Reader {
  readonly bytes: number;
  state: "waits" | "woken" | "holds" | "gone";
  cancel: () => void;
}

test("random schedules: all that fit are woken, once and in their order, and nothing waits when all is released", () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = prng(seed);
    const { memory, time, pass } = virtualBudget();
    const readers: Reader[] = [];
    const queues: { small: Reader[]; large: Reader[] } = { small: [], large: [] };
    const queueOf = ({ bytes }: Reader): Reader[] => (bytes <= smallBytes ? queues.small : queues.large);
    const take = (reader: Reader): void => {
      const share = memory.share("out");
      share.hold(reader.bytes);
      reader.state = "holds";
      reader.cancel = () => share.hold(0);
    };
    const enter = (): void => {
      const bytes = KiB * (random.chance(0.5) ? random.between(1, 64) : random.between(65, 500));
      const reader: Reader = { bytes, state: "waits", cancel: () => undefined };
      readers.push(reader);
      queueOf(reader).push(reader);
      const isPrompt = random.chance(0.5);
      reader.cancel = memory.whenFits(bytes, () => {
        assert.equal(reader.state, "waits", `seed ${seed}: woken twice, or after it was canceled`);
        assert.equal(queueOf(reader).shift(), reader, `seed ${seed}: out of order`);
        reader.state = "woken";
        if (isPrompt) take(reader);
        else time.after(0, () => take(reader));
      });
    };
    const leave = (reader: Reader): void => {
      reader.cancel();
      if (reader.state === "waits") queueOf(reader).splice(queueOf(reader).indexOf(reader), 1);
      reader.state = "gone";
    };
    for (let action = 0; action < 100; action++) {
      const present = readers.filter(({ state }) => state === "waits" || state === "holds");
      if (present.length === 0 || random.chance(0.6)) enter();
      else leave(random.pick(present));
      if (random.chance(0.3)) time.step();
      if (random.chance(0.3)) pass(1);
      if (action % 10 !== 9) continue;
      pass(1);
      for (const [first] of [queues.small, queues.large]) {
        if (first === undefined) continue;
        assert.ok(!memory.fits(first.bytes, first.bytes), `seed ${seed}: ${first.bytes} fit and still wait`);
      }
    }
    for (;;) {
      pass(1);
      const holding = readers.filter(({ state }) => state === "holds");
      if (holding.length === 0) break;
      for (const reader of holding) leave(reader);
    }
    assert.deepEqual([queues.small.length, queues.large.length, memory.bytes], [0, 0, 0], `seed ${seed}`);
  }
});
