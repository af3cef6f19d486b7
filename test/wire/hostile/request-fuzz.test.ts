/** Runs the fuzzer of test/long/request-fuzz for a second or two. The long test runs it for minutes against a process. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createFastPath } from "../../../src/api/mod.ts";
import { noLogger, noTelemetry } from "../../../src/lib/telemetry.ts";
import { serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";
import { fuzzRequests, isServed } from "./request-fuzz.ts";

test("requests of every kind, broken and cut anywhere, cause no internal error and leave no open call", {
  timeout: 120_000,
}, async () => {
  const failures: unknown[] = [];
  const log = { ...noLogger, error: (facts: object) => void failures.push(facts) };
  await using served = await serve({ fastPath: createFastPath, telemetry: { ...noTelemetry, log } });
  const report = await fuzzRequests(
    { port: served.port },
    {
      seed: "fixed",
      casesMax: 4000,
      secondsMax: 3,
      // Client and server share one thread here.
      parallel: 6,
      requestsMax: 20,
      check: () => isServed(served.url),
    },
  );
  console.log(JSON.stringify(report));
  assert.ok(report.cases > 100 && report.receivedBytes > 0);
  assert.deepEqual(failures, []);
  await until("all calls and tails have ended", () => {
    return served.service.calls.openCalls === 0 && served.log.openTails === 0;
  });
});
