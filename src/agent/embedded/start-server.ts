/**
 * `tailrace/server`: a node inside another program. Its exported types import nothing, because the package has the types of
 * this file only.
 */
import { readFileSync } from "node:fs";
import { startAgent } from "../agent.ts";
import { readConfig } from "../config/read-config.ts";

/**
 * Settings of a node by the names of the flags of `tailrace serve`, without the leading dashes, for example
 * `{ "data-dir": "./data", addr: "127.0.0.1:0" }`. A list is an array.
 */
export type ServerSettings = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;

export interface Server extends AsyncDisposable {
  /** The address of the API and of the dashboard, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** `host:port` of the port for clients. */
  readonly addr: string;
  /** `host:port` of the port for health checks and metrics. */
  readonly opsAddr: string;
  /** Resolves when the node is ready for the first time. A node of a cluster waits for others. */
  readonly ready: Promise<void>;
  /** Resolves when the node has stopped. `process.exitCode` is set if it failed. */
  readonly stopped: Promise<void>;
  /** Finishes requests in progress, within `shutdown-timeout`, and closes. Disposing does the same. */
  stop(): Promise<void>;
  /** Reloads access files and certificates. */
  reload(): void;
}

/**
 * Starts a node in this process; resolves when it listens. It needs Node.js 24. Variables that begin with `TAILRACE_` are
 * not read, those of OpenTelemetry (`OTEL_*`) are. Log lines go to standard error. Signals, and what a service manager is told
 * (`NOTIFY_SOCKET`), are left to the program.
 *
 * @throws Error whose `name` is "Fault" and whose `kind` is "config" if a setting is unknown or malformed, or another kind
 *   if the node cannot start; then everything is closed again
 */
export async function startServer(settings: ServerSettings = {}): Promise<Server> {
  const flags = Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `--${name}=${value}`);
  const readFile = (path: string): string => readFileSync(path, "utf8");
  const { config } = readConfig({ flags, environment: {}, readFile });
  const { NOTIFY_SOCKET: _, ...environment } = process.env;
  const agent = await startAgent({ config, environment });
  return {
    url: agent.url,
    addr: agent.addr,
    opsAddr: agent.opsAddr,
    ready: agent.ready,
    stopped: agent.stopped,
    stop: () => agent.stop(),
    reload: () => agent.reload(),
    [Symbol.asyncDispose]: () => agent.stop(),
  };
}
