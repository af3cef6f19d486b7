/** The servers of the suite `logs` that are installed, and how they are started. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Durability, LogClient, LogServer } from "./log-server.ts";
import { nats } from "./nats.ts";
import { findProgram } from "./program.ts";
import { redis } from "./redis.ts";
import { tailrace } from "./tailrace.ts";

const answerMs = 120_000;
const retryMs = 2;

/** Programs whose absence was printed. */
const reported = new Set<string>();

/** Returns Tailrace and the others that are installed, each with a directory of its own. */
export async function installed(directory: string, purpose: string): Promise<LogServer[]> {
  const at = (name: string): string => {
    const path = join(directory, purpose, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const servers = [await tailrace(at("tailrace"))];
  for (const [program, open, how] of [
    ["nats-server", nats, "go install github.com/nats-io/nats-server/v2@latest"],
    ["redis-server", redis, "apt-get install redis-server"],
  ] as const) {
    const path = findProgram(program);
    if (path !== undefined) servers.push(await open(path, at(program)));
    else if (!reported.has(program))
      console.log(`MISSING: ${program} is not installed and is left out (${how})`);
    if (path === undefined) reported.add(program);
  }
  return servers;
}

/** Starts a server, and tries `first` with a new connection each time until it succeeds. By default: any answer. */
export async function started(
  server: LogServer,
  first: (client: LogClient) => Promise<unknown> = (client) => client.ping(),
  durability?: Durability,
): Promise<void> {
  server.start(durability);
  const began = performance.now();
  for (;;) {
    let client: LogClient | undefined;
    try {
      client = await server.connect();
      await first(client);
      return;
    } catch (error) {
      const { program } = server;
      if (program.hasExited()) throw new Error(`${server.name} ended: ${program.errors()}`);
      if (performance.now() - began > answerMs) throw error;
    } finally {
      client?.close();
    }
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

/** Ends a server that runs. */
export async function drop(server: LogServer): Promise<void> {
  if (server.program !== undefined && !server.program.hasExited()) await server.program.end("SIGKILL");
}
