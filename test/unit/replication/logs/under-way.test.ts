import assert from "node:assert/strict";
import { test } from "node:test";
import { UnderWay } from "../../../../src/replication/logs/under-way.ts";

test("a wait ends once all that began before it has ended, and not for what begins later", async () => {
  const underWay = new UnderWay();
  await underWay.settled();
  const done: string[] = [];
  const wait = (name: string) => void underWay.settled().then(() => done.push(name));
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const [one, two] = [underWay.began(), underWay.began()];
  wait("first");
  wait("same");
  const three = underWay.began();
  wait("second");
  const four = underWay.began();
  three();
  one();
  await turn();
  assert.deepEqual(done, []);
  two();
  await turn();
  assert.deepEqual(done, ["first", "same", "second"]);
  four();
  underWay.began()();
  await underWay.settled();
});
