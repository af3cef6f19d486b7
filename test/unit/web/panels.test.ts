import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import {
  type ClusterShape,
  changes,
  membershipSentence,
  storyMax,
  toleranceOf,
  withEvents,
} from "../../../web/src/core/cluster-events.ts";
import {
  ago,
  compact,
  fullTime,
  grouped,
  milliseconds,
  minuteOf,
  roughlyAgo,
  size,
  span,
  timeOfDay,
} from "../../../web/src/core/format.ts";
import { batching, check, type Draft } from "../../../web/src/core/produce-plan.ts";
import {
  nearest,
  niceMax,
  rates,
  runs,
  type Sample,
  seriesMs,
  withSample,
} from "../../../web/src/core/series.ts";
import { curlConsume, curlProduce, grpcurlConsume, shellWord } from "../../../web/src/core/snippets.ts";

const sample = (atMs: number, recordsIn = 0): Sample => ({
  atMs,
  recordsIn,
  recordsOut: 0,
  bytesIn: 0,
  bytesOut: 0,
  p50Ms: 0,
  p99Ms: 0,
});
const draft: Draft = { kind: "text", value: "x", key: "", headers: "", count: 1, rate: 0 };

test("five minutes of samples are kept, in order, and no more", () => {
  let samples: readonly Sample[] = [];
  for (let second = 0; second < 1000; second++) samples = withSample(samples, sample(second * 1000));
  assert.equal(samples[0]?.atMs, 999_000 - seriesMs);
  assert.equal(samples.length, 301);
});

test("counts become rates by the interval they were counted in", () => {
  const counted = { recordsIn: 50, recordsOut: 0, bytesIn: 1000, bytesOut: 0, p50Ms: 1, p99Ms: 2 };
  assert.deepEqual([rates(counted, 500, 0).recordsIn, rates(counted, 2000, 0).bytesIn], [100, 500]);
});

test("the axis ends at a round number that nothing passes", () => {
  assert.deepEqual(
    [0, 9, 11, 21, 51, 130].map((value) => niceMax(value, 10)),
    [10, 10, 20, 50, 100, 200],
  );
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (value) =>
      assert.ok(niceMax(value, 1) >= value),
    ),
    { seed: 4 },
  );
});

test("a gap in the samples is a gap in the line", () => {
  const box = { width: 300, height: 40, top: 10, nowMs: 300_000, spanMs: 300_000, gapMs: 3500 };
  const drawn = runs(
    [sample(100_000, 5), sample(101_000, 10), sample(200_000, 99)],
    ({ recordsIn }) => recordsIn,
    box,
  );
  assert.deepEqual(drawn, [
    [
      { x: 100, y: 20 },
      { x: 101, y: 0 },
    ],
    [{ x: 200, y: 0 }],
  ]);
  const missing = [sample(1000, 5), { ...sample(2000), p50Ms: undefined }, sample(9000)];
  assert.equal(runs(missing, ({ p50Ms }) => p50Ms, { ...box, nowMs: 10_000 }).flat().length, 2);
  assert.equal(nearest([sample(1), sample(5)], 4)?.atMs, 5);
});

test("numbers, sizes, spans and times read as people write them", () => {
  assert.deepEqual([0, 999, 1204, 1_234_567].map(grouped), ["0", "999", "1,204", "1,234,567"]);
  assert.deepEqual([0, 1023, 1024, 1536, 10 << 20, 5e12].map(size), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "10.0 MiB",
    "4.5 TiB",
  ]);
  assert.deepEqual([0, 0.42, 7.25, 812, 12_345, 2_500_000].map(compact), [
    "0",
    "0.42",
    "7.3",
    "812",
    "12.3k",
    "2.5M",
  ]);
  assert.deepEqual([0.8, 12, 1500].map(milliseconds), ["0.8 ms", "12 ms", "1.5 s"]);
  assert.deepEqual([900, 42_000, 95_000, 7_260_000, 90_000_000].map(span), [
    "0.9 s",
    "42 s",
    "1 min 35 s",
    "2 h 1 min",
    "1 d 1 h",
  ]);
  const at = Date.UTC(2026, 10, 21, 23, 30, 5, 7);
  assert.equal(timeOfDay(at, 60), "00:30:05.007");
  assert.equal(fullTime(at, 0), "2026-11-21 23:30:05.007 UTC");
  assert.equal(fullTime(at, -210), "2026-11-21 20:00:05.007 −03:30");
  assert.equal(minuteOf(at, at - 3_600_000, 0), "23:30");
  assert.equal(minuteOf(at, at + 3_600_000, 0), "2026-11-21 23:30", "another day states its date");
  assert.equal(minuteOf(at, at + 3_600_000, 60), "00:30", "the zone decides which day it is");
  assert.equal(minuteOf(Number.NaN, at, 0), "—");
  assert.equal(ago(at, at + 61_500), "1 min 1 s ago");
  assert.equal(ago(at + 50, at), "now");
  assert.deepEqual(
    [-50, 9000, 61_500, 7_260_000].map((past) => roughlyAgo(at, at + past)),
    ["now", "9 s ago", "1 min ago", "2 h ago"],
  );
  assert.equal(timeOfDay(Number.MAX_SAFE_INTEGER, 0), "—", "a time beyond the calendar is no crash");
});

test("a word for the shell comes back from a real shell as it was", () => {
  const word = fc
    .string({ unit: "binary", maxLength: 30 })
    .map((text) => text.replaceAll("\0", ""))
    .filter((text) => text.isWellFormed());
  // A process costs more than a word: each run of the property is one shell that prints many words.
  fc.assert(
    fc.property(fc.array(word, { minLength: 20, maxLength: 20 }), (texts) => {
      const script = `printf '%s\\0' ${texts.map(shellWord).join(" ")}`;
      assert.deepEqual(execFileSync("/bin/sh", ["-c", script]).toString().split("\0").slice(0, -1), texts);
    }),
    { seed: 8, numRuns: 2 },
  );
});

test("commands name this server and this record, with certificates where TLS is used", () => {
  const plain = { protocol: "http:", host: "127.0.0.1:8080" };
  assert.equal(curlConsume(plain, "", 7), "curl -s 'http://127.0.0.1:8080/?offset=7'");
  assert.equal(
    grpcurlConsume(plain, "", 7),
    `grpcurl -plaintext -emit-defaults -d '{"offset":"7"}' 127.0.0.1:8080 log.v1.Log/Consume`,
  );
  assert.equal(
    curlProduce(plain, "", "aGk="),
    `curl -d '{"record":{"value":"aGk="}}' http://127.0.0.1:8080/`,
  );
  assert.match(
    curlConsume({ protocol: "https:", host: "h:1" }, "", 7),
    /--cacert ca\.pem --cert root-client\.pem/,
  );
});

test("commands about a named log state its name, whatever it contains", () => {
  const plain = { protocol: "http:", host: "h:1" };
  const name = "it's/a log";
  const rpc = (method: string, json: string): string =>
    `curl -s -H 'content-type: application/json' -d '${json.replaceAll("'", `'\\''`)}' http://h:1/log.v1.Log/${method}`;
  assert.equal(curlConsume(plain, name, 7), rpc("Consume", `{"log":"it's/a log","offset":"7"}`));
  assert.equal(
    curlProduce(plain, name, "aGk="),
    rpc("Produce", `{"log":"it's/a log","record":{"value":"aGk="}}`),
  );
  assert.match(
    grpcurlConsume(plain, "orders", 7),
    /-d '\{"log":"orders","offset":"7"\}' h:1 log\.v1\.Log\/Consume$/,
  );
});

test("a draft is checked field by field", () => {
  const wrong = (part: Partial<Draft>): string => {
    const found = check({ ...draft, ...part });
    return found.ok ? "" : found.field;
  };
  assert.deepEqual(
    [
      { kind: "json", value: "{" },
      { kind: "base64", value: "!" },
      { headers: "no colon" },
      { count: 0 },
      { count: 1.5 },
      { rate: -1 },
      { rate: Number.NaN },
    ].map((part) => wrong(part as Partial<Draft>)),
    ["value", "value", "headers", "count", "count", "rate", "rate"],
  );
  const good = check({ ...draft, kind: "base64", value: "aGk=", headers: "a: 1\n\nb:c:d" });
  assert.ok(good.ok);
  assert.equal(Buffer.from(good.record.value).toString(), "hi");
  assert.deepEqual(
    good.record.headers.map(({ key, value }) => [key, Buffer.from(value).toString()]),
    [
      ["a", "1"],
      ["b", "c:d"],
    ],
  );
});

test("×N at rate R is cut into few requests that together keep the rate", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 1, max: 1 << 20 }),
      (count, rate, bytes) => {
        const { records, everyMs } = batching({ ...draft, count, rate }, bytes);
        assert.ok(records >= 1 && records <= Math.min(1000, count));
        assert.ok(records === 1 || records * bytes <= 512 << 10);
        assert.ok(Math.abs((records / everyMs) * 1000 - rate) < rate * 0.001);
      },
    ),
    { seed: 6 },
  );
  assert.deepEqual(batching({ ...draft, count: 10_000 }, 100), { records: 1000, everyMs: 0 });
});

test("the story tells elections, lost quorum and silent nodes, newest first and bounded", () => {
  const node = (id: string, healthy: boolean) => ({
    id,
    healthy,
    rpcAddr: "",
    role: "follower",
    commitIndex: 0,
    appliedIndex: 0,
    lag: 0,
    lastContactMs: 0,
    version: "",
    lastOffset: 0,
  });
  const before: ClusterShape = {
    nodeId: "a",
    leaderId: "a",
    term: 1,
    hasQuorum: true,
    nodes: [node("a", true), node("b", true)],
  };
  const texts = (from: ClusterShape | undefined, to: ClusterShape) =>
    changes(from, to).map(({ text }) => text);
  assert.deepEqual(texts(undefined, before), ["a leads, term 1"]);
  assert.deepEqual(texts(before, before), []);
  assert.deepEqual(texts(before, { ...before, leaderId: "b", term: 2 }), ["b was elected, term 2"]);
  const lost = { ...before, leaderId: "", hasQuorum: false, nodes: [node("a", true), node("b", false)] };
  assert.deepEqual(texts(before, lost), ["a no longer leads, term 1", "quorum is lost", "b does not answer"]);
  assert.deepEqual(texts(lost, before), ["a was elected, term 1", "quorum is back", "b answers again"]);
  assert.deepEqual(membershipSentence("failed", "c", "h:1"), { tone: "bad", text: "c (h:1) failed" });
  assert.equal(membershipSentence("elected", "c", ""), undefined);
  const many = Array.from({ length: storyMax + 5 }, (_, id) => ({
    id,
    atMs: id,
    tone: "plain" as const,
    text: "",
  }));
  assert.deepEqual([withEvents([], many).length, withEvents([], many)[0]?.id], [storyMax, storyMax + 4]);
});

test("the cluster says how many failures it tolerates, without the learners", () => {
  const shape = (nodes: readonly (readonly [role: string, healthy: boolean])[]): ClusterShape => ({
    ...{ nodeId: "n0", leaderId: "n0", term: 1, hasQuorum: true },
    nodes: nodes.map(([role, healthy], at) => ({
      ...{ id: `n${at}`, rpcAddr: "", version: "", commitIndex: 0, appliedIndex: 0, lastOffset: 0 },
      ...{ lag: 0, lastContactMs: 0, role, healthy },
    })),
  });
  const up = ["follower", true] as const;
  const down = ["follower", false] as const;
  assert.equal(toleranceOf(shape([up])), "1 node votes: the cluster tolerates no failure.");
  assert.equal(toleranceOf(shape([up, up, up])), "3 nodes vote: the cluster tolerates 1 failure.");
  assert.equal(
    toleranceOf(shape([up, up, up, ["learner", true]])),
    "3 nodes vote: the cluster tolerates 1 failure.",
  );
  assert.equal(
    toleranceOf(shape([up, up, up, up, down])),
    "5 nodes vote, 4 answer: the cluster tolerates 1 failure more.",
  );
  assert.equal(
    toleranceOf(shape([up, up, down])),
    "3 nodes vote, 2 answer: the cluster tolerates no failure more.",
  );
  assert.equal(
    toleranceOf(shape([up, down, down])),
    "3 nodes vote, 1 answer, and a majority is 2: nothing can be appended.",
  );
});
