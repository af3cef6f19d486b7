import assert from "node:assert/strict";
import { test } from "node:test";
import { later, Session } from "../../../src/client/session.ts";
import { run } from "../../support/log/logs.ts";
import { FakeCluster } from "./fake-cluster.ts";

const appended = (firstOffset: number, count = 1) => ({
  firstOffset,
  count,
  timestampMs: 0,
  duplicate: false,
});

test("a session keeps what reaches furthest, with its place", () => {
  const session = new Session();
  session.appended(appended(0, 2), "s7.5");
  assert.deepEqual(session.seen, { next: 2, place: { life: 7, index: 5 } });
  session.observed({ next: 1, place: { life: 7, index: 9 } });
  assert.deepEqual(session.seen, { next: 2, place: { life: 7, index: 5 } });
  // A node that has not applied an append yet sends no token: the place of before would not cover it.
  session.appended(appended(2), undefined);
  assert.deepEqual(session.seen, { next: 3, place: undefined });
  session.observed({ next: 3, place: { life: 7, index: 8 } });
  assert.deepEqual(session.seen, { next: 3, place: { life: 7, index: 8 } });
  for (const token of ["", "5", "s7", "r7.5.1", `s7.${"9".repeat(16)}`]) {
    const other = new Session();
    other.appended(appended(0), token);
    assert.equal(other.seen.place, undefined, token);
  }
  const [one, none] = [
    { next: 4, place: { life: 7, index: 9 } },
    { next: 4, place: undefined },
  ];
  assert.equal(later(one, none), one);
  assert.equal(later(none, one), one);
});

test("the bounds for a stated token come from a node that was asked for it", async () => {
  const cluster = new FakeCluster("a:1");
  cluster.logs.create("orders");
  await using client = cluster.client();
  await client.log("orders").append(run("0"));
  const { requests } = cluster.node("a:1");
  requests.length = 0;
  await using other = cluster.client();
  await other.log("orders").bounds({ seen: { life: 7, index: 1 } });
  assert.deepEqual(
    requests.map(({ seenToken }) => seenToken),
    ["s7.1"],
  );
});

test("session of a named log: a read states the token of what the client has appended or read", async () => {
  const cluster = new FakeCluster("a:1");
  cluster.logs.create("orders");
  await using client = cluster.client();
  const log = client.log("orders");
  const { requests } = cluster.node("a:1");
  const stated = (): (string | bigint)[] =>
    requests.splice(0).map(({ seenToken, seenOffset }) => seenToken || seenOffset);

  await log.append(run("0", "1"));
  await log.read(0);
  await log.bounds({ mode: "linearizable" });
  await log.seek({ end: true });
  assert.deepEqual(stated(), ["s7.1", 0n, "s7.1"]);

  await log.append(run("2"), { expectedOffset: 2 });
  using tail = log.follow(2);
  assert.equal(await tail.ready(), true);
  assert.deepEqual(stated(), ["s7.2"]);

  cluster.node("a:1").lag = 1;
  await log.append(run("3"));
  cluster.node("a:1").lag = 0;
  await log.read(3);
  assert.deepEqual(stated(), [3n], "without a token the offset counts, in the log of the stated id");
  await log.read(3);
  await log.read(3, { seen: { life: 7, index: 1 } });
  assert.deepEqual(stated(), ["s7.3", "s7.1"], "a batch that was read has its index");
});
