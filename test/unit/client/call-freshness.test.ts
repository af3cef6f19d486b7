import assert from "node:assert/strict";
import { test } from "node:test";
import { callFreshness } from "../../../src/client/call-freshness.ts";
import { run } from "../../support/log/logs.ts";
import { FakeCluster } from "./fake-cluster.ts";

const nothing = { next: 0, place: undefined };
const seen = { life: 7, index: 5 };

test("what a call has seen replaces what the client was opened with, in either form", () => {
  const other = { life: 7, index: 1 };
  assert.deepEqual(callFreshness({ seen, mode: "session" }, { seenOffset: 3 }, nothing, false), {
    mode: "session",
    seenOffset: 3,
  });
  assert.deepEqual(callFreshness({ seenOffset: 9 }, { seen: other }, nothing, false), { seen: other });
  assert.deepEqual(callFreshness({ seen }, { seen: other }, nothing, false), { seen: other });
  assert.deepEqual(callFreshness({ seenOffset: 9 }, { seenOffset: 0 }, nothing, true), { seenOffset: 0 });
});

test("an option that is undefined is not stated", () => {
  const stated = { mode: undefined, seenOffset: undefined } as object;
  assert.deepEqual(callFreshness({ mode: "linearizable", seen }, stated, nothing, false), {
    mode: "linearizable",
    seen,
  });
});

test("what the client was opened with counts until the session knows more", () => {
  const usual = { seen, seenOffset: 4 };
  const knows = (next: number, place?: { life: number; index: number }) =>
    Object.keys(callFreshness(usual, {}, { next, place }, false));
  assert.deepEqual(knows(0), ["seen", "seenOffset"]);
  assert.deepEqual(knows(3, { life: 7, index: 4 }), ["seen", "seenOffset"]);
  assert.deepEqual(knows(5, { life: 7, index: 5 }), []);
  assert.deepEqual(knows(5), []);
  assert.deepEqual(knows(1, { life: 8, index: 1 }), ["seenOffset"]);
});

test("default takes no place of the Raft log", () => {
  assert.deepEqual(callFreshness({ seen, seenOffset: 4 }, {}, nothing, true), { seenOffset: 4 });
});

test("every read of a client states what its call has seen", async () => {
  const cluster = new FakeCluster("a:1");
  const { log } = cluster.logs.create("orders");
  for (const value of ["0", "1", "2"]) await log.append(run(value));
  await using client = cluster.client({ freshness: { seen: { life: 7, index: 1 } } });
  const orders = client.log("orders");
  const { requests } = cluster.node("a:1");
  const asked = async (work: () => Promise<unknown>): Promise<(string | bigint)[]> => {
    requests.length = 0;
    await work();
    return requests.map(({ seenToken, seenOffset }) => seenToken || seenOffset);
  };
  const stated = { seenOffset: 2 };
  assert.deepEqual(await asked(() => orders.seek({ last: 1 })), ["s7.1"]);
  assert.deepEqual(await asked(() => orders.seek({ last: 1 }, stated)), [2n]);
  assert.deepEqual(await asked(() => orders.seek({ end: true }, stated)), [2n]);
  assert.deepEqual(await asked(() => orders.read(0, stated)), [2n]);
  assert.deepEqual(await asked(() => orders.bounds({ seenOffset: 9 }).catch(() => undefined)), [9n]);
  const consume = async (): Promise<void> => {
    for await (const _ of orders.consume({ from: { last: 1 }, freshness: stated })) break;
  };
  assert.deepEqual((await asked(consume))[0], 2n);
});
