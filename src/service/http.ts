/**
 * Requests and responses of Node, of either version of HTTP, and the few things the doors do with them.
 *
 * Never: knows a route.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { Fault } from "../fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { HeldBytes } from "./held-bytes.ts";

export type NodeRequest = IncomingMessage | Http2ServerRequest;
/** HTTP/2's response, made to be used like HTTP/1's, is taken for one where a stream comes in (front.ts). */
export type NodeResponse = ServerResponse;

/** One value of a request header; the first where there are several. */
export function headerOf(request: NodeRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** What the caller calls this server: `:authority` or Host. */
export function authorityOf(request: NodeRequest): string | undefined {
  return headerOf(request, ":authority") ?? headerOf(request, "host");
}

/**
 * Makes a target in absolute form (RFC 9112 §3.2.2) what all others are, its authority the one that counts. Answers
 * what is wrong with the target or its host, if something is.
 */
export function mendTarget(request: IncomingMessage): string | undefined {
  const { url = "/", rawHeaders } = request;
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  if (hosts > 1) return "the host is given more than once";
  if (url.startsWith("/") || url === "*") return undefined;
  const [, authority, rest = ""] = /^https?:\/\/([^/?#]+)(.*)$/i.exec(url) ?? [];
  if (authority === undefined) return "the target is neither a path nor a URL";
  request.url = rest.startsWith("/") ? rest : `/${rest}`;
  request.headers.host = authority;
  return undefined;
}

/** True when nothing that is written will arrive. HTTP/2's response does not say so itself, its stream does. */
export function isGone(response: NodeResponse): boolean {
  if (response.destroyed || response.writableEnded) return true;
  const { stream } = response as { stream?: { destroyed: boolean } };
  return stream?.destroyed === true;
}

/** Sends a whole answer. The body of a request that was not read is not waited for. */
export function send(
  response: NodeResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array,
): void {
  if (response.headersSent || isGone(response)) return;
  response.writeHead(status, { ...headers, "content-length": String(Buffer.byteLength(body)) });
  // A string leaves in one write with the headers.
  response.end(body);
}

/** For a caller over HTTP/1.1 to take its answer and to stop sending. */
const lingerMs = 2000;

/**
 * Sends a whole answer to a request whose body is not wanted, and asks the caller to hang up. What still comes is
 * passed over for a while: closing a socket with bytes unread resets it, and a reset overtakes the answer.
 */
export function sendAndClose(
  request: NodeRequest,
  response: NodeResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  clock: Clock,
): void {
  if (request.httpVersionMajor !== 1 || request.complete) {
    send(response, status, headers, body);
    return;
  }
  if (response.headersSent || isGone(response)) return;
  const length = String(Buffer.byteLength(body));
  response.writeHead(status, { ...headers, "content-length": length, connection: "close" });
  response.write(body);
  const end = (): void => {
    timer.cancel();
    response.end();
  };
  const timer = clock.after(lingerMs, end);
  request.once("end", end);
  request.once("close", end);
  request.resume();
}

/** Writes, and waits while the caller is slow. False once the caller has gone. */
export function write(response: NodeResponse, chunk: Uint8Array): Promise<boolean> | boolean {
  if (isGone(response)) return false;
  if (response.write(chunk)) return true;
  return new Promise((resolve) => {
    const done = (open: boolean) => (): void => {
      response.off("drain", onDrain);
      response.off("close", onClose);
      resolve(open);
    };
    const onDrain = done(true);
    const onClose = done(false);
    response.once("drain", onDrain);
    response.once("close", onClose);
  });
}

/**
 * The whole body; while it arrives, `held` counts it. Throws Fault "too-large" as soon as the limit is passed, or known
 * to be, "overloaded" when other unfinished requests leave no room, and "canceled" when the caller goes away.
 */
export function readBody(request: NodeRequest, bytesMax: number, held: HeldBytes): Promise<Buffer> {
  const tooLarge = (): Fault =>
    new Fault("too-large", { message: `the body exceeds ${bytesMax} bytes`, facts: { limit: bytesMax } });
  if (Number(headerOf(request, "content-length") ?? 0) > bytesMax) return Promise.reject(tooLarge());
  const share = held.share();
  return new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const fail = (reason: unknown): void => {
      share.hold(0);
      reject(reason);
    };
    const onData = (chunk: Buffer): void => {
      try {
        bytes += chunk.length;
        if (bytes > bytesMax) throw tooLarge();
        share.hold(bytes);
        chunks.push(chunk);
      } catch (reason) {
        request.off("data", onData);
        request.pause();
        fail(reason);
      }
    };
    request.on("data", onData);
    request.on("end", () => {
      share.hold(0);
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes));
    });
    request.on("error", (cause) => fail(new Fault("canceled", { cause })));
    request.on("close", () => {
      if (!request.complete) fail(new Fault("canceled"));
    });
  });
}
