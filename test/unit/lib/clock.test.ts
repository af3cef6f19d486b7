import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { within } from "../../../src/lib/clock.ts";
import { VirtualTime } from "../../support/virtual-clock.ts";

/** Runs this in a process of its own, where nothing else is open; answers what it printed. */
function alone(script: string): string {
  const clock = new URL("../../../src/lib/clock.ts", import.meta.url).href;
  const code = `const { systemClock } = await import(${JSON.stringify(clock)}); ${script}`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(stderr, "");
  return stdout.trim();
}

test("a timer does not keep the process, unless it is to hold it", () => {
  assert.equal(alone(`systemClock.after(50, () => console.log("ran"));`), "");
  assert.equal(alone(`systemClock.after(50, () => console.log("ran"), true);`), "ran");
  assert.equal(alone(`systemClock.after(3_000_000, () => {}, true).cancel(); console.log("free");`), "free");
});

test("work that is in time is what it comes to and keeps no timer, else it is late and goes on unheard", async () => {
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
