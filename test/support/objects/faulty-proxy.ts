/** A proxy before an S3 server that fails some requests. It counts them all. */
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as requestHttp,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { bodyOf } from "../http/body-of.ts";

/** What happens to a request; undefined: it is forwarded. */
export type Trouble =
  | { readonly kind: "status"; readonly status: number; readonly code: string }
  /** The connection ends before the server gets the request. */
  | { readonly kind: "cut" }
  /** The server does the work, then `done` is called, and the answer is lost. */
  | { readonly kind: "lost-answer"; readonly done?: () => void }
  /** Half of the body of the answer arrives. */
  | { readonly kind: "cut-answer" }
  /** A byte of the request is damaged. */
  | { readonly kind: "damage" }
  /** A byte of the answer is damaged. */
  | { readonly kind: "damage-answer" }
  /** A list lacks these names. */
  | { readonly kind: "short-list"; readonly lacks: (name: string) => boolean }
  | { readonly kind: "slow"; readonly ms: number };

export interface Seen {
  readonly method: string;
  /** Path and query, decoded. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export class FaultyProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #upstream: URL;
  readonly seen: Seen[] = [];
  /** Decides about the next request. */
  trouble: (request: Seen) => Trouble | undefined = () => undefined;

  private constructor(upstream: string) {
    this.#upstream = new URL(upstream);
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async open(upstream: string): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(upstream);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    const seen = { method, path: decodeURIComponent(url), headers };
    this.seen.push(seen);
    const trouble = this.trouble(seen);
    const body = await bodyOf(request);
    if (body === undefined || trouble?.kind === "cut") return void request.socket.destroy();
    if (trouble?.kind === "status") {
      response.writeHead(trouble.status, { "content-type": "application/xml" });
      return void response.end(`<?xml version="1.0"?><Error><Code>${trouble.code}</Code></Error>`);
    }
    if (trouble?.kind === "damage" && body.length > 0) body[0]! ^= 1;
    if (trouble?.kind === "slow") await new Promise((resolve) => setTimeout(resolve, trouble.ms));
    const answer = await this.#forward(seen.method, url, headers, body).catch(() => undefined);
    if (trouble?.kind === "lost-answer") trouble.done?.();
    if (answer === undefined || trouble?.kind === "lost-answer") return void request.socket.destroy();
    if (trouble?.kind === "damage-answer" && answer.body.length > 0)
      answer.body[answer.body.length >> 1]! ^= 1;
    if (trouble?.kind === "short-list") {
      const body = withoutNames(answer.body, trouble.lacks);
      const { "transfer-encoding": _, ...headers } = answer.headers;
      response.writeHead(answer.status, { ...headers, "content-length": body.length });
      return void response.end(body);
    }
    response.writeHead(answer.status, answer.headers);
    if (trouble?.kind !== "cut-answer") return void response.end(answer.body);
    response.write(answer.body.subarray(0, answer.body.length >> 1), () => request.socket.destroy());
  }

  #forward(method: string, path: string, headers: IncomingMessage["headers"], body: Buffer): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const forwarded = requestHttp({
      host: this.#upstream.hostname,
      port: this.#upstream.port,
      method,
      path,
      headers,
    });
    forwarded.on("error", reject);
    forwarded.on("response", (found) => {
      const pieces: Buffer[] = [];
      found.on("data", (piece: Buffer) => pieces.push(piece));
      found.on("error", reject);
      found.on("end", () =>
        resolve({ status: found.statusCode ?? 0, headers: found.headers, body: Buffer.concat(pieces) }),
      );
    });
    forwarded.end(body);
    return promise;
  }
}

function withoutNames(list: Buffer, lacks: (name: string) => boolean): Buffer {
  const items = /<Contents>.*?<\/Contents>/gs;
  const nameIn = (item: string): string => decodeURIComponent(/<Key>(.*?)<\/Key>/.exec(item)?.[1] ?? "");
  return Buffer.from(list.toString().replace(items, (item) => (lacks(nameIn(item)) ? "" : item)));
}
