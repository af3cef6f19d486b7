/**
 * Kills a real `tailrace serve` with SIGKILL, many times on one directory, while writers post to it over HTTP. Some post
 * each value once; some are producers that send a sequence number and repeat until they get an answer.
 */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type Prng, prng } from "../../src/lib/prng.ts";
import { endProcess, factIn, readyLines, startCommand, tailrace } from "../support/process/process.ts";

const plainWriters = 3;
const producers = 3;

export interface ServerKilled {
  readonly kills: number;
  readonly acknowledged: number;
  readonly records: number;
  /** Kills that came before the node was ready. */
  readonly early: number;
  readonly torn: number;
}

export async function killServerAgainAndAgain(
  directory: string,
  kills: number,
  seed: number,
): Promise<ServerKilled> {
  const chance = prng(seed);
  const known = new Acknowledged();
  let [early, torn] = [0, 0];
  for (let kill = 0; kill < kills; kill++) {
    const ended = await serveUntilKilled(directory, chance, known);
    if (!ended.ready) early++;
    if (ended.log.includes("a torn write group was cut off")) torn++;
    if (kill % 10 === 9) await known.check(directory);
  }
  const records = await known.check(directory);
  return { kills, acknowledged: known.count, records, early, torn };
}

/** The appends that were acknowledged, and the state of the writers. */
class Acknowledged {
  /** Offset → value. */
  readonly #answered = new Map<number, string>();
  readonly nextPlain = Array.from({ length: plainWriters }, () => 0);
  /** The next sequence number of each producer: all before it were acknowledged. */
  readonly nextSequence = Array.from({ length: producers }, () => 0);

  get count(): number {
    return this.#answered.size;
  }

  add(offset: number, value: string): void {
    const known = this.#answered.get(offset);
    assert.ok(known === undefined || known === value, `offset ${offset} was given twice`);
    this.#answered.set(offset, value);
  }

  /** Checks that every acknowledged record is in the log once, in order. No node may run. Resolves to the record count. */
  async check(directory: string): Promise<number> {
    const verified = await tailrace(["verify", directory]);
    // A torn write of the last kill is not a finding: the next start cuts it.
    assert.equal(verified.status, 0, verified.out + verified.err);
    const node = startCommand(serveFlags(directory));
    try {
      const url = await urlOf(node);
      const values = await readAll(url);
      for (const [offset, value] of this.#answered) assert.equal(values[offset], value, `offset ${offset}`);
      assert.equal(new Set(values).size, values.length, "a record is there twice");
      const last = new Map<string, number>();
      for (const value of values) {
        const [writer, n] = value.split(" ") as [string, string];
        assert.ok(Number(n) > (last.get(writer) ?? -1), `${writer} out of order at ${n}`);
        if (writer.startsWith("p")) assert.equal(Number(n), (last.get(writer) ?? -1) + 1, `${writer} misses`);
        last.set(writer, Number(n));
      }
      return values.length;
    } finally {
      await endProcess(node, "SIGTERM");
    }
  }
}

const serveFlags = (directory: string): string[] => [
  "serve",
  "--addr",
  "127.0.0.1:0",
  "--data-dir",
  directory,
  "--segment-store-bytes-max",
  "64KiB",
];

/** Resolves to the URL of the node when it is ready. */
async function urlOf(node: ChildProcess): Promise<string> {
  node.stderr?.resume();
  const [readyLine = ""] = await readyLines(node);
  return factIn(readyLine, "url");
}

async function serveUntilKilled(
  directory: string,
  chance: Prng,
  known: Acknowledged,
): Promise<{ ready: boolean; log: string }> {
  const node = startCommand(serveFlags(directory));
  let log = "";
  node.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    log += chunk;
  });
  const closed = once(node, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  const gone = new AbortController();
  let ready = false;
  // One in eight dies while it starts.
  const whileStarting = chance.chance(1 / 8);
  if (whileStarting) void sleep(chance.between(100, 1500)).then(() => node.kill("SIGKILL"));
  const serving = urlOf(node).then(
    async (url) => {
      ready = true;
      if (!whileStarting) void sleep(chance.between(50, 700)).then(() => node.kill("SIGKILL"));
      await Promise.all([...plainPosts(url, known, gone.signal), ...producerPosts(url, known, gone.signal)]);
    },
    () => undefined,
  );
  const [status, signal] = await closed;
  gone.abort();
  await serving;
  assert.equal(signal, "SIGKILL", `the node ended by itself with ${status}: ${log}`);
  return { ready, log };
}

/** Posts until the node is killed. A value without an answer is not sent again. */
function plainPosts(url: string, known: Acknowledged, gone: AbortSignal): Promise<void>[] {
  return known.nextPlain.map(async (_, id) => {
    for (;;) {
      const n = known.nextPlain[id]!++;
      const value = `w${id} ${n} ${"x".repeat(n % 300)}`;
      const record = { value: Buffer.from(value).toString("base64") };
      const answer = await post(url, { record }, gone);
      if (answer === undefined) return;
      known.add(Number(answer["offset"]), value);
    }
  });
}

function producerPosts(url: string, known: Acknowledged, gone: AbortSignal): Promise<void>[] {
  return known.nextSequence.map(async (_, id) => {
    for (;;) {
      const sequence = known.nextSequence[id]!;
      const value = `p${id} ${sequence} ${"y".repeat(sequence % 500)}`;
      const record = { value: Buffer.from(value).toString("base64") };
      const producer = { id: id + 1, epoch: 0, sequence };
      const answer = await post(`${url}/log.v1.Log/Produce`, { record, producer }, gone);
      if (answer === undefined) return;
      known.add(Number(answer["offset"] ?? 0), value);
      known.nextSequence[id] = sequence + 1;
    }
  });
}

/** Resolves to the answer; undefined if there was none. */
async function post(
  url: string,
  body: object,
  signal: AbortSignal,
): Promise<Record<string, unknown> | undefined> {
  try {
    const response = await fetch(url, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
      signal,
    });
    const answer = (await response.json()) as Record<string, unknown>;
    assert.equal(response.status, 200, JSON.stringify(answer));
    return answer;
  } catch (reason) {
    if (reason instanceof assert.AssertionError) throw reason;
    return undefined;
  }
}

/** Reads all values through the HTTP tail. Their offsets must be dense from 0. */
async function readAll(url: string): Promise<string[]> {
  const describe = await post(`${url}/log.v1.Log/Describe`, {}, AbortSignal.timeout(20_000));
  const next = Number(describe?.["nextOffset"] ?? 0);
  if (next === 0) return [];
  const response = await fetch(`${url}/tail?from=start&format=text&limit=${next}`, {
    headers: { accept: "application/x-ndjson" },
  });
  const values: string[] = [];
  for (const line of (await response.text()).split("\n")) {
    if (line === "") continue;
    const { offset, text } = JSON.parse(line) as { offset: number; text: string };
    assert.equal(offset, values.length, "offsets are not dense");
    values.push(text);
  }
  assert.equal(values.length, next);
  return values;
}
