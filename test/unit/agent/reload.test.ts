/**
 * Reloading on request: all files are reloaded, also after a failure, and many requests at once make two rounds.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { reloader } from "../../../src/agent/reload.ts";
import { logLines } from "../../support/log/log-lines.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("every file is reloaded, also after one that failed", async () => {
  const { log, lines } = logLines();
  const called: string[] = [];
  const reload = reloader(
    [
      () => {
        throw new Error("first");
      },
      async () => Promise.reject(new Error("second")),
      () => called.push("third"),
    ],
    log,
  );
  reload();
  await turn();
  assert.deepEqual(called, ["third"]);
  assert.deepEqual(
    lines.filter(({ level }) => level === "error").map(({ facts }) => (facts["err"] as Error).message),
    ["first", "second"],
  );
  reload();
  await turn();
  assert.deepEqual(called, ["third", "third"]);
});

test("requests during a round start one more round after it", async () => {
  const { log } = logLines();
  let finish = (): void => undefined;
  let rounds = 0;
  const reload = reloader(
    [
      () =>
        new Promise<void>((resolve) => {
          rounds++;
          finish = resolve;
        }),
    ],
    log,
  );
  for (let asked = 0; asked < 1_000; asked++) reload();
  assert.equal(rounds, 1);
  finish();
  await turn();
  assert.equal(rounds, 2);
  finish();
  await turn();
  assert.equal(rounds, 2);
});
