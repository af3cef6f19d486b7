/**
 * When a file that changes counts as complete.
 */
import assert from "node:assert/strict";
import { appendFileSync, closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { native } from "../../../../src/lib/disk/native.ts";
import { FileSettling } from "../../../../src/lib/file-watch/file-settling.ts";
import { scratch } from "../../../support/scratch.ts";

function scene(t: TestContext) {
  const directory = scratch(t);
  let nowMs = 0;
  const clock = {
    monotonicMs: () => nowMs,
    advance: (ms: number) => {
      nowMs += ms;
    },
  };
  const file = join(directory, "policy.csv");
  const settling = new FileSettling([file, join(directory, "missing")], clock);
  /** Looks as often as asked to, for `forMs` at most. Returns the milliseconds until it was complete. */
  const settle = (forMs = 60_000): number | undefined => {
    const startMs = clock.monotonicMs();
    while (clock.monotonicMs() - startMs <= forMs) {
      const waitMs = settling.look();
      if (waitMs === 0) return clock.monotonicMs() - startMs;
      clock.advance(waitMs);
    }
    return undefined;
  };
  return { clock, file, settling, settle };
}

test("a file that grows is complete when it has stayed the same for a while", (t) => {
  const { clock, file, settling, settle } = scene(t);
  writeFileSync(file, "");
  for (let line = 0; line < 8; line++) {
    appendFileSync(file, `${line}\n`);
    assert.ok(settling.look() > 0);
    clock.advance(399);
  }
  const tookMs = settle() ?? 0;
  assert.ok(tookMs >= 400 && tookMs <= 2_000, String(tookMs));
});

test("a file that is open for writing is not complete, unless nothing is written for long", (t) => {
  if (native()?.hasWriter === undefined) return t.skip("this system does not tell who writes to a file");
  const { file, settle } = scene(t);
  const descriptor = openSync(file, "w");
  writeSync(descriptor, "p, root, *, produce\n");
  assert.equal(settle(10_000), undefined);
  writeSync(descriptor, "p, root, *, consume\n");
  assert.equal(settle(29_000), undefined, "the wait begins again with each change");
  closeSync(descriptor);
  assert.ok((settle() ?? 99_999) <= 2_000);
});

test("a writer that keeps a file open delays a change for 30 s at most", (t) => {
  const { file, settle } = scene(t);
  const descriptor = openSync(file, "w");
  t.after(() => closeSync(descriptor));
  writeSync(descriptor, "p, root, *, produce\n");
  assert.ok((settle() ?? 99_999) <= 30_000);
});
