import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

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
