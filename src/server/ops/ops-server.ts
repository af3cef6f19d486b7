/**
 * The ops port: probes and metrics over plain HTTP, apart from the one port because whoever asks (a kubelet,
 * Prometheus) has no client certificate. On loopback unless told otherwise; it shows nothing secret and changes nothing.
 *
 *   GET /livez, /healthz   200 while the event loop turns
 *   GET /readyz            200 when every check passes, else 503; ?verbose lists them
 *   GET /metrics           Prometheus text
 *   GET /version           JSON
 *
 * Never: waits for a check longer than its limit, keeps a connection busy after close.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { isKnownHost } from "../../api/mod.ts";
import { Fault } from "../../fault.ts";
import { type Logger, noLogger } from "../../lib/telemetry.ts";
import { type Clock, systemClock, within } from "../../lib/time/clock.ts";
import { isLoopback, printAddress } from "../../lib/value-kind.ts";
import { listenFailure } from "../bind.ts";

/** One thing that must hold for the node to be sent traffic. */
export interface ReadinessCheck {
  /** One word or a few, `leader`, `certificates`: shown by ?verbose. */
  readonly name: string;
  /** True, or the reason why not. What it throws is a reason too. */
  readonly check: () => true | string | Promise<true | string>;
  /** What else there is to know, while it holds. A function is asked each time; undefined is no note. */
  readonly note?: string | (() => string | undefined);
}

export interface OpsOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly prometheus: () => Promise<string>;
  readonly version: Readonly<Record<string, string>>;
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Default 1,000. */
  readonly checkMs?: number;
  /** Connections at once. Default 100. */
  readonly connectionsMax?: number;
  /** Names by which the port may be called on loopback, besides localhost and addresses. Default none. */
  readonly hosts?: readonly string[];
}

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly reason?: string;
  readonly note?: string;
}

/** Requests that a client may send ahead of their answers. */
const waitingMax = 16;

export class OpsServer {
  readonly #options: OpsOptions;
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #checks = new Map<string, ReadinessCheck>();
  /** Requests of a connection that are not answered. */
  readonly #waiting = new WeakMap<Socket, number>();
  #scrape: Promise<string> | undefined;
  #draining = false;

  private constructor(options: OpsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
      if (!this.#admit(request.socket, response)) return;
      this.#answer(request, response).catch((err: unknown) => {
        (options.log ?? noLogger).error({ err, url: request.url }, "ops request failed");
        if (!response.headersSent) response.statusCode = 500;
        response.end("internal error\n");
      });
    });
    this.#server.maxConnections = options.connectionsMax ?? 100;
  }

  /** Listens. Throws Fault "config" when the address cannot be had. */
  static async open(options: OpsOptions): Promise<OpsServer> {
    const ops = new OpsServer(options);
    const { host = "127.0.0.1", port } = options;
    try {
      ops.#server.listen(port, host);
      await once(ops.#server, "listening");
    } catch (cause) {
      const message = `--ops-addr ${printAddress({ host, port })} ${listenFailure(cause)}`;
      throw new Fault("config", { message, cause });
    }
    return ops;
  }

  /** As `host:port`, the port that was picked. */
  get address(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** Adds to what readiness means; the answer takes it out again. A name stands once. */
  addCheck(check: ReadinessCheck): () => void {
    this.#checks.set(check.name, check);
    return () => {
      if (this.#checks.get(check.name) === check) this.#checks.delete(check.name);
    };
  }

  /** From now on not ready, whatever the checks say: the node is going. */
  drain(): void {
    this.#draining = true;
  }

  /** Runs every check. */
  async readiness(): Promise<CheckResult[]> {
    const draining: CheckResult[] = this.#draining
      ? [{ name: "running", ok: false, reason: "the node is shutting down" }]
      : [{ name: "running", ok: true }];
    return [...draining, ...(await Promise.all([...this.#checks.values()].map((check) => this.#run(check))))];
  }

  async #run({ name, check, note }: ReadinessCheck): Promise<CheckResult> {
    const limitMs = this.#options.checkMs ?? 1_000;
    try {
      const result = await within(this.#clock, Promise.resolve(check()), limitMs);
      if (result === "late") return { name, ok: false, reason: `no answer within ${limitMs} ms` };
      if (result !== true) return { name, ok: false, reason: result };
      const said = typeof note === "function" ? note() : note;
      return said === undefined ? { name, ok: true } : { name, ok: true, note: said };
    } catch (error) {
      return { name, ok: false, reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Ends a connection that asks on and on without reading an answer: each may be a page of metrics. */
  #admit(socket: Socket, response: ServerResponse): boolean {
    const waiting = (this.#waiting.get(socket) ?? 0) + 1;
    this.#waiting.set(socket, waiting);
    response.on("close", () => this.#waiting.set(socket, (this.#waiting.get(socket) ?? 1) - 1));
    if (waiting > waitingMax) socket.destroy();
    return waiting <= waitingMax;
  }

  /**
   * On loopback only pages of this machine's own browsers can come from afar, by a name that was made to point here
   * (DNS rebinding). Elsewhere probes and scrapers use the names of their own network.
   */
  #isKnown(authority: string | undefined): boolean {
    const { host = "127.0.0.1", hosts = [] } = this.#options;
    return !isLoopback(host) || authority === undefined || isKnownHost(authority, { hosts, origins: [] });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [pathname = "/", query = ""] = (request.url ?? "/").split("?", 2);
    const searchParams = new URLSearchParams(query);
    response.setHeader("cache-control", "no-store");
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("content-type", "text/plain; charset=utf-8");
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end("only GET and HEAD\n");
      return;
    }
    if (!this.#isKnown(request.headers.host)) {
      response
        .writeHead(403)
        .end("this server is not called that; use localhost or an address, or --allow-hosts\n");
      return;
    }
    switch (pathname) {
      case "/livez":
      case "/healthz":
        response.end("ok\n");
        return;
      case "/readyz": {
        const results = await this.readiness();
        const ready = results.every(({ ok }) => ok);
        response.statusCode = ready ? 200 : 503;
        response.end(searchParams.has("verbose") ? verbose(results, ready) : brief(results, ready));
        return;
      }
      case "/metrics":
        // Scrapers that meet share one look.
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

  /** Stops listening and ends what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

/** Ready: `ok`, and what is to be known besides; else what fails. */
const brief = (results: readonly CheckResult[], ready: boolean): string =>
  [
    ...(ready ? ["ok"] : []),
    ...results.filter(({ ok, note }) => !ok || (ready && note !== undefined)).map(line),
    "",
  ].join("\n");

const verbose = (results: readonly CheckResult[], ready: boolean): string =>
  `${results.map(line).join("\n")}\nreadyz check ${ready ? "passed" : "failed"}\n`;

const line = ({ name, ok, reason, note }: CheckResult): string =>
  ok ? `[+]${name} ok${note === undefined ? "" : `: ${note}`}` : `[-]${name} failed: ${reason}`;
