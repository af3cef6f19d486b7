import assert from "node:assert/strict";
import { test } from "node:test";
import { ChangeQueue, sessionChangesMax } from "../../../../src/agent/tokens/change-queue.ts";
import { Fault } from "../../../../src/fault.ts";

test("a change of an administrator goes before those of sessions, which are limited in number", async () => {
  const queue = new ChangeQueue();
  const held = Promise.withResolvers<void>();
  const done: string[] = [];
  const change = (isOfSession: boolean, name: string, work: Promise<void> = Promise.resolve()) =>
    queue.run(isOfSession, async () => {
      await work;
      done.push(name);
    });
  const all = [change(true, "first", held.promise)];
  for (let n = 0; n < sessionChangesMax; n++) all.push(change(true, "session"));
  const refused = change(true, "refused").then(
    () => "done",
    (reason) => `${Fault.from(reason).kind}, written: ${Fault.from(reason).written}`,
  );
  all.push(change(false, "revoke"), change(false, "rotate"));
  held.resolve();
  await Promise.all(all);
  assert.deepEqual(done.slice(0, 4), ["first", "revoke", "rotate", "session"]);
  assert.equal(done.length, sessionChangesMax + 3);
  assert.equal(await refused, "overloaded, written: no");
});

test("a change that fails is reported to its caller, and the next one runs", async () => {
  const queue = new ChangeQueue();
  const failed = queue.run(false, () => Promise.reject(new Fault("unavailable")));
  const next = queue.run(true, () => Promise.resolve());
  await assert.rejects(failed, /not available/);
  await next;
  await queue.run(true, () => Promise.resolve());
});
