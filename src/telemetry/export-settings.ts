/**
 * The settings of the OTEL_* variables. Unlike in the SDK's default, no variable means no exporter, so that nothing is
 * loaded.
 */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface ExportSettings {
  readonly traces: boolean;
  /** Where metrics are pushed. Prometheus scrapes the ops port in any case. */
  readonly metrics: readonly ("otlp" | "console")[];
  readonly metricsProtocol: "grpc" | "http/json" | "http/protobuf";
  readonly metricsEveryMs: number;
}

/** Returns the settings of an environment. */
export function exportSettings(env: Environment): ExportSettings {
  const on = env["OTEL_SDK_DISABLED"]?.toLowerCase() !== "true";
  const exporters = on ? exportersOf(env, "METRICS") : [];
  const protocol =
    env["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"] ?? env["OTEL_EXPORTER_OTLP_PROTOCOL"] ?? "http/protobuf";
  const every = Number(env["OTEL_METRIC_EXPORT_INTERVAL"]);
  return {
    traces: on && (exportersOf(env, "TRACES").length > 0 || filled(env["OTEL_CONFIG_FILE"])),
    metrics: exporters.filter((name) => name === "otlp" || name === "console"),
    metricsProtocol: protocol === "grpc" || protocol === "http/json" ? protocol : "http/protobuf",
    metricsEveryMs: every > 0 ? every : 60_000,
  };
}

const filled = (value: string | undefined): boolean => value !== undefined && value.trim() !== "";

function exportersOf(env: Environment, signal: "TRACES" | "METRICS"): string[] {
  const named = env[`OTEL_${signal}_EXPORTER`];
  if (filled(named)) {
    const names = (named ?? "").split(",").map((name) => name.trim());
    return names.includes("none") ? [] : names;
  }
  const endpoint = env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`];
  return filled(endpoint) ? ["otlp"] : [];
}
