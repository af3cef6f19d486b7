/** The board and the alert rules of deploy/ name only metrics, labels and values that running nodes export. */
import assert from "node:assert/strict";
import { get } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Code } from "@connectrpc/connect";
import { exportedMetrics } from "../../web/handbook/reference/metrics.ts";
import { curl } from "../support/http/curl.ts";
import { run } from "../support/log/logs.ts";
import { TestCluster } from "../support/process/cluster.ts";
import { scratch } from "../support/scratch.ts";
import { alertRules, board, ruleTests, withValues } from "../support/telemetry/deploy-files.ts";
import { type Exported, exportedBy, queryOf } from "../support/telemetry/promql.ts";
import { until } from "../support/until.ts";

/** Labels that Prometheus adds. */
const added = ["job", "instance"];
/** Functions and operators of PromQL in the expressions. */
const functions = [
  ...["sum", "max", "min", "count", "abs", "rate", "increase", "changes", "resets", "histogram_quantile"],
  ...["predict_linear", "vector", "group", "last_over_time", "unless"],
];
/** Metrics of nodes that the board need not show. */
const notShown = ["target_info"];

/** What two nodes export after appends, reads, failed calls and a tail. */
async function exportedByNodes(t: Parameters<typeof scratch>[0]): Promise<Exported> {
  const backups = join(scratch(t), "backups");
  const cluster = await TestCluster.open(t, scratch(t), {
    ...{ nodes: 2, tls: true },
    flags: ["--backup-to", pathToFileURL(backups).href, "--segment-store-bytes-max", "8KiB"],
  });
  using client = cluster.connect();
  await client.logs.create("orders");
  await client.logs.create("kept");
  await client.log("kept").append(run("a"));
  for (let one = 0; one < 4; one++) await client.log("orders").append(run("a".repeat(5_000)));
  await client.log("orders").trim(2);
  await client.log("orders").cursor("billing").commit(3);
  for (const node of cluster.nodes) {
    using one = cluster.connect(node);
    await assert.rejects(one.rpc.log.consume({ offset: 999n }, { timeoutMs: 10_000 }));
    const late = one.rpc.log.consumeStream({ offset: 0n }, { timeoutMs: 300 });
    await assert.rejects(async () => {
      for await (const _ of late);
    });
  }
  // One request over plain HTTP fails.
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  get(`${cluster.nodes[0]?.url}/?offset=999`, { ...cluster.client }, (response) => {
    response.resume().on("end", () => resolve(response.statusCode));
  }).on("error", reject);
  assert.equal(await promise, 404);
  return exportedBy(await metricsOf(cluster.nodes));
}

/** Metrics that nodes have a while after their start: from the first scrape on, and once removed records were counted. */
const late = ["nodejs_eventloop_delay_max", "tailrace_log_removed_of", "tailrace_log_removed_kept"];

const metricsOf = (nodes: readonly { readonly ops: string }[]): Promise<string[]> =>
  until(
    "all metrics are exported",
    async () => {
      const texts = await Promise.all(
        nodes.map(async ({ ops }) => (await curl(`http://${ops}/metrics`)).text),
      );
      const isExported = (name: string): boolean => texts.some((text) => text.includes(`\n${name}`));
      return late.every(isExported) ? texts : undefined;
    },
    { limitMs: 120_000, everyMs: 100 },
  );

/** What is wrong with the metrics and labels of an expression. */
function flaws(expression: string, exported: Exported, labels: readonly string[] = []): string[] {
  const { selectors, grouped, words } = queryOf(expression);
  const known = new Set(added);
  const wrong = words.filter((word) => !functions.includes(word)).map((word) => `${word} is not known`);
  for (const { metric, matchers } of selectors) {
    const values = metric === "up" ? new Map<string, Set<string>>() : exported.get(metric);
    if (values === undefined) wrong.push(`${metric} is not exported`);
    for (const label of values?.keys() ?? []) known.add(label);
    for (const { label, operator, value } of matchers.filter((one) => !added.includes(one.label))) {
      const seen = values?.get(label);
      if (label === "error_type") wrong.push(...unknownCodes(operator, value));
      if (seen === undefined) wrong.push(`${metric} has no label ${label}`);
      else if (operator === "=" && value !== "" && !seen.has(value))
        wrong.push(`${metric}: no ${label} is ${value}`);
      else if (label === "reason" && operator.endsWith("~"))
        wrong.push(
          ...value
            .split("|")
            .filter((one) => !seen.has(one))
            .map((one) => `${metric}: no ${label} is ${one}`),
        );
    }
  }
  wrong.push(
    ...[...grouped, ...labels].filter((label) => !known.has(label)).map((label) => `no label ${label}`),
  );
  return wrong.map((flaw) => `${expression}: ${flaw}`);
}

/** An error of a call is a code of Connect in snake case. */
function unknownCodes(operator: string, value: string): string[] {
  const codes = Object.keys(Code).map((code) => code.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase());
  if (!operator.endsWith("~")) return [];
  return value
    .split("|")
    .filter((code) => !codes.includes(code))
    .map((code) => `${code} is not a code`);
}

test("the board and the alerts name what running nodes export, and the board and the handbook show all of it", async (t) => {
  const exported = await exportedByNodes(t);
  const targets = board().panels.flatMap((panel) => panel.targets ?? []);
  const legends = (format: string): string[] =>
    [...format.matchAll(/{{(\w+)}}/g)].map(([, label = ""]) => label);
  assert.deepEqual(
    targets.flatMap(({ expr, legendFormat }) => flaws(withValues(expr), exported, legends(legendFormat))),
    [],
  );
  assert.deepEqual(
    alertRules().flatMap(({ expr }) => flaws(expr, exported)),
    [],
  );
  const series = ruleTests().flatMap(({ input_series }) => input_series.map((input) => input.series));
  assert.deepEqual(
    series
      .filter((one) => !one.includes('job="other"'))
      .flatMap((one) =>
        flaws(
          one
            .replace(/error_type="\w+"/, 'error_type!=""')
            .replace(/,?(?:tailrace_node|peer|le|rpc_method|http_route)="[^"]+"/g, ""),
          exported,
        ),
      ),
    [],
  );
  const shown = new Set(
    targets.flatMap(({ expr }) => queryOf(expr).selectors.map(({ metric }) => familyOf(metric))),
  );
  const families = new Set([...exported.keys()].map(familyOf));
  assert.deepEqual(
    [...families].filter((name) => !shown.has(name) && !notShown.includes(name)),
    [],
  );
  const described = (await exportedMetrics()).map(({ name }) => familyOf(name)).sort();
  assert.deepEqual(
    [...families].filter((name) => !notShown.includes(name)).sort(),
    described,
    "the handbook",
  );
});

const familyOf = (metric: string): string => metric.replace(/_(?:bucket|sum|count)$/, "");
