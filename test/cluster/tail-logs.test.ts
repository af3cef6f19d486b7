/** Tails of several logs on a cluster of processes: kills of nodes, logs that are deleted and created again under load. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TailedRecord } from "../../src/client/mod.ts";
import { openTail } from "../support/http/tail-reader.ts";
import { type ClusterNode, processWait, TestCluster } from "../support/process/cluster.ts";
import { endProcess, startCommand } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const textOf = ({ log, value }: Pick<TailedRecord, "log" | "value">): string =>
  `${log} ${Buffer.from(value).toString()}`;

/** Fails unless the records of each log have the offsets 0, 1, 2, … */
function checkDense(records: readonly Pick<TailedRecord, "log" | "logId" | "offset">[]): void {
  const next = new Map<string, number>();
  for (const { log, logId, offset } of records) {
    const key = `${log} ${logId}`;
    assert.equal(offset, next.get(key) ?? 0, `a gap or a duplicate in ${key}`);
    next.set(key, offset + 1);
  }
}

interface Line {
  readonly log: string;
  readonly log_id: string;
  readonly offset: number;
  readonly text: string;
}

/** Reads events until `count` records came or the node ends. Returns the id to resume at. */
async function readEvents(
  node: ClusterNode,
  query: string,
  id: string,
  records: Line[],
  count: number,
): Promise<string> {
  const headers: Record<string, string> = id === "" ? {} : { "last-event-id": id };
  let last = id;
  const tail = await openTail(`${node.url}/tail?${query}&format=text`, headers).catch(() => undefined);
  while (tail !== undefined && records.length < count) {
    const event = await tail.next();
    if (event === undefined) break;
    if (event.id !== undefined) last = event.id;
    if (event.event === undefined) records.push(JSON.parse(event.data) as Line);
  }
  tail?.close();
  return last;
}

test("a tail of several logs goes on at another node after the leader was killed", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const leader = await cluster.leader();
  await using client = cluster.connect();
  const names = ["a/0", "a/1", "a/2"];
  for (const name of [...names, "b"]) await client.logs.create(name);
  const seen: TailedRecord[] = [];
  const stop = new AbortController();
  const reading = (async () => {
    for await (const record of client.logs.tail({ prefix: "a/", resume: "start", signal: stop.signal }))
      seen.push(record);
  })().catch(() => undefined);
  const command = startCommand(["tail", "--prefix", "a/", "--from", "start", "--addr", leader.addr]);
  let printed = "";
  command.stdout?.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  t.after(() => endProcess(command, "SIGKILL"));

  const producers = [...names, "b"].map((name) => client.log(name).producer({ deliveryMs: 60_000 }));
  const sent: Promise<unknown>[] = [];
  const events: Line[] = [];
  let token = "";
  const total = 300;
  for (let n = 0; n < total; n++) {
    if (n === 100) {
      token = await readEvents(leader, "prefix=a/&from=start", "", events, 50);
      await cluster.stop(leader, "SIGKILL");
    }
    sent.push(producers[n % producers.length]!.send(`${n}`));
    if (n % 20 === 0) await sent.at(-1);
  }
  await Promise.all(sent);
  const expected = Array.from({ length: total }, (_, n) => n).filter(
    (n) => n % producers.length < names.length,
  );
  await until("the client has everything", () => seen.length >= expected.length, processWait);
  checkDense(seen);
  const texts = (all: readonly { log: string; value: Uint8Array }[]): string[] => all.map(textOf).toSorted();
  const wanted = expected.map((n) => `${names[n % producers.length]} ${n}`).toSorted();
  assert.deepEqual(texts(seen), wanted);

  for (const node of cluster.running) {
    const rest: Line[] = [...events];
    await readEvents(node, "prefix=a/", token, rest, expected.length);
    checkDense(rest.map(({ log, log_id: logId, offset }) => ({ log, logId, offset })));
    assert.deepEqual(
      rest.map(({ log, text }) => `${log} ${text}`),
      seen.map(textOf),
      "every node shows the same order",
    );
  }

  cluster.start(leader);
  const lines = (): Line[] =>
    printed
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  await until("the command goes on at its node", () => lines().length >= expected.length, processWait);
  assert.deepEqual(
    lines().map(({ log, offset }) => `${log} ${offset}`),
    seen.map(({ log, offset }) => `${log} ${offset}`),
  );
  stop.abort();
  await reading;
});

test("logs that are deleted and created again under load never mix, and none of their records is lost", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  await using client = cluster.connect();
  const rounds = 12;
  const perRound = 30;
  await client.logs.create("keep");
  const seen: TailedRecord[] = [];
  const deleted: string[] = [];
  const stop = new AbortController();
  const read = async (records: TailedRecord[], options: object): Promise<void> => {
    const { signal } = stop;
    for await (const record of client.logs.tail({ ...options, signal })) records.push(record);
  };
  const all = read(seen, { prefix: "", resume: "start" }).catch(() => undefined);
  const first = await client.logs.create("again");
  const named: TailedRecord[] = [];
  const onDeleted = ({ log }: { readonly log: string }): void => void deleted.push(log);
  const both = read(named, { names: ["again", "keep"], resume: "start", onDeleted }).catch(() => undefined);
  const kept = client.log("keep").producer({ deliveryMs: 60_000 });
  let killed: ClusterNode | undefined;
  const acknowledged: string[] = [];
  for (let round = 0; round < rounds; round++) {
    if (round > 0) await client.logs.create("again");
    const producer = client.log("again").producer({ deliveryMs: 60_000 });
    const sends: Promise<unknown>[] = [];
    for (let n = 0; n < perRound; n++) sends.push(producer.send(`${round}.${n}`), kept.send(`${round}.${n}`));
    if (round === 4) {
      killed = await cluster.leader();
      await cluster.stop(killed, "SIGKILL");
    }
    if (round === 8 && killed !== undefined) cluster.start(killed);
    await Promise.all(sends);
    await producer[Symbol.asyncDispose]();
    for (let n = 0; n < perRound; n++) acknowledged.push(`keep ${round}.${n}`);
    // The last one stays, and the tail of the prefix must show all of it.
    if (round < rounds - 1) await client.logs.delete("again");
  }
  for (let n = 0; n < perRound; n++) acknowledged.push(`again ${rounds - 1}.${n}`);
  const has = (records: readonly TailedRecord[], texts: readonly string[]) => () => {
    const found = new Set(records.map(textOf));
    return texts.every((text) => found.has(text));
  };
  await until("the prefix has all that was kept", has(seen, acknowledged), processWait);
  checkDense(seen);
  const ofKeep = acknowledged.filter((text) => text.startsWith("keep"));
  await until("the other tail has all of keep", has(named, ofKeep), processWait);
  checkDense(named);
  assert.deepEqual(deleted, ["again"]);
  for (const { log, logId } of named) if (log === "again") assert.equal(logId, first.id);
  const ids = new Set(seen.filter(({ log }) => log === "again").map(({ logId }) => logId));
  assert.ok(ids.size <= rounds);
  stop.abort();
  await Promise.all([all, both]);
});
