import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { systemClock, within } from "../../../../src/lib/time/clock.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

/** Runs this in a process of its own, where nothing else is open; answers what it printed. */
function alone(script: string): string {
  const clock = new URL("../../../../src/lib/time/clock.ts", import.meta.url).href;
  const code = `const { systemClock } = await import(${JSON.stringify(clock)}); ${script}`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(stderr, "");
  return stdout.trim();
}

test("a timer keeps the process alive only if it is asked to", () => {
  assert.equal(alone(`systemClock.after(50, () => console.log("ran"));`), "");
  assert.equal(alone(`systemClock.after(50, () => console.log("ran"), true);`), "ran");
  assert.equal(alone(`systemClock.after(3_000_000, () => {}, true).cancel(); console.log("free");`), "free");
});

test("work in time returns its result and leaves no timer; later work is reported as late and its result is ignored", async () => {
  const time = new VirtualTime();
  const clock = time.clock();
  assert.equal(await within(clock, Promise.resolve(7), 10), 7);
  await assert.rejects(within(clock, Promise.reject(new Error("no")), 10), /no/);
  assert.equal(time.step(), false); // no timer is left
  const slow = Promise.withResolvers<number>();
  const answer = within(clock, slow.promise, 10);
  assert.ok(time.step());
  assert.equal(await answer, "late");
  slow.reject(new Error("too late to matter"));
});

test("a delay can have any length; one that is negative or not a number ends at once", () => {
  const script = `
    const fired = [];
    for (const ms of [2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, Number.MAX_VALUE, Infinity])
      systemClock.after(ms, () => fired.push(ms));
    for (const ms of [0, -1, -Infinity, NaN]) systemClock.after(ms, () => fired.push(String(ms)));
    systemClock.after(60, () => console.log(fired.join()), true);`;
  assert.equal(alone(script), "0,-1,-Infinity,NaN");
});

test("a delay beyond the longest timer uses several timers, and can be canceled in each", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const longest = 2 ** 31 - 1;
  let fired = 0;
  systemClock.after(2 * longest + 10, () => fired++);
  const canceled = systemClock.after(longest + 10, () => fired++);
  t.mock.timers.tick(longest);
  canceled.cancel();
  t.mock.timers.tick(longest);
  assert.equal(fired, 0);
  t.mock.timers.tick(9);
  assert.equal(fired, 0);
  t.mock.timers.tick(1);
  assert.equal(fired, 1);
});
