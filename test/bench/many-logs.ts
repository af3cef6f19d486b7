/**
 * What a million logs at rest cost a node: space on disk, memory above an empty node, the time to open.
 *
 *   npm run bench -- many-logs              1,000,000 logs; creating them takes minutes
 *   npm run bench -- many-logs 100000       another number of logs
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "./load/server-process.ts";
import { median, report } from "./report.ts";
import { started } from "./servers/contenders.ts";
import { type LogServer, pipelined } from "./servers/log-server.ts";
import { usageOf } from "./servers/program.ts";
import { tailrace } from "./servers/tailrace.ts";

const createsInFlight = 256;
const starts = 3;
const settleMs = 3_000;
const MB = 1e6;

interface Opened {
  readonly openMs: number;
  readonly residentBytes: number;
}

/** Ends the server with SIGTERM and starts it again, several times. Returns the medians. */
async function openAgain(server: LogServer): Promise<Opened> {
  const times: number[] = [];
  const memory: number[] = [];
  for (let start = 0; start < starts; start++) {
    await server.program.end("SIGTERM");
    const before = performance.now();
    await started(server);
    times.push(performance.now() - before);
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    memory.push(usageOf(server).residentBytes);
  }
  return { openMs: median(times), residentBytes: median(memory) };
}

/** Bytes of the files in a folder of the data directory whose names match. */
function bytesOf(server: LogServer, folder: string, name: RegExp): number {
  const path = join(server.directory, "data", folder);
  const files = readdirSync(path).filter((file) => name.test(file));
  return files.reduce((sum, file) => sum + statSync(join(path, file)).size, 0);
}

async function opened(directory: string): Promise<LogServer> {
  mkdirSync(directory);
  const server = await tailrace(directory);
  await started(server);
  return server;
}

async function createAll(server: LogServer, logs: number): Promise<void> {
  const client = await server.connect();
  const began = performance.now();
  let highest = 0;
  const watch = setInterval(() => {
    highest = Math.max(highest, usageOf(server).residentBytes);
  }, 1_000);
  await pipelined(logs, createsInFlight, (log) => client.create?.(log) as Promise<void>);
  clearInterval(watch);
  const seconds = (performance.now() - began) / 1_000;
  client.close();
  report({ name: `create, ${createsInFlight} in flight`, value: logs / seconds, unit: "/s", bar: "5,000" });
  report({ name: "memory at its highest meanwhile", value: highest / MB, unit: "MB" });
}

export async function run(only: readonly string[]): Promise<void> {
  const logs = Number(only[0] ?? 1_000_000);
  compile();
  const home = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  try {
    const none = await opened(join(home, "empty"));
    const empty = await openAgain(none);
    await none.program.end("SIGTERM");
    const server = await opened(join(home, "full"));
    await createAll(server, logs);
    const full = await openAgain(server);
    await server.program.end("SIGTERM");
    const database = bytesOf(server, "meta", /^logs-/) / logs;
    const base = bytesOf(server, "log", /\.rows$/) / logs;
    report({
      name: `disk of a log, of ${logs}`,
      value: database + base,
      unit: "B",
      bar: "512",
      note: `database ${database.toFixed(0)}, base file ${base.toFixed(0)}`,
    });
    const above = (full.residentBytes - empty.residentBytes) / MB;
    report({
      name: "memory above an empty node",
      value: above,
      unit: "MB",
      bar: "150",
      note: `${(full.residentBytes / MB).toFixed(0)} MB`,
    });
    report({
      name: "opening, to the first answer, above an empty node",
      value: full.openMs - empty.openMs,
      unit: "ms",
      bar: "200",
      note: `${full.openMs.toFixed(0)} ms`,
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
