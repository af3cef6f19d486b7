/**
 * `tailrace bench [WORKLOAD…]`: measures a log under load. The appended records stay in the log.
 *
 * The load is a closed loop: each worker makes its next call when the previous one has returned, so the latency is that
 * under exactly this load. Over gRPC, requests are encoded once and sent on connections of the command's own, so that the node
 * is the limit (bench/raw-connection.ts). The CPU use of this process is printed with each result, because a client at its
 * limit measures itself.
 */
import { Argument, type Command, Option } from "commander";
import { systemClock } from "../../../lib/time/clock.ts";
import { type Measured, measure } from "../../bench/measure.ts";
import type { RawTarget } from "../../bench/raw-connection.ts";
import { type LoadSettings, type WorkloadName, workloads } from "../../bench/workloads.ts";
import {
  type ConnectFlags,
  connectOptions,
  openTarget,
  readToken,
  type Target,
  targetOf,
  tlsOf,
} from "../../connect.ts";
import { argumentFault, exitStatus } from "../../exit-status.ts";
import { type LogFlag, logOf, logOption } from "../../log-names.ts";
import { print } from "../../output/standard-output.ts";
import { bytesText, table } from "../../output/table.ts";
import { printable } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

interface Flags extends ConnectFlags, LogFlag {
  readonly duration: string;
  readonly warmUp: string;
  readonly size: string;
  readonly batch: string;
  readonly inFlight: string;
}

const names = Object.keys(workloads) as readonly WorkloadName[];

export function register(program: Command): void {
  const command = program
    .command("bench")
    .description("append and read at full speed and print the rates; the records stay in the log")
    .addArgument(
      new Argument("[workloads...]", "the workloads, run one after the other")
        .choices(names)
        .default(["unary", "batch", "consume"]),
    );
  connectOptions(logOption(command))
    .option("--duration <seconds>", "measured time of each workload", "5")
    .option("--warm-up <seconds>", "warm-up of each workload", "1")
    .option("--size <bytes>", "size of the value of each record", "100")
    .option("--batch <n>", "records in one call of the workload batch", "640")
    .option("--in-flight <n>", "calls, or records of a stream, in flight", "64")
    .addOption(
      new Option("--protocol <name>", "the protocol")
        .choices(["grpc", "grpc-web", "connect"])
        .default("grpc"),
    )
    .action((asked: readonly WorkloadName[], flags: Flags) => runCommand("bench", () => bench(asked, flags)));
}

/** Calls in flight of the workload `batch`. More would only wait. */
const batchesInFlightMax = 8;

async function bench(asked: readonly WorkloadName[], flags: Flags): Promise<number> {
  const measureMs = number("--duration", flags.duration, 0.1, 3_600) * 1000;
  const warmUpMs = number("--warm-up", flags.warmUp, 0, 60) * 1000;
  const settings: LoadSettings = {
    recordBytes: number("--size", flags.size, 0, 1024 * 1024),
    batch: number("--batch", flags.batch, 1, 10_000),
    inFlight: number("--in-flight", flags.inFlight, 1, 4_096),
  };
  const log = logOf(flags);
  const place = await targetOf(flags);
  const { addr } = place;
  using client = await openTarget(place, flags.protocol);
  const raw = (flags.protocol ?? "grpc") === "grpc" ? rawTargetOf(place) : undefined;
  const target = { rpc: client.rpc, log: client.log(log), raw };
  const { sync, version, nodeId } = await client.rpc.log.describe(await target.log.pinned());
  const about = { addr, log, node: nodeId, version, protocol: flags.protocol ?? "grpc", sync };
  if (!flags.json) {
    console.error(
      `log "${printable(log)}" on node ${nodeId} ${version} at ${addr}, acknowledged after sync ${sync}; ` +
        `values of ${settings.recordBytes} B; the appended records stay in the log`,
    );
  }
  const rows: (string | number)[][] = [];
  for (const name of asked) {
    const inFlight = name === "batch" ? Math.min(settings.inFlight, batchesInFlightMax) : settings.inFlight;
    const load = { ...settings, inFlight };
    const measured = await measure(target, workloads[name], load, { warmUpMs, measureMs }, systemClock);
    if (flags.json)
      await print(`${JSON.stringify({ workload: name, ...about, ...resultJson(name, measured, load) })}\n`);
    else rows.push(row(name, measured, load));
  }
  if (!flags.json) {
    const head = [
      "workload",
      "in flight",
      "records/s",
      "per second",
      "calls/s",
      "p50 ms",
      "p99 ms",
      "max ms",
      "client CPU",
      "faults",
    ];
    await print(table(head, rows));
  }
  return exitStatus.done;
}

function rawTargetOf(target: Target): RawTarget {
  const { hostname, port } = new URL(`tcp://${target.addr}`);
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port),
    tls: tlsOf(target),
    token: readToken(target),
  };
}

function resultJson(name: WorkloadName, measured: Measured, load: LoadSettings): Record<string, unknown> {
  const { seconds, calls, records, bytes, latency, faults, cpuShare } = measured;
  const isRead = name === "consume";
  return {
    ...(isRead ? {} : { size: load.recordBytes, in_flight: load.inFlight }),
    ...(name === "batch" ? { batch: load.batch } : {}),
    seconds,
    records,
    bytes,
    calls,
    records_per_second: Math.floor(records / seconds),
    bytes_per_second: Math.floor(bytes / seconds),
    latency_ms: {
      p50: latency.percentile(0.5),
      p99: latency.percentile(0.99),
      p999: latency.percentile(0.999),
      max: latency.max,
    },
    faults,
    client_cpu_share: cpuShare,
  };
}

function row(name: WorkloadName, measured: Measured, load: LoadSettings): (string | number)[] {
  const { seconds, calls, records, bytes, latency, faults, cpuShare } = measured;
  const kinds = Object.entries(faults).map(([kind, count]) => `${count} ${kind}`);
  return [
    name === "batch" ? `batch of ${load.batch}` : name,
    name === "consume" ? "-" : load.inFlight,
    Math.floor(records / seconds),
    bytesText(Math.floor(bytes / seconds)),
    Math.floor(calls / seconds),
    latency.percentile(0.5).toFixed(2),
    latency.percentile(0.99).toFixed(2),
    latency.max.toFixed(2),
    `${Math.round(cpuShare * 100)} %${cpuShare > 0.9 ? " (at its limit)" : ""}`,
    kinds.length === 0 ? "-" : kinds.join(", "),
  ];
}

function number(flag: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= low && value <= high) return value;
  throw argumentFault(`${flag} must be a number from ${low} to ${high}`, text);
}
