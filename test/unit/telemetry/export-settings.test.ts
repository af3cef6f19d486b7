/**
 * The settings of OTEL_*.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { type Environment, exportSettings, optionalPackage } from "../../../src/telemetry/export-settings.ts";

const brief = (env: Environment): string => {
  const { traces, metrics } = exportSettings(env);
  return [...(traces ? ["traces"] : []), ...metrics].join(" ");
};

test("without variables nothing is exported", () => {
  assert.equal(brief({}), "");
  assert.equal(brief({ OTEL_SERVICE_NAME: "x", OTEL_EXPORTER_OTLP_ENDPOINT: " " }), "");
});

test("an endpoint enables both signals, or the one that it names", () => {
  assert.equal(brief({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c" }), "traces otlp");
  assert.equal(brief({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://c" }), "traces");
  assert.equal(brief({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://c" }), "otlp");
});

test("named exporters take precedence, none and OTEL_SDK_DISABLED disable, and prometheus needs no reader", () => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = "http://c";
  assert.equal(
    brief({ OTEL_TRACES_EXPORTER: "console", OTEL_METRICS_EXPORTER: "console, otlp" }),
    "traces console otlp",
  );
  assert.equal(brief({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER: "none" }), "otlp");
  assert.equal(brief({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_METRICS_EXPORTER: "prometheus" }), "traces");
  assert.equal(brief({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: "true" }), "");
});

test("protocol and interval are read, with defaults", () => {
  const asked = (env: Environment) => exportSettings({ OTEL_METRICS_EXPORTER: "otlp", ...env });
  assert.equal(asked({}).metricsProtocol, "http/protobuf");
  assert.equal(asked({ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }).metricsProtocol, "grpc");
  assert.equal(
    asked({ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "http/json" })
      .metricsProtocol,
    "http/json",
  );
  assert.equal(asked({}).metricsEveryMs, 60_000);
  assert.equal(asked({ OTEL_METRIC_EXPORT_INTERVAL: "250" }).metricsEveryMs, 250);
});

const manifest = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
  peerDependencies: Record<string, string>;
};

const notFound = (name: string) => async () => {
  throw Object.assign(new Error(`Cannot find package '${name}' imported from /x/sdk.js`), {
    code: "ERR_MODULE_NOT_FOUND",
  });
};

test("a package that is not installed is named, with what wants it and the command that installs it", async () => {
  for (const [name, version] of Object.entries(manifest.peerDependencies)) {
    await assert.rejects(optionalPackage(notFound(name), "--debug-telemetry"), (reason) => {
      assert.ok(reason instanceof Fault);
      assert.equal(reason.kind, "config");
      const command = `npm install ${name}@${version}`;
      assert.equal(reason.message, `--debug-telemetry needs a package that is not installed: ${command}`);
      return true;
    });
  }
});

test("a version that lacks what is needed is named, with the command that installs another one", async () => {
  const name = "@opentelemetry/sdk-node";
  const load = () =>
    Promise.reject(
      new SyntaxError(`The requested module '${name}' does not provide an export named 'startNodeSdk'`),
    );
  await assert.rejects(optionalPackage(load, "--debug-telemetry"), {
    message: `--debug-telemetry needs another version of a package: npm install ${name}@${manifest.peerDependencies[name]}`,
  });
});

test("any other failure stays as it is", async () => {
  for (const load of [notFound("@opentelemetry/core"), () => Promise.reject(new Error("broken"))]) {
    await assert.rejects(optionalPackage(load, "x"), (reason) => !(reason instanceof Fault));
  }
  assert.equal(await optionalPackage(async () => 1, "x"), 1);
});
