import assert from "node:assert/strict";
import { test } from "node:test";
import { atSameAge, floorsOf, livesOf, slopeOf, trendOf } from "../../soak/trend.ts";
import { run } from "./made-run.ts";

test("a slope is that of the series, whatever single peaks are in it", () => {
  const points = Array.from({ length: 30 }, (_, t) => ({ t, value: 10 + 2 * t + (t % 10 === 3 ? 500 : 0) }));
  assert.equal(slopeOf(points), 2);
});

test("a trend is relative to the mean, in an hour", () => {
  const trend = trendOf([0, 1_800, 3_600].map((t, n) => ({ t, value: 90 + 10 * n })));
  assert.deepEqual(trend, { level: 100, perHour: 0.2, hours: 1, points: 3 });
  assert.equal(trendOf([{ t: 0, value: 1 }]), undefined);
});

test("the lives of a node are told apart by the age of its process", () => {
  const lives = livesOf(run({ restartSeconds: 60 }));
  assert.deepEqual(
    lives.filter(({ node }) => node === 0).map(({ began }) => began),
    [0, 180, 360, 540],
  );
});

test("a saw-tooth that always begins at the same level has no trend at the same age", () => {
  const sawTooth = run({ restartSeconds: 60, rss: ({ age }) => 100 + age });
  const rising = run({ restartSeconds: 60, rss: ({ age, t }) => 100 + age + t / 10 });
  const trendIn = (samples: ReturnType<typeof run>) =>
    trendOf(atSameAge(livesOf(samples), "rssMiB", 0, [30, 90]))!;
  assert.ok(Math.abs(trendIn(sawTooth).perHour) < 0.01);
  assert.ok(trendIn(rising).perHour > 1);
});

test("the floor of a long life leaves out its beginning and what is freed again", () => {
  const floorIn = (rss: (age: number) => number) =>
    floorsOf(livesOf(run({ rss: ({ age }) => rss(age) }))[0]!, "rssMiB").map((points) =>
      points.map(({ value }) => value),
    );
  assert.deepEqual(
    floorIn((age) => (age < 100 ? 5 : 100) + (age % 150)),
    [[100, 100]],
  );
  const [[before, after] = []] = floorIn((age) => 100 + age / 2 + (age % 150));
  assert.ok(after! - before! >= 70);
});

test("the memory of a process that has led is not compared with that before", () => {
  const led = ({ age }: { age: number }): number => (age >= 420 ? 1 : 0);
  const samples = run({ rss: (at) => 100 + 80 * led(at), node: (at) => ({ leads: led(at) }) });
  const values = floorsOf(livesOf(samples)[0]!, "rssMiB").map((points) => points.map(({ value }) => value));
  assert.deepEqual(values, []);
  const early = ({ age }: { age: number }): number => (age >= 250 ? 1 : 0);
  const grows = run({
    rss: (at) => 100 + 80 * early(at) + at.age / 10,
    node: (at) => ({ leads: early(at) }),
  });
  const [[before, after] = []] = floorsOf(livesOf(grows)[0]!, "rssMiB").map((points) =>
    points.map(({ value }) => value),
  );
  assert.deepEqual([before, after], [211, 220]);
});
