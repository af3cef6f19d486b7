import assert from "node:assert/strict";
import { test } from "node:test";
import { BodyQueue } from "../../../../../src/api/http/exchange/body-queue.ts";

function open() {
  const asked: string[] = [];
  const queue = new BodyQueue({ pause: () => asked.push("pause"), resume: () => asked.push("resume") });
  return { queue, asked };
}
const text = (chunk: Uint8Array | undefined): string => Buffer.from(chunk ?? []).toString();

test("chunks arrive in order and then the end, whether the reader or the connection is first", async () => {
  const { queue } = open();
  const first = queue.next();
  queue.push(Buffer.from("a"));
  queue.push(Buffer.from("b"));
  queue.finish();
  assert.equal(text((await first).value), "a");
  const rest: string[] = [];
  for await (const chunk of queue) rest.push(text(chunk));
  assert.deepEqual(rest, ["b"]);
  assert.equal((await queue.next()).done, true);
});

test("the connection is paused while the reader is behind, and resumed when it has caught up", async () => {
  const { queue, asked } = open();
  for (let at = 0; at < 4; at++) queue.push(Buffer.alloc(32 * 1024));
  assert.deepEqual(asked, ["pause"]);
  await queue.next();
  await queue.next();
  assert.deepEqual(asked, ["pause"]);
  await queue.next();
  assert.deepEqual(asked, ["pause", "resume"]);
});

test("a failure reaches the waiting reader and every later read", async () => {
  const { queue } = open();
  const waiting = queue.next();
  queue.fail(new Error("gone"));
  await assert.rejects(waiting, /gone/);
  await assert.rejects(queue.next(), /gone/);
});

test("chunks after a reader that stops early are discarded", async () => {
  const { queue, asked } = open();
  queue.push(Buffer.from("a"));
  for await (const _ of queue) break;
  for (let at = 0; at < 4; at++) queue.push(Buffer.alloc(64 * 1024));
  assert.deepEqual(asked, []);
  assert.equal((await queue.next()).done, true);
});
