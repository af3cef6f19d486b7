/** What a node logs and counts about logins. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LoginLog } from "../../../src/api/http/login/login-log.ts";
import { Fault } from "../../../src/fault.ts";
import { type Logger, noLogger, noTelemetry, type Telemetry } from "../../../src/lib/telemetry.ts";
import { curl } from "../../support/http/curl.ts";
import { serve } from "../../support/http/serve.ts";
import { testSessions } from "../../support/tokens/test-sessions.ts";
import { TestTokens } from "../../support/tokens/test-tokens.ts";

/** Telemetry that keeps its lines and counts. */
function recorder() {
  const lines: { level: string; message: string; facts: Record<string, unknown> }[] = [];
  const counts = new Map<string, number>();
  const at =
    (level: string) =>
    (facts: object, message: string): void =>
      void lines.push({ level, message, facts: facts as Record<string, unknown> });
  const log: Logger = { ...noLogger, info: at("info"), warn: at("warn"), error: at("error") };
  const telemetry: Telemetry = {
    ...noTelemetry,
    log,
    metrics: {
      ...noTelemetry.metrics,
      counter(name, { attributes = {} }) {
        const series = `${name} ${Object.values(attributes).join(" ")}`;
        if (!counts.has(series)) counts.set(series, 0);
        return { add: (amount) => void counts.set(series, (counts.get(series) ?? 0) + amount) };
      },
    },
  };
  return { lines, counts, telemetry };
}

test("logins are logged and counted, without a secret", async () => {
  const { lines, counts, telemetry } = recorder();
  const tokens = await TestTokens.make();
  await using served = await serve({
    telemetry,
    tokens: tokens.verifier,
    login: { sessions: testSessions(tokens) },
  });
  const logIn = (body: string) =>
    curl(`${served.url}/login/token`, { method: "POST", headers: { origin: served.url }, body });
  const logins = () => [...counts].filter(([name]) => name.startsWith("tailrace.logins"));
  assert.deepEqual(
    logins().map(([, count]) => count),
    [0, 0, 0, 0, 0, 0],
    "each series begins at 0",
  );
  const good = await tokens.issue("alice", { id: "good" });
  const bad = `${(await tokens.issue("alice")).slice(0, -8)}AAAAAAAA`;
  assert.equal((await logIn(JSON.stringify({ token: good }))).status, 200);
  assert.equal((await logIn(JSON.stringify({ token: bad }))).status, 401);
  assert.equal((await logIn("no JSON")).status, 400);
  assert.equal((await curl(`${served.url}/login/callback?code=secret-code&state=s`)).status, 404);
  const [[, ok] = []] = logins().filter(([name]) => name === "tailrace.logins token ok");
  assert.equal(ok, 1);
  assert.deepEqual(
    logins()
      .filter(([name, count]) => count > 0 && !name.endsWith("ok"))
      .map(([name, count]) => `${name.slice("tailrace.logins ".length)} ${count}`),
    ["provider refused 1", "token refused 2"],
    "a node without a provider does not fail",
  );
  const warned = lines.filter(({ message }) => message === "a login failed");
  assert.equal(warned.length, 3);
  const [first] = warned;
  assert.equal(first?.level, "warn");
  assert.deepEqual(
    [first.facts["method"], first.facts["kind"], first.facts["reason"]],
    ["token", "unauthenticated", "TOKEN_INVALID"],
  );
  assert.match(String(first.facts["peer"]), /^127\.0\.0\.1:\d+$/);
  const succeeded = lines.find(({ message }) => message === "logged in");
  assert.deepEqual([succeeded?.facts["subject"], succeeded?.facts["token"]], ["alice", "good"]);
  const text = JSON.stringify(lines);
  for (const secret of [good, bad, good.split(".")[2]!, "secret-code"])
    assert.ok(!text.includes(secret), secret);
});

test("failed logins are logged at most ten times a second, and all are counted", () => {
  const { lines, counts, telemetry } = recorder();
  let nowMs = 0;
  const log = new LoginLog({ ...telemetry, clock: { monotonicMs: () => nowMs } });
  const fault = new Fault("unavailable", { message: `the provider does not answer${"x".repeat(500)}` });
  for (let n = 0; n < 50; n++) log.failed("provider", fault, "192.0.2.1:1");
  assert.equal(lines.length, 10);
  nowMs = 1_000;
  log.failed("provider", fault, "192.0.2.1:1");
  assert.deepEqual(lines.at(-1)?.facts["unlogged"], 40);
  assert.equal(String(lines.at(-1)?.facts["why"]).length, 200);
  assert.equal(counts.get("tailrace.logins provider failed"), 51);
});
