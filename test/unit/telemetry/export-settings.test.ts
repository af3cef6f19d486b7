/**
 * The settings of OTEL_*.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Environment, exportSettings } from "../../../src/telemetry/export-settings.ts";

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
