/**
 * Every metric of a node. The functions that register metrics run here with a registry of their own and nothing to observe,
 * and the text that a node writes for Prometheus says what each metric is called. A test compares the table with nodes.
 */
import { measureBackups } from "../../../src/agent/backup/backup-metrics.ts";
import { measureGossip } from "../../../src/agent/gossip/gossip-metrics.ts";
import { addHealthChecks } from "../../../src/agent/health-checks.ts";
import { Traffic } from "../../../src/api/calls/traffic.ts";
import { observeCluster } from "../../../src/api/cluster-metrics.ts";
import { LoginLog } from "../../../src/api/http/login/login-log.ts";
import type { Metrics } from "../../../src/lib/telemetry.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { LogMeter } from "../../../src/log/log-meter.ts";
import { observeMemory } from "../../../src/memory/memory-metrics.ts";
import { PeerMeter } from "../../../src/peer/peer-meter.ts";
import { observeLogs } from "../../../src/replication/logs/metrics/observe-logs.ts";
import { observeSync } from "../../../src/replication/storage/observe-sync.ts";
import { observeDescriptors } from "../../../src/server/connections/observe-descriptors.ts";
import { CertificateValidity } from "../../../src/server/tls/certificate-validity.ts";
import { RefusalLog } from "../../../src/server/tls/refusal-log.ts";
import { CallMeter } from "../../../src/telemetry/call-meter.ts";
import { Calls } from "../../../src/telemetry/calls.ts";
import { Instruments } from "../../../src/telemetry/instruments.ts";
import { InstrumentProducer, prometheusText } from "../../../src/telemetry/otel-metrics.ts";
import { registerProcessMetrics } from "../../../src/telemetry/process/process-metrics.ts";
import { code, plain, table } from "./table.ts";

/** Stands for the parts of a node: every property and every result is itself. */
const inert: never = new Proxy(() => undefined, {
  get: () => inert,
  apply: () => inert,
}) as never;

/** A registry in which every gauge is 0. */
function zeros(instruments: Instruments): Metrics {
  return {
    counter: (name, options) => instruments.counter(name, options),
    histogram: (name, options) => instruments.histogram(name, options),
    gauge: (name, options) => instruments.gauge(name, options, () => 0),
    total: (name, options) => instruments.total(name, options, () => 0),
  };
}

function registerAll(metrics: Metrics): void {
  registerProcessMetrics(metrics);
  observeDescriptors(metrics, 1);
  new Calls({ metrics, clock: systemClock, idPrefix: "", log: inert });
  for (const [method, protocol] of [
    ["log.v1.Log/Produce", "grpc"],
    ["POST /", "http"],
  ] as const)
    new CallMeter(metrics, method, protocol, 1).end("ok", 0, 0, 0);
  new Traffic(metrics);
  new LoginLog({ metrics, log: inert, clock: systemClock });
  observeCluster(metrics, inert);
  observeMemory(metrics, inert);
  new LogMeter({ metrics, clock: systemClock, tracer: inert }, inert, () => 0);
  observeLogs(metrics, inert, inert, inert);
  observeSync(metrics, inert);
  addHealthChecks({
    ...{ metrics, ops: inert, tls: undefined, allowExpired: false, cluster: inert },
    ...{ readiness: inert, sync: "always", clock: inert },
  });
  measureBackups(metrics, inert);
  new PeerMeter(metrics, inert);
  measureGossip(inert, metrics);
  new RefusalLog({ metrics, clock: systemClock, log: inert });
  new CertificateValidity({ metrics, clock: systemClock, log: inert, inUse: () => [] });
}

export interface ExportedMetric {
  /** As Prometheus has it. */
  readonly name: string;
  readonly kind: string;
  readonly unit: string;
  readonly description: string;
}

/** Resolves to all metrics of a node, in the order of their names. */
export async function exportedMetrics(): Promise<ExportedMetric[]> {
  const instruments = new Instruments();
  registerAll(zeros(instruments));
  const text = await prometheusText(new InstrumentProducer(instruments, systemClock), {}, systemClock)();
  const units = new Map(instruments.collect().map(({ description, unit }) => [description, unit]));
  const found = [...text.matchAll(/^# HELP (\S+) (.*)\n(?:# UNIT .*\n)?# TYPE \S+ (\S+)$/gm)]
    .map(([, name = "", description = "", kind = ""]) => ({
      name,
      kind,
      unit: units.get(description) ?? "",
      description,
    }))
    .filter(({ name }) => name !== "target_info");
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
}

export async function metrics(): Promise<string> {
  const rows = (await exportedMetrics()).map(({ name, kind, unit, description }) => [
    code(name),
    kind,
    unit.replaceAll(/[{}]/g, ""),
    plain(description),
  ]);
  return table(["metric", "kind", "unit", "meaning"], rows);
}
