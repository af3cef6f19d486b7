import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { lockDirectory } from "../../../../src/lib/disk/directory-lock.ts";
import { scratch } from "../../../support/scratch.ts";

const root = scratch({ after });
const module = new URL("../../../../src/lib/disk/directory-lock.ts", import.meta.url).href;
const isLocked = (reason: unknown): boolean => {
  assert.ok(reason instanceof Fault && reason.kind === "locked");
  assert.equal(reason.facts["pid"], String(process.pid));
  return true;
};

for (const [name, useSocket] of [
  ["flock", false],
  ["a bound socket", true],
] as const) {
  test(`${name}: one holder at a time, here and in another process`, async () => {
    const directory = join(root, name);
    mkdirSync(directory);
    const lock = await lockDirectory(directory, useSocket);
    await assert.rejects(lockDirectory(directory, useSocket), isLocked);
    const script = `import { lockDirectory } from ${JSON.stringify(module)};
      lockDirectory(${JSON.stringify(directory)}, ${useSocket}).then(() => process.exit(0), () => process.exit(7));`;
    const other = (): number | null =>
      spawnSync(process.execPath, ["--input-type=module", "-e", script]).status;
    assert.equal(other(), 7);
    await lock.release();
    await lock.release();
    assert.equal(other(), 0);
    // The other process died holding it: nothing stands in the way.
    await using _again = await lockDirectory(directory, useSocket);
  });
}

test("a directory whose path is too long for a socket is locked too", async () => {
  const directory = join(root, "x".repeat(120));
  mkdirSync(directory);
  await using _lock = await lockDirectory(directory, true);
  await assert.rejects(lockDirectory(directory, true), isLocked);
});

test("a lock is taken on a full disk, where the pid cannot be written", async () => {
  const directory = join(root, "full");
  mkdirSync(directory);
  symlinkSync("/dev/full", join(directory, "lock"));
  for (const useSocket of [false, true]) {
    await using _lock = await lockDirectory(directory, useSocket);
  }
});
