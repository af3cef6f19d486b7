/**
 * The ops port: probes and metrics over plain HTTP. It is separate from the one port because its clients, such as a
 * kubelet or Prometheus, have no client certificate. It listens on loopback by default, shows nothing secret and changes
 * nothing.
 *
 *   GET /livez, /healthz   200 while the event loop turns
 *   GET /readyz            200 if every check passes, else 503; ?verbose lists all checks
 *   GET /metrics           Prometheus text
 *   GET /version           JSON
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { isKnownHost } from "../../api/mod.ts";
import { type Logger, noLogger } from "../../lib/telemetry.ts";
import { type Clock, systemClock } from "../../lib/time/clock.ts";
import { isLoopback } from "../../lib/value-kind.ts";
import { listenFault } from "../bind.ts";
import {
  briefText,
  type CheckResult,
  isReady,
  type ReadinessCheck,
  ReadinessChecks,
  verboseText,
} from "./readiness.ts";

export interface OpsOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Returns the metrics as Prometheus text. */
  readonly prometheus: () => Promise<string>;
  readonly version: Readonly<Record<string, string>>;
  readonly log?: Logger;
  readonly clock?: Clock;
  /** How long a readiness check may take, milliseconds. Default 1,000. */
  readonly checkMs?: number;
  /** Concurrent connections. Default 100. */
  readonly connectionsMax?: number;
  /** Host names that are accepted on loopback besides localhost and addresses. Default none. */
  readonly hosts?: readonly string[];
}

/** Requests of one connection that may wait for their responses. */
const waitingMax = 16;
/** Time limits of a request and of its headers, milliseconds. */
const requestMs = 10_000;
const headersMs = 5_000;

export class OpsServer {
  readonly #options: OpsOptions;
  readonly #server: Server;
  readonly #checks: ReadinessChecks;
  /** Socket → its requests without a response. */
  readonly #waiting = new WeakMap<Socket, number>();
  /** The metrics that are being collected. */
  #scrape: Promise<string> | undefined;

  private constructor(options: OpsOptions) {
    this.#options = options;
    const { clock = systemClock, checkMs = 1_000, connectionsMax = 100 } = options;
    this.#checks = new ReadinessChecks({ clock, checkMs });
    this.#server = createServer(
      { requestTimeout: requestMs, headersTimeout: headersMs },
      (request, response) => {
        if (!this.#admit(request.socket, response)) return;
        this.#respond(request, response).catch((err: unknown) => {
          (options.log ?? noLogger).error({ err, url: request.url }, "ops request failed");
          if (!response.headersSent) response.statusCode = 500;
          response.end("internal error\n");
        });
      },
    );
    this.#server.maxConnections = connectionsMax;
  }

  /** @throws Fault "config" if the address is not available */
  static async open(options: OpsOptions): Promise<OpsServer> {
    const ops = new OpsServer(options);
    const { host = "127.0.0.1", port } = options;
    try {
      ops.#server.listen(port, host);
      await once(ops.#server, "listening");
    } catch (cause) {
      throw listenFault({ flag: "--ops-addr", address: { host, port } }, cause);
    }
    return ops;
  }

  /** The address as `host:port`, with the port that was picked. */
  get address(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** Adds a readiness check, or replaces the one with the same name. The returned function removes it. */
  addCheck(check: ReadinessCheck): () => void {
    return this.#checks.add(check);
  }

  /** The node shuts down: it is not ready from now on. */
  drain(): void {
    this.#checks.drain();
  }

  /** Runs all readiness checks. */
  readiness(): Promise<CheckResult[]> {
    return this.#checks.results();
  }

  /** Disconnects a client that sends requests without reading responses: each may be a page of metrics. */
  #admit(socket: Socket, response: ServerResponse): boolean {
    const waiting = (this.#waiting.get(socket) ?? 0) + 1;
    this.#waiting.set(socket, waiting);
    response.on("close", () => this.#waiting.set(socket, (this.#waiting.get(socket) ?? 1) - 1));
    if (waiting > waitingMax) socket.destroy();
    return waiting <= waitingMax;
  }

  /**
   * Refuses unknown host names on loopback, where they come from DNS rebinding in a browser of this machine. On other
   * addresses, probes and scrapers use the names of their network.
   */
  #isKnown(authority: string | undefined): boolean {
    const { host = "127.0.0.1", hosts = [] } = this.#options;
    return !isLoopback(host) || authority === undefined || isKnownHost(authority, { hosts, origins: [] });
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader("cache-control", "no-store");
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("content-type", "text/plain; charset=utf-8");
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end("only GET and HEAD\n");
    } else if (this.#isKnown(request.headers.host)) {
      const [pathname = "/", query = ""] = (request.url ?? "/").split("?", 2);
      await this.#route(pathname, new URLSearchParams(query), response);
    } else {
      response
        .writeHead(403)
        .end("unknown host name; use localhost or an address, or add the name to --allow-hosts\n");
    }
  }

  async #route(pathname: string, query: URLSearchParams, response: ServerResponse): Promise<void> {
    switch (pathname) {
      case "/livez":
      case "/healthz":
        response.end("ok\n");
        return;
      case "/readyz": {
        const results = await this.readiness();
        response.statusCode = isReady(results) ? 200 : 503;
        response.end(query.has("verbose") ? verboseText(results) : briefText(results));
        return;
      }
      case "/metrics":
        // Scrapes at the same time share one collection.
        this.#scrape ??= this.#options.prometheus().finally(() => {
          this.#scrape = undefined;
        });
        response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
        response.end(await this.#scrape);
        return;
      case "/version":
        response.setHeader("content-type", "application/json");
        response.end(`${JSON.stringify(this.#options.version)}\n`);
        return;
      default:
        response.statusCode = 404;
        response.end("there are /livez /healthz /readyz?verbose /metrics /version\n");
    }
  }

  /** Stops listening and ends open connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}
