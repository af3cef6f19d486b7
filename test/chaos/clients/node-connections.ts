/**
 * Connections to nodes, in plaintext or with certificates: RPCs in every protocol, HTTP/1.1 as in a script, and the
 * package's client. Connections are reused. Only the package's client retries.
 */
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps, Agent as TlsAgent } from "node:https";
import type { Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Http2Sessions } from "../../../src/client/calls/http2-sessions.ts";
import { type ClientTls, openClient, type TailraceClient } from "../../../src/client/mod.ts";

export type Protocol = "grpc" | "grpc-web" | "connect" | "json";

export interface Answer {
  /** 0 if there was no answer. */
  readonly status: number;
  /** The body; empty if it is not JSON. */
  readonly json: object;
  readonly headers: IncomingHttpHeaders;
  /** The error code or message, if there was no answer. */
  readonly failed: string | undefined;
}

interface Ask {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** A paused node is detected soon. */
const sessions = { connectMs: 2_000, pingIntervalMs: 3_000, pingTimeoutMs: 3_000 };
const sockets = { keepAlive: true, maxSockets: 64 };

export class NodeConnections implements Disposable {
  readonly #tls: ClientTls | undefined;
  readonly #transports = new Map<string, Transport>();
  readonly #agent: Agent;
  readonly #sessions: Http2Sessions[] = [];

  constructor(tls?: ClientTls) {
    this.#tls = tls;
    this.#agent = tls === undefined ? new Agent(sockets) : new TlsAgent({ ...sockets, ...tls });
  }

  /** A transport for RPCs to one node. */
  transport(addr: string, protocol: Protocol): Transport {
    const key = `${protocol} ${addr}`;
    let transport = this.#transports.get(key);
    if (transport === undefined) {
      transport = this.#transportTo(addr, protocol);
      this.#transports.set(key, transport);
    }
    return transport;
  }

  /** Sends one request. Resolves also if there is no answer. */
  http(
    addr: string,
    path: string,
    { method = "GET", body, headers: asked, timeoutMs }: Ask,
  ): Promise<Answer> {
    return new Promise((resolve) => {
      const fail = (error: Error): void => {
        resolve({
          status: 0,
          json: {},
          headers: {},
          failed: (error as NodeJS.ErrnoException).code ?? error.message,
        });
      };
      const headers = {
        ...asked,
        ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
      };
      const options = { method, headers, agent: this.#agent, signal: AbortSignal.timeout(timeoutMs) };
      const asking = this.#request(addr, path, options, (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          text += chunk;
        });
        answer.on("error", fail);
        answer.on("end", () => {
          const { statusCode: status = 0, headers: answered } = answer;
          resolve({ status, json: parse(text), headers: answered, failed: undefined });
        });
      });
      asking.on("error", fail);
      asking.end(body);
    });
  }

  /** Opens a streamed answer, on a connection of its own. */
  stream(
    addr: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const asking = this.#request(addr, path, { headers, signal, agent: false }, resolve);
      asking.on("error", reject);
      asking.end();
    });
  }

  /** The package's client, with short timeouts for paused nodes. */
  client(addrs: readonly string[]): TailraceClient {
    return openClient({
      addrs,
      tls: this.#tls,
      limits: { attemptMs: 2_000, callMs: 20_000 },
      sessions,
    });
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session.abort();
    this.#agent.destroy();
  }

  #request(
    addr: string,
    path: string,
    options: Parameters<typeof requestHttp>[1],
    answered: (answer: IncomingMessage) => void,
  ): ReturnType<typeof requestHttp> {
    if (this.#tls === undefined) return requestHttp(`http://${addr}${path}`, options, answered);
    return requestHttps(`https://${addr}${path}`, { ...this.#tls, ...options }, answered);
  }

  #transportTo(addr: string, protocol: Protocol): Transport {
    const baseUrl = `${this.#tls === undefined ? "http" : "https"}://${addr}`;
    const sessionManager = new Http2Sessions(baseUrl, sessions, this.#tls ?? {});
    this.#sessions.push(sessionManager);
    const options = { baseUrl, sessionManager };
    if (protocol === "grpc") return createGrpcTransport(options);
    if (protocol === "grpc-web") return createGrpcWebTransport({ ...options, httpVersion: "2" });
    if (protocol === "connect") return createConnectTransport({ ...options, httpVersion: "2" });
    return createConnectTransport({
      baseUrl,
      httpVersion: "1.1",
      useBinaryFormat: false,
      nodeOptions: { agent: this.#agent },
    });
  }
}

function parse(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
