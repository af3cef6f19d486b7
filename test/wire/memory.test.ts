/** Readers that take nothing hold little, and a client that behaves is served beside them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createFastPath } from "../../src/api/mod.ts";
import { encodeRun } from "../../src/log/mod.ts";
import { attacks } from "../support/memory-attacks.ts";
import { type Served, serve } from "../support/serve.ts";

const limit = 16 * 2 ** 20;
/** What is pinned may pass the limit by one buffer. */
const slack = 2 ** 20;

/** A log of records that are larger than any window, but for the last, small one. */
async function open(): Promise<Served> {
  const served = await serve({ fastPath: createFastPath, memoryBytesMax: limit });
  for (let one = 0; one < 64; one++) {
    await served.log.append(encodeRun([{ value: Buffer.alloc(256 * 1024, one) }]), { subject: "ann" });
  }
  return served;
}

for (const name of [
  "Consume without window",
  "ConsumeStream without window",
  "GET /tail without window",
  "ConsumeStream with a window of a byte that drips",
  "ConsumeBatches with the largest windows on a socket that is not read",
  "GET /tail over HTTP/1.1 that is not read",
  "POST / of 1.3 MB without its end",
]) {
  test(`${name}: what is held stays within the budget, and returns`, { timeout: 60_000 }, async () => {
    await using served = await open();
    const attack = attacks.find((one) => one.name === name);
    assert.ok(attack !== undefined);
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, served.memory.bytes);
    }, 2);
    const close = await attack.begin(served.port);
    try {
      await settled(() => served.memory.bytes);
      for (let tries = 0; !(await append(served.url)); tries++) {
        assert.ok(tries < 500, "a small append is refused for ever");
        await delay(10);
      }
    } finally {
      clearInterval(watch);
      close();
    }
    assert.ok(most <= limit + slack, `${most} bytes held`);
    for (let tries = 0; served.memory.bytes > 1024 * 1024; tries++) {
      assert.ok(tries < 1000, `${served.memory.bytes} bytes are still held`);
      await delay(10);
    }
  });
}

/** Waits until what was sent has arrived: until the value stays the same for a while. */
async function settled(value: () => number): Promise<void> {
  for (let same = 0, before = value(), tries = 0; same < 5 && tries < 100; tries++) {
    await delay(20);
    same = value() === before ? same + 1 : 0;
    before = value();
  }
}

async function append(url: string): Promise<boolean> {
  const answer = await fetch(url, { method: "POST", body: '{"record":{"value":"aGk="}}' });
  await answer.arrayBuffer();
  return answer.status === 200;
}
