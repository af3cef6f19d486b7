/**
 * The settings of the OTEL_* variables, and the packages that exporting needs. Unlike in the SDK's default, no variable means
 * no exporter, so that nothing is loaded. The packages are optional peer dependencies, which can be missing.
 */
import { Fault } from "../fault.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ExportSettings {
  readonly traces: boolean;
  /** Where metrics are pushed. Prometheus scrapes the ops port in any case. */
  readonly metrics: readonly ("otlp" | "console")[];
  readonly metricsProtocol: "grpc" | "http/json" | "http/protobuf";
  readonly metricsEveryMs: number;
  /** The variables that ask for an exporter, for messages. */
  readonly wantedBy: string;
}

const wanting =
  /^OTEL_(TRACES_EXPORTER|METRICS_EXPORTER|CONFIG_FILE|EXPORTER_OTLP_(TRACES_|METRICS_)?ENDPOINT)$/;

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
    wantedBy: Object.keys(env)
      .filter((name) => wanting.test(name) && filled(env[name]))
      .join(", "),
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

/**
 * The versions of these packages that package.json names. Earlier ones lack startNodeSdk(), later ones are not tested. A minor
 * version of 0.x may change the API, so the range has one.
 */
const versions = "~0.301.0";
const another = /'(@opentelemetry\/(?:sdk-node|exporter-metrics-otlp-\w+))' does not provide an export named/;
const missing = /^Cannot find package '(@opentelemetry\/(?:sdk-node|exporter-metrics-otlp-\w+))'/;

/**
 * Loads a module that needs one of them.
 * @param wantedBy the flag or variable that asks for it
 * @throws Fault "config" that names the package and the command that installs it, if it is not installed, or in a version
 *   that lacks what is needed
 */
export async function optionalPackage<T>(load: () => Promise<T>, wantedBy: string): Promise<T> {
  try {
    return await load();
  } catch (reason) {
    const { code, message } = reason as NodeJS.ErrnoException;
    const absent = code === "ERR_MODULE_NOT_FOUND" ? missing.exec(message)?.[1] : undefined;
    const old = reason instanceof SyntaxError ? another.exec(message)?.[1] : undefined;
    const name = absent ?? old;
    if (name === undefined) throw reason;
    const what = old === undefined ? "a package that is not installed" : "another version of a package";
    throw new Fault("config", {
      message: `${wantedBy} needs ${what}: npm install ${name}@${versions}`,
      cause: reason,
    });
  }
}
