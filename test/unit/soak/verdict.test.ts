/** For each bound there is a run that breaks it, and nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ageBounds, lifeBounds, runBounds } from "../../soak/bounds.ts";
import { csvHeader, csvLine, parseCsv, type Sample } from "../../soak/samples.ts";
import { checkSeries } from "../../soak/verdict.ts";
import { run } from "./made-run.ts";

const broken = (samples: readonly Sample[]): string[] =>
  checkSeries(samples, 20).flatMap(({ name, ok }) => (ok === false ? [name] : []));

/** Two in three nodes are restarted, so that there are both kinds of lives. */
function mixed(made: Parameters<typeof run>[0]): Sample[] {
  const [long, short] = [run(made), run({ ...made, restartSeconds: 20 })];
  return short.map((sample, n) => ({
    ...sample,
    nodes: [long[n]?.nodes[0], ...sample.nodes.slice(1)],
  }));
}

test("a steady run breaks no bound", () => {
  assert.deepEqual(broken(mixed({})), []);
  assert.equal(
    checkSeries(mixed({}), 20).length,
    ageBounds.length + lifeBounds.length + runBounds.length + 3,
  );
});

/** The run → the bounds that it breaks. */
const wrong: Readonly<Record<string, readonly [Parameters<typeof run>[0], readonly string[]]>> = {
  "memory that grows with the run": [
    { rss: ({ t }) => 100 + t / 4 },
    ["RSS at the same age", "RSS in a long life"],
  ],
  "memory that grows with the age": [{ rss: ({ age }) => 100 + age / 4 }, ["RSS in a long life"]],
  "a heap that grows": [{ node: ({ age }) => ({ heapMiB: 40 + age / 4 }) }, ["heap in a long life"]],
  "descriptors that are not closed": [
    { node: ({ age }) => ({ descriptors: 50 + age / 5 }) },
    ["descriptors in a long life"],
  ],
  "descriptors that grow with what is stored": [
    { node: ({ t }) => ({ descriptors: 50 + t / 5 }) },
    ["descriptors at the same age", "descriptors in a long life"],
  ],
  "a directory that grows": [
    { node: ({ t }) => ({ diskMiB: 60 + t / 8 }) },
    ["data directory at the same age"],
  ],
  "memory of requests that is not given back": [
    { node: ({ age }) => ({ bufferedKiB: 100 + age * 20 }) },
    ["memory of requests in a long life"],
  ],
  "appends that become fewer": [{ sample: (t) => ({ appendsPerSecond: 1_000 - t }) }, ["appends per second"]],
  "appends that become slower": [
    { sample: (t) => ({ appendP50Ms: 5 + t ** 2 / 500 }) },
    ["append latency p50"],
  ],
  "tails that fall behind": [{ sample: (t) => ({ lagP50Ms: 5 + t ** 2 / 500 }) }, ["tail lag p50"]],
  "clients that keep memory": [{ sample: (t) => ({ clientRssMiB: 200 + t / 2 }) }, ["RSS of the clients"]],
  "an event loop that is late": [
    { node: () => ({ loopMs: 150 }) },
    ["event-loop delay, median of the longest"],
  ],
  "an event loop that stood still": [
    { node: ({ t }) => ({ loopMs: t === 300 ? 5_000 : 10 }) },
    ["event-loop delay, longest"],
  ],
  "an event loop that stood still, in a process whose first sample has no delay": [
    { node: ({ t, age }) => ({ loopMs: age < 20 ? Number.NaN : t === 300 ? 5_000 : 10 }) },
    ["event-loop delay, longest"],
  ],
  "a tail that stood still": [
    { sample: (t) => ({ lagP99Ms: t === 300 ? 60_000 : 20 }) },
    ["tail lag p99, highest"],
  ],
};

for (const [name, [made, bounds]] of Object.entries(wrong)) {
  test(`it finds ${name}`, () => {
    assert.deepEqual(broken(mixed(made)), bounds);
  });
}

test("every bound is broken by one of these runs", () => {
  const names = new Set(Object.values(wrong).flatMap(([, bounds]) => bounds));
  assert.deepEqual(
    checkSeries(mixed({}), 20).flatMap(({ name }) => (names.has(name) ? [] : [name])),
    [],
  );
});

test("on a busy machine times are not checked, unless something stood still, and all else is", () => {
  const busy = { sample: (t: number) => ({ load: 4, appendP50Ms: 5 + t, appendsPerSecond: 1_000 - t }) };
  const slow = mixed({ ...busy, node: ({ age }) => ({ loopMs: 400, heapMiB: 40 + age / 4 }) });
  assert.deepEqual(broken(slow), ["heap in a long life"]);
  const unchecked = checkSeries(slow, 20).filter(({ ok }) => ok === undefined);
  assert.equal(unchecked.length, 4);
  assert.match(unchecked[0]!.bound, /busy for 100 %/);
  assert.deepEqual(broken(mixed({ ...busy, node: ({ t }) => ({ loopMs: t === 300 ? 5_000 : 10 }) })), [
    "event-loop delay, longest",
  ]);
});

test("on a machine that was busy for a while, times are those of the rest", () => {
  const samples = mixed({ sample: (t) => (t > 400 ? { load: 4, appendP50Ms: 100, lagP50Ms: 100 } : {}) });
  assert.deepEqual(broken(samples), []);
  assert.ok(checkSeries(samples, 20).every(({ ok }) => ok === true));
});

test("samples are the same after they were written to a file", () => {
  const samples = mixed({}).map((sample, n) =>
    n === 5 ? { ...sample, nodes: [undefined, ...sample.nodes.slice(1)] } : sample,
  );
  assert.deepEqual(parseCsv([csvHeader(3), ...samples.map(csvLine)].join("\n")), samples);
});
