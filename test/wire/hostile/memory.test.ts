/** Clients that take nothing stay within the memory budget, and honest clients are served meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createFastPath } from "../../../src/api/mod.ts";
import { encodeRun } from "../../../src/log/mod.ts";
import { type Served, serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";
import { attacks } from "./memory-attacks.ts";

const limit = 16 * 2 ** 20;
/** Pinned memory can exceed the limit by one buffer. */
const slack = 2 ** 20;

/** A service whose log has more than any window holds. */
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
  "ConsumeStream with a window that grows byte by byte",
  "ConsumeBatches with the largest windows on a socket that is not read",
  "GET /tail over HTTP/1.1 that is not read",
  "POST / of 1.3 MB that is not finished",
]) {
  test(`${name}: memory stays within the budget and is released`, { timeout: 60_000 }, async () => {
    await using served = await open();
    const attack = attacks.find((one) => one.name === name);
    assert.ok(attack !== undefined);
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, served.memory.bytes);
    }, 2);
    const close = await attack.start(served.port);
    try {
      await settled(() => served.memory.bytes);
      await until("a small append is accepted", () => append(served.url));
    } finally {
      clearInterval(watch);
      close();
    }
    assert.ok(most <= limit + slack, `${most} bytes held`);
    await until("the memory is released", () => served.memory.bytes <= 1024 * 1024, {
      explain: () => `${served.memory.bytes} bytes are held`,
    });
  });
}

/** Waits until the value stays the same for a while. */
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
