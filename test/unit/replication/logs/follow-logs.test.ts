import assert from "node:assert/strict";
import { test } from "node:test";
import type { MultiStart, MultiTail } from "../../../../src/types.ts";
import { compact, run, simMachine, valuesOf } from "../../../support/log/logs.ts";

const all = { prefix: "", may: () => true, asksMax: 1_024 };

function taken(tail: MultiTail): string[] {
  const shown: string[] = [];
  for (let found = tail.take(); found !== undefined; found = tail.take()) {
    if (found === "later") continue;
    if ("deleted" in found) shown.push(`${found.deleted.name} deleted`);
    else shown.push(...valuesOf(found.slice, found.from));
  }
  return shown;
}

async function openNode() {
  const node = await simMachine(1).open({ segmentStoreBytesMax: 500 });
  const { named } = node.replica.log;
  for (const name of ["a", "b"]) await node.change({ kind: "create", name, settings: {} });
  for (let n = 0; n < 20; n++) await node.append(run(`${n}`), { log: { name: n % 2 === 0 ? "a" : "b" } });
  const { storedLog } = node;
  const at = (index: number, life = named.life): MultiStart => ({ life, index, sent: 0 });
  return { node, named, storedLog, at, from: (start: MultiStart) => named.follow(all, start) };
}

test("a tail begins at the end, at the start, or at a place in this life of the cluster", async () => {
  const { named, storedLog, at, from } = await openNode();
  assert.deepEqual(taken(await from("end")), []);
  assert.equal(taken(await from("start")).length, 20);
  const { lastIndex } = storedLog.state.logs.named("b")!;
  assert.deepEqual(taken(await from(at(lastIndex))), ["19"]);
  assert.deepEqual(taken(await from(at(storedLog.commitIndex + 1))), []);
  await assert.rejects(from(at(1, named.life + 1)), {
    kind: "failed-precondition",
    facts: { reason: "ANOTHER_LIFE" },
  });
  const next = storedLog.commitIndex + 1;
  for (const index of [next + 1, Number.MAX_SAFE_INTEGER])
    await assert.rejects(from(at(index)), { kind: "out-of-range", facts: { index, lowest: 1, next } });
});

test("a place below the first index that is kept is refused with the lowest one", async () => {
  const { node, storedLog, at, from } = await openNode();
  for (const name of ["a", "b"]) await node.trim(10, { log: { name } });
  for (let n = 0; n < 20; n++) await node.append(run("x"));
  await node.trim(20);
  assert.ok((await compact(storedLog)) > 0);
  const { firstIndex: lowest, commitIndex } = storedLog;
  const facts = { index: lowest - 1, lowest, next: commitIndex + 1 };
  await assert.rejects(from(at(lowest - 1)), { kind: "out-of-range", facts });
  assert.deepEqual(taken(await from(at(lowest))), []);
});

test("a name means the log with the stated id, and after a place a log that is gone is said", async () => {
  const { node, named, storedLog, at } = await openNode();
  const { id } = storedLog.state.logs.named("a")!;
  await node.change({ kind: "delete", log: { name: "a" } });
  await node.change({ kind: "create", name: "a", settings: {} });
  await node.append(run("new"), { log: { name: "a" } });
  const old = { name: "a", id };
  const follow = (names: { name: string; id?: number }[], start: MultiStart) =>
    named.follow({ names }, start);
  await assert.rejects(follow([old, { name: "b" }], "end"), {
    kind: "failed-precondition",
    facts: { name: "a", reason: "ANOTHER_LOG" },
  });
  await assert.rejects(follow([{ name: "none" }, { name: "b" }], "start"), { kind: "not-found" });
  const place = at(storedLog.commitIndex);
  assert.deepEqual(taken(await follow([old, { name: "b" }], place)), ["a deleted"]);
  assert.deepEqual(taken(await follow([{ name: "a" }, { name: "b" }], place)), ["new"]);
  assert.deepEqual(taken(await follow([{ name: "none" }, { name: "b" }], place)), ["none deleted"]);
  for (const names of [[old], [{ name: "none" }], [old, { name: "none" }]])
    await assert.rejects(follow(names, place), { kind: "not-found" });
});
