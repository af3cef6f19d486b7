/**
 * SIGHUP calls every reload, also after one that failed.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { onHangup } from "../../../src/agent/hangup.ts";
import { logLines } from "../../support/log-lines.ts";

test("every reload is called at SIGHUP until disposed, whatever the others do", {
  timeout: 10_000,
}, async () => {
  const { log, lines } = logLines();
  const called: string[] = [];
  process.on("SIGHUP", () => undefined); // So that the last one, unheard, does not end the test.
  const awake = setInterval(() => {}, 1_000);
  const hangUp = async (): Promise<void> => {
    const heard = once(process, "SIGHUP");
    process.kill(process.pid, "SIGHUP");
    await heard;
    await new Promise((resolve) => setImmediate(resolve));
  };
  const hangup = onHangup(
    [
      () => {
        throw new Error("first");
      },
      async () => Promise.reject(new Error("second")),
      () => called.push("third"),
    ],
    log,
  );
  await hangUp();
  assert.deepEqual(called, ["third"]);
  assert.deepEqual(
    lines.filter(({ level }) => level === "error").map(({ facts }) => (facts["err"] as Error).message),
    ["first", "second"],
  );
  hangup[Symbol.dispose]();
  await hangUp();
  assert.deepEqual(called, ["third"]);
  clearInterval(awake);
  process.removeAllListeners("SIGHUP");
});
