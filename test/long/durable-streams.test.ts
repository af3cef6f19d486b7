/**
 * The public conformance suite of the Durable Streams protocol against a node, and against a node of a cluster whose leader is killed
 * in between, run by Vitest as its authors do. Everything passes; its tests of subscriptions are not asked for.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { TestCluster } from "../support/process/cluster.ts";
import { root, startNode } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";

interface Report {
  readonly numTotalTests: number;
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

const suiteMs = 280_000;

/** Runs the suite, or the tests whose names fit. */
async function runSuite(t: TestContext, url: string, names?: string): Promise<Report> {
  const folder = scratch(t);
  const [report, config] = [join(folder, "report.json"), join(folder, "vitest.config.mjs")];
  const include = ["test/long/durable-streams-suite.ts"];
  const settings = { root, test: { include, testTimeout: 60_000, reporters: ["json"], outputFile: report } };
  writeFileSync(config, `export default ${JSON.stringify(settings)};\n`);
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const child = spawn(
    process.execPath,
    [vitest, "run", "--config", config, ...(names === undefined ? [] : ["-t", names])],
    {
      cwd: root,
      env: { ...process.env, DURABLE_STREAMS_URL: url },
      stdio: "ignore",
      timeout: suiteMs,
    },
  );
  await once(child, "close");
  return JSON.parse(readFileSync(report, "utf8")) as Report;
}

function checkReport(report: Report): number {
  const results = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = results.filter(({ status }) => status === "failed");
  assert.deepEqual(
    failed.map(({ fullName, failureMessages: [message] }) => `${fullName}: ${message}`),
    [],
  );
  return report.numPassedTests;
}

/** The tests of the suite without those of subscriptions. */
const suiteTests = 332;

test("the public suite of Durable Streams passes", async (t) => {
  const node = await startNode(t, ["--data-dir", scratch(t)]);
  assert.equal(checkReport(await runSuite(t, node.url)), suiteTests);
});

test("the public suite passes at a node that follows, in parts between which the leader is killed", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  let passed = 0;
  for (const part of ["^(?!.*Fork - )", "Fork - (Creation|Reading)", "Fork - (?!Creation|Reading)"]) {
    const leader = await cluster.leader();
    const follower = cluster.nodes.find((node) => node !== leader)!;
    passed += checkReport(await runSuite(t, follower.url, part));
    await cluster.stop(leader, "SIGKILL");
    cluster.start(leader);
  }
  assert.equal(passed, suiteTests);
});
