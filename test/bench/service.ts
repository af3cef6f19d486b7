/** The service of one node: P1 to P4 and P8 to P11, with the server in a process of its own. */

import { consumeAll, rawReadSeconds } from "./load/consume.ts";
import { http1Rate, postRequest } from "./load/http1.ts";
import { paths, produceOneJson } from "./load/messages.ts";
import { bulkRate, rawWriteRate, streamRate, unaryRate } from "./load/produce.ts";
import {
  compile,
  cpuSeconds,
  makeCertificates,
  residentBytes,
  type ServerProcess,
  startScript,
  startServer,
} from "./load/server-process.ts";
import { fedTails, idleTails } from "./load/tails.ts";
import { median, report } from "./report.ts";

const rounds = 3;
/** Not counting the first round, which warms up. */
const telemetryRounds = 11;

/** Runs both in turn, so that the load of the machine affects both. Returns the medians. */
async function alternate(
  ours: () => Promise<number> | number,
  limit: () => Promise<number> | number,
): Promise<{ ours: number; limit: number }> {
  const mine: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    theirs.push(await limit());
    mine.push(await ours());
  }
  return { ours: median(mine), limit: median(theirs) };
}

const cases: Readonly<Record<string, (server: ServerProcess) => Promise<void>>> = {
  async P1(server) {
    const canned = await startScript("canned-h2.ts");
    const adapter = await startScript("canned-adapter.ts");
    const adapted: number[] = [];
    const { ours, limit } = await alternate(
      () => unaryRate(server, 64, 30_000),
      async () => {
        adapted.push(await unaryRate(adapter, 64, 3_000));
        return unaryRate(canned, 64, 30_000);
      },
    );
    await canned.stop();
    await adapter.stop();
    report({
      name: "P1 unary gRPC Produce 100 B, 64 in flight",
      value: ours,
      unit: "req/s",
      bar: "23,000",
      ratio: { to: `canned node:http2 (${Math.round(limit)})`, value: ours / limit },
      note: `${(ours / median(adapted)).toFixed(1)} of canned Connect adapter (${Math.round(median(adapted))})`,
    });
  },

  async P2(server) {
    const values: number[] = [];
    for (let round = 0; round < rounds; round++) values.push(await streamRate(server, 1024, 256_000));
    report({
      name: "P2 ProduceStream 100 B, window 1024",
      value: median(values),
      unit: "rec/s",
      bar: "300,000",
    });
  },

  async P3(server) {
    const { ours, limit } = await alternate(
      () => bulkRate(server, 640, 1500),
      () => rawWriteRate(640, 1500),
    );
    report({
      name: "P3 ProduceBulk 100 B × 640",
      value: ours,
      unit: "rec/s",
      bar: "1,500,000",
      ratio: { to: `write+fdatasync (${Math.round(limit)})`, value: ours / limit },
    });
  },

  async P4(server) {
    const records = 640 * 3000;
    await bulkRate(server, 640, 3000);
    for (const [path, bar] of [
      [paths.consumeBatches, "5,000,000"],
      [paths.consumeStream, "1,000,000"],
    ] as const) {
      const seconds: number[] = [];
      const limits: number[] = [];
      // Warms up.
      const { bytes } = await consumeAll(server, path);
      const raw = await startScript("raw-read.ts", String(bytes));
      for (let round = 0; round < rounds; round++) {
        limits.push(await rawReadSeconds(raw.port));
        seconds.push((await consumeAll(server, path)).seconds);
      }
      await raw.stop();
      const rate = records / median(seconds);
      const name = `P4 ${path.split("/")[2]} from disk`;
      report({
        name,
        value: rate,
        unit: "rec/s",
        bar,
        ratio: {
          to: `pread+CRC+socket (${Math.round(records / median(limits))})`,
          value: median(limits) / median(seconds),
        },
        note: `${Math.round(bytes / median(seconds) / 1e6)} MB/s`,
      });
    }
  },

  /** P1 to P4 with a client certificate: the cost of TLS. The other rows use plaintext on loopback. */
  async mtls() {
    const { flags, tls, remove } = makeCertificates();
    const server = await startServer(flags);
    const target = { port: server.port, tls };
    const row = async (name: string, unit: string, bar: string, rate: () => Promise<number>) => {
      const values: number[] = [];
      for (let round = 0; round < rounds; round++) values.push(await rate());
      report({ name: `mTLS ${name}`, value: median(values), unit, bar });
    };
    await row("P1 unary Produce, 64 in flight", "req/s", "23,000", () => unaryRate(target, 64, 20_000));
    await row("P2 ProduceStream, window 1024", "rec/s", "300,000", () => streamRate(target, 1024, 256_000));
    await row("P3 ProduceBulk × 640", "rec/s", "1,500,000", () => bulkRate(target, 640, 1500));
    const records = rounds * (20_000 + 256_000 + 640 * 1500);
    for (const [path, bar] of [
      [paths.consumeBatches, "5,000,000"],
      [paths.consumeStream, "1,000,000"],
    ] as const) {
      await row(`P4 ${path.split("/")[2]}`, "rec/s", bar, async () => {
        const { seconds } = await consumeAll(target, path);
        return records / seconds;
      });
    }
    await server.stop();
    remove();
  },

  async P8(server) {
    for (const connections of [10, 1000]) {
      const { cpuShare, bytesEach } = await idleTails(server, server.pid, 1000, connections);
      report({
        name: `P8 1,000 idle tails over ${connections} connections`,
        value: cpuShare * 100,
        unit: "% core",
        bar: connections === 10 ? "1 %, 20 KiB" : "1 %, 128 KiB",
        note: `${(bytesEach / 1024).toFixed(1)} KiB each`,
      });
    }
  },

  async P9(server) {
    const { delivered, cpuShare } = await fedTails(server, server.pid, 1000, 1000);
    report({
      name: "P9 1,000 tails × 1,000 rec/s",
      value: delivered,
      unit: "rec/s",
      bar: "900,000 in 50 %",
      note: `${(cpuShare * 100).toFixed(0)} % of a core`,
    });
  },

  async P10(server) {
    const canned = await startScript("canned-http1.ts");
    const request = postRequest("/", "application/json", produceOneJson);
    const rate = async ({ port }: { readonly port: number }, total: number): Promise<number> =>
      (await http1Rate(port, request, 64, total)).perSecond;
    // Warms up: the first 20,000 requests are slow.
    await rate(server, 20_000);
    const { ours, limit } = await alternate(
      () => rate(server, 40_000),
      () => rate(canned, 40_000),
    );
    await canned.stop();
    report({
      name: "P10 POST / over HTTP/1.1, 64 in flight",
      value: ours,
      unit: "req/s",
      bar: "15,000",
      ratio: { to: `canned node:http (${Math.round(limit)})`, value: ours / limit },
    });
  },

  async telemetry(on) {
    const off = await startServer(["--log-level", "silent", "--metrics", "off"]);
    const ratios: number[] = [];
    const rates: number[] = [];
    const costs = new Map([on, off].map((server) => [server, 0]));
    for (let round = 0; round <= telemetryRounds; round++) {
      // The order alternates, so that neither always has the warmer machine.
      const rate = new Map<ServerProcess, number>();
      for (const server of round % 2 === 0 ? [on, off] : [off, on]) {
        const before = cpuSeconds(server.pid);
        rate.set(server, await unaryRate(server, 64, 20_000));
        if (round > 0) costs.set(server, costs.get(server)! + cpuSeconds(server.pid) - before);
      }
      if (round === 0) continue;
      rates.push(rate.get(on)!);
      ratios.push(rate.get(on)! / rate.get(off)!);
    }
    await off.stop();
    const micros = (server: ServerProcess): number => (costs.get(server)! * 1e6) / (telemetryRounds * 20_000);
    report({
      name: "telemetry: unary Produce, log and metrics on",
      value: median(rates),
      unit: "req/s",
      bar: "0.90",
      ratio: { to: "the same with both off", value: median(ratios) },
      note: `${micros(on).toFixed(1)} against ${micros(off).toFixed(1)} µs of processor a request, ratio ${(micros(off) / micros(on)).toFixed(2)}`,
    });
  },

  async P11() {
    compile();
    await (await startServer()).stop();
    const times: number[] = [];
    let resident = 0;
    for (let round = 0; round < rounds + 2; round++) {
      const server = await startServer();
      times.push(server.readyMs);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      resident = residentBytes(server.pid);
      await server.stop();
    }
    report({
      name: "P11 start to the ready line",
      value: median(times),
      unit: "ms",
      bar: "700 ms, 120 MB",
      note: `${Math.round(resident / 1e6)} MB resident when idle`,
    });
  },
};

export async function run(only: readonly string[]): Promise<void> {
  for (const [name, measure] of Object.entries(cases)) {
    if (only.length > 0 && !only.includes(name)) continue;
    const server = await startServer();
    try {
      await measure(server);
    } finally {
      await server.stop();
    }
  }
}
