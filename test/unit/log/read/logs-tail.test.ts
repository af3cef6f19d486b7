import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { type FollowedLogs, LogsTail } from "../../../../src/log/mod.ts";
import type { RaftPosition, TailedBatches } from "../../../../src/types.ts";
import { compact, run, simMachine, valuesOf } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";

/** Everything the tail has now, as "log: values at index". */
function taken(tail: LogsTail, maxBytes?: number): string[] {
  const shown: string[] = [];
  for (let later = 0; ; ) {
    const found = tail.take(maxBytes);
    if (found === undefined) return shown;
    if (found === "later") assert.ok(++later < 10_000, "the tail does not come to an end");
    else if ("deleted" in found) shown.push(`${found.deleted.name} deleted`);
    else shown.push(...textOf(found));
  }
}

const textOf = ({ log, slice, from }: TailedBatches): string[] =>
  valuesOf(slice, from).map((value) => `${log.name} ${value}`);

function tailOf(log: OneNodeLog, logs: FollowedLogs | readonly string[], from: RaftPosition): LogsTail {
  const { committed, state } = log.storedLog;
  const named = Array.isArray(logs)
    ? { named: logs.map((name) => ({ name, id: state.logs.named(name)?.id ?? 0 })), deleted: [] }
    : (logs as FollowedLogs);
  return new LogsTail({ log: committed, logs: named, from, cutOff: () => undefined });
}

const prefixed = (prefix: string, may: (name: string) => boolean = () => true): FollowedLogs => ({
  prefix,
  may,
  asksMax: 1_024,
});

/** Appends to the logs in turn, and returns what was appended in the order of the Raft log. */
async function fill(log: OneNodeLog, names: readonly string[], rounds: number, perBatch = 1) {
  const all: string[] = [];
  for (let n = 0; n < rounds; n++) {
    const name = names[n % names.length]!;
    const values = Array.from({ length: perBatch }, (_, k) => `${n}.${k}`);
    await log.append(run(...values), name === "default" ? {} : { log: { name } });
    all.push(...values.map((value) => `${name} ${value}`));
  }
  return all;
}

async function openWith(names: readonly string[], frameCacheBytesMax: number, segmentStoreBytesMax = 900) {
  const machine = simMachine(1);
  const options = { frameCacheBytesMax, openFilesMax: 2 };
  const log = await machine.open({ segmentStoreBytesMax }, options);
  for (const name of names) await log.change({ kind: "create", name, settings: {} });
  return log;
}

const start = { index: 1, sent: 0 };

test("a tail shows the records of its logs in the order of the Raft log, from memory and from disk", async () => {
  for (const frameCacheBytesMax of [0, 700, 1 << 20]) {
    const log = await openWith(["a/1", "a/2", "b"], frameCacheBytesMax);
    const all = await fill(log, ["a/1", "b", "default", "a/2", "a/2"], 60, 3);
    const of = (...names: string[]): string[] =>
      all.filter((text) => names.some((name) => text.startsWith(`${name} `)));
    for (const maxBytes of [1, 300, 1 << 18]) {
      assert.deepEqual(taken(tailOf(log, prefixed("a/"), start), maxBytes), of("a/1", "a/2"));
      assert.deepEqual(taken(tailOf(log, prefixed(""), start), maxBytes), of("a/1", "a/2", "b"));
      assert.deepEqual(taken(tailOf(log, ["b", "default"], start), maxBytes), of("b", "default"));
      assert.deepEqual(taken(tailOf(log, ["default"], start), maxBytes), of("default"));
      assert.deepEqual(taken(tailOf(log, prefixed("none"), start), maxBytes), []);
    }
    const noB = prefixed("", (name) => name !== "b");
    assert.deepEqual(taken(tailOf(log, noB, start)), of("a/1", "a/2"));
  }
});

test("a tail can be resumed after each record, without loss or duplicates", async () => {
  for (const frameCacheBytesMax of [0, 1 << 20]) {
    const log = await openWith(["a/1", "a/2", "b"], frameCacheBytesMax);
    const all = await fill(log, ["a/1", "b", "a/2", "a/1"], 24, 3);
    const expected = all.filter((text) => text.startsWith("a/"));
    const tail = tailOf(log, prefixed("a/"), start);
    let seen = 0;
    for (let found = tail.take(1); found !== undefined; found = tail.take(1)) {
      if (found === "later" || "deleted" in found) continue;
      const texts = textOf(found);
      for (let k = 0; k <= texts.length; k++) {
        const resumed = tailOf(log, prefixed("a/"), { index: found.index, sent: k });
        assert.deepEqual(taken(resumed), expected.slice(seen + k), `${found.index}.${k}`);
      }
      seen += texts.length;
      const { position } = tail;
      assert.deepEqual(taken(tailOf(log, prefixed("a/"), position)), expected.slice(seen));
    }
    assert.equal(seen, expected.length);
    const beyond = tailOf(log, prefixed("a/"), { index: log.storedLog.firstIndex, sent: 2 ** 53 });
    assert.deepEqual(taken(beyond), expected, "records that a batch does not have are passed over");
  }
});

test("only segments that hold one of the logs are read", async () => {
  const log = await openWith(["rare", "busy"], 0, 2_000);
  await fill(log, ["busy"], 100);
  await fill(log, ["rare"], 2);
  await fill(log, ["busy"], 100);
  const { segments } = log.storedLog;
  assert.ok(segments.length >= 8, `${segments.length} segments`);
  const read: number[] = [];
  for (const segment of segments) {
    const { read: readStore } = segment;
    Object.defineProperty(segment, "read", {
      value: (target: Uint8Array, position: number) => {
        read.push(target.length);
        return readStore.call(segment, target, position);
      },
    });
  }
  assert.deepEqual(taken(tailOf(log, ["rare"], start)), ["rare 0.0", "rare 1.0"]);
  assert.ok(read.length <= 2, `${read.length} reads`);
});

test("a tail at rest is woken by a commit about its logs only, and costs nothing until then", async () => {
  const log = await openWith(["a/1", "b"], 1 << 20);
  const tail = tailOf(log, prefixed("a/"), { index: log.storedLog.commitIndex + 1, sent: 0 });
  assert.deepEqual(taken(tail), []);
  let woken = false;
  const ready = tail.ready().then((available) => {
    woken = true;
    return available;
  });
  await fill(log, ["b", "default"], 200);
  assert.equal(woken, false);
  assert.deepEqual(tail.position, { index: log.storedLog.commitIndex + 1, sent: 0 });
  let looks = 0;
  const { frameCache } = log.storedLog.committed;
  const find = frameCache.findBatch.bind(frameCache);
  frameCache.findBatch = (...args) => {
    looks++;
    return find(...args);
  };
  await fill(log, ["a/1"], 1);
  assert.equal(await ready, true);
  assert.deepEqual(taken(tail), ["a/1 0.0"]);
  assert.ok(looks <= 2, `${looks} looks: it does not go over what it had passed`);
});

test("a log that is created later joins a prefix, and a deleted one leaves it", async () => {
  const log = await openWith(["a/1"], 1 << 20);
  const tail = tailOf(log, prefixed("a/"), start);
  assert.deepEqual(taken(tail), []);
  const ready = tail.ready();
  await log.change({ kind: "create", name: "a/2", settings: {} });
  await fill(log, ["a/2", "a/1"], 2);
  assert.equal(await ready, true);
  assert.deepEqual(taken(tail), ["a/2 0.0", "a/1 1.0"]);
  await fill(log, ["a/2", "a/1"], 2);
  await log.change({ kind: "delete", log: { name: "a/2" } });
  assert.deepEqual(taken(tail), ["a/1 1.0"]);
});

test("a deleted log that was named is shown once, and a log that gets its name is another one", async () => {
  const log = await openWith(["a", "b"], 1 << 20);
  const tail = tailOf(log, ["a", "b"], start);
  await fill(log, ["a", "b"], 2);
  assert.deepEqual(taken(tail), ["a 0.0", "b 1.0"]);
  const ready = tail.ready();
  await log.change({ kind: "delete", log: { name: "a" } });
  await log.change({ kind: "create", name: "a", settings: {} });
  await fill(log, ["a", "b"], 2);
  assert.equal(await ready, true);
  assert.deepEqual(taken(tail), ["a deleted", "b 1.0"]);
  const last = tail.ready();
  await log.change({ kind: "delete", log: { name: "b" } });
  assert.equal(await last, true);
  assert.deepEqual(tail.take(), { deleted: { id: 2, name: "b" } });
  assert.equal(await tail.ready(), true);
  assert.throws(() => tail.take(), { kind: "not-found" });
});

test("trimmed records are passed over, in memory and on disk", async () => {
  for (const frameCacheBytesMax of [0, 1 << 20]) {
    const log = await openWith(["a", "b"], frameCacheBytesMax);
    await fill(log, ["a"], 20, 2);
    await log.trim(31, { log: { name: "a" } });
    assert.equal(taken(tailOf(log, ["a"], start))[0], "a 15.1");
    await log.trim(40, { log: { name: "a" } });
    assert.deepEqual(taken(tailOf(log, ["a"], start)), []);
  }
});

test("a tail goes on behind segments that were removed, since they held nothing that can be read", async () => {
  const log = await openWith(["a", "b"], 0);
  await fill(log, ["a"], 40);
  const tail = tailOf(log, ["a", "b"], start);
  assert.ok(tail.take(1) !== undefined);
  await log.trim(40, { log: { name: "a" } });
  await fill(log, ["b"], 1);
  for (let n = 0; n < 40; n++) await log.append(run(`${n}`));
  await log.trim(40);
  assert.ok((await compact(log.storedLog)) > 0);
  assert.deepEqual(taken(tail), ["b 0.0"]);
});

test("a tail of closed logs ends after their last record", async () => {
  const log = await openWith(["a", "b"], 1 << 20);
  const tail = tailOf(log, ["a", "b"], start);
  await fill(log, ["a", "b"], 2);
  await log.change({ kind: "close", log: { name: "a" } });
  assert.deepEqual(taken(tail), ["a 0.0", "b 1.0"]);
  const ready = tail.ready();
  await log.change({ kind: "close", log: { name: "b" } });
  assert.equal(await ready, true);
  assert.deepEqual(taken(tail), []);
  assert.equal(await tail.ready(), false);
});

test("a node that gets no more records ends its tails, after what it has", async () => {
  const log = await openWith(["a"], 1 << 20);
  await fill(log, ["a"], 1);
  let cutOff: Fault | undefined;
  const { committed } = log.storedLog;
  const named = { named: [{ id: 1, name: "a" }], deleted: [] };
  const tail = new LogsTail({ log: committed, logs: named, from: start, cutOff: () => cutOff });
  assert.deepEqual(taken(tail), ["a 0.0"]);
  const ready = tail.ready();
  cutOff = new Fault("unavailable");
  committed.notifyAll();
  assert.equal(await ready, true);
  assert.throws(() => tail.take(), { kind: "unavailable" });
});

test("dispose and the close of the log end a pending wait", async () => {
  const log = await openWith(["a"], 1 << 20);
  const [one, other] = [tailOf(log, ["a"], start), tailOf(log, prefixed("a"), start)];
  assert.deepEqual([taken(one), taken(other)], [[], []]);
  const waits = [one.ready(), other.ready()];
  assert.equal(log.storedLog.committed.tails.size, 2);
  one[Symbol.dispose]();
  assert.equal(log.storedLog.committed.tails.size, 1);
  await log.close();
  assert.deepEqual(await Promise.all(waits), [false, false]);
  assert.equal(other.take(), undefined);
});

test("the ends are those of the logs that were named", async () => {
  const log = await openWith(["a", "b"], 1 << 20);
  await fill(log, ["a", "a", "default"], 3);
  assert.deepEqual(tailOf(log, ["a", "default"], start).ends("all"), [
    { id: 1, name: "a", next: 2 },
    { id: 0, name: "default", next: 1 },
  ]);
  assert.deepEqual(tailOf(log, prefixed("a"), start).ends("all"), []);
});

test("the position of a tail that was woken is not past what it was woken for", async () => {
  const log = await openWith(["a", "b"], 1 << 20);
  const tail = tailOf(log, ["a"], start);
  assert.deepEqual(taken(tail), []);
  await fill(log, ["b", "a", "b"], 3);
  const { index } = tail.position;
  assert.ok(index <= log.storedLog.state.logs.named("a")!.lastIndex, `${index}`);
  assert.deepEqual(taken(tailOf(log, ["a"], tail.position)), ["a 1.0"]);
});

test("a frame of another log is not shown, wherever an index leads", async () => {
  const log = await openWith(["a", "b"], 0, 2_000);
  await fill(log, ["a", "b"], 60);
  const [sealed] = log.storedLog.sealed.filter(({ meta }) => meta.namedBatches !== undefined);
  const wrong = sealed!.batchesOf(2)!;
  Object.defineProperty(sealed, "batchesOf", { value: () => wrong });
  const shown: string[] = [];
  const tail = tailOf(log, ["a"], start);
  assert.throws(
    () => {
      for (let n = 0; n < 1_000; n++) {
        const found = tail.take(1);
        if (found !== undefined && found !== "later" && "slice" in found) shown.push(...textOf(found));
      }
    },
    { kind: "corrupt" },
  );
  assert.ok(shown.every((text) => Number.parseInt(text.slice(2), 10) % 2 === 0));
});

test("records that are far apart in a large segment are found", async () => {
  const log = await openWith(["rare", "busy"], 0, 1 << 24);
  await fill(log, ["rare", "default"], 2);
  await fill(log, ["busy"], 4_500);
  await fill(log, ["rare", "default"], 2);
  await fill(log, ["busy"], 4_500);
  await fill(log, ["default", "rare"], 2);
  const expected = ["rare 0.0", "default 1.0", "rare 0.0", "default 1.0", "default 0.0", "rare 1.0"];
  assert.deepEqual(taken(tailOf(log, ["rare", "default"], start)), expected);
  assert.equal(taken(tailOf(log, ["rare"], start)).length, 3);
  assert.equal(taken(tailOf(log, ["default"], start)).length, 3);
  assert.equal(taken(tailOf(log, prefixed("r"), start)).length, 3);
});

test("the last batch of a segment is found, of default too", async () => {
  const log = await openWith(["a"], 0);
  const all = [...(await fill(log, ["default"], 40)), ...(await fill(log, ["a"], 40))];
  assert.ok(log.storedLog.segments.length > 6);
  assert.deepEqual(taken(tailOf(log, ["a", "default"], start)), all);
});

test("a tail of 256 logs that is woken states the ends of the logs that it took records of", async () => {
  const names = Array.from({ length: 256 }, (_, n) => `log ${n}`);
  const log = await openWith(names, 1 << 20);
  const tail = tailOf(log, names, { index: log.storedLog.commitIndex + 1, sent: 0 });
  taken(tail);
  assert.equal(tail.ends("all").length, 256);
  await log.append(run("1"), { log: { name: "log 7" } });
  const { committed } = log.storedLog;
  const rowOf = committed.row.bind(committed);
  let looks = 0;
  committed.row = (id) => {
    looks++;
    return rowOf(id);
  };
  assert.deepEqual(taken(tail), ["log 7 1"]);
  assert.deepEqual(
    tail.ends("taken").map(({ name, next }) => [name, next]),
    [["log 7", 1]],
  );
  assert.deepEqual(tail.ends("taken"), []);
  assert.ok(looks < 20, `${looks} rows`);
  tail[Symbol.dispose]();
});
