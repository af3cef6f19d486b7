/**
 * The front of the service: every request of either version of HTTP comes in here and goes to its door. Streams of
 * HTTP/2 are offered to the express lane first; what it does not take comes back by Node's HTTP/2.
 *
 *   /log.v1.… /grpc.…   RPCs          /        chapter 1          /tail   live tail          /ui/   the dashboard
 *
 * Never: reads a body.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { Telemetry } from "../lib/telemetry.ts";
import type { Caller } from "./call.ts";
import { type ChapterOneOptions, chapterOne } from "./chapter-one.ts";
import type { LaneStream } from "./express/lane-stream.ts";
import { authorityOf, headerOf, mendTarget, type NodeRequest, type NodeResponse, send } from "./http.ts";
import {
  corsHeaders,
  isKnownHost,
  mayChange,
  mendAuthority,
  type OriginRules,
  preflightHeaders,
} from "./origin.ts";
import type { RpcHandler } from "./rpc.ts";
import { noteStray } from "./stray.ts";
import { type TailOptions, tail } from "./tail.ts";

/** Takes a stream and answers true, or leaves it alone and answers false: then Connect serves it. */
export type Express = (stream: LaneStream, headers: IncomingHttpHeaders, caller: Caller) => boolean;
/** Serves a page of the dashboard, or answers false. */
export type Pages = (request: NodeRequest, response: NodeResponse) => boolean;

export interface FrontOptions {
  readonly rpc: RpcHandler;
  readonly chapterOne: ChapterOneOptions;
  readonly tail: TailOptions;
  readonly origins: OriginRules;
  readonly telemetry: Pick<Telemetry, "begin" | "log">;
  readonly express?: Express | undefined;
  readonly pages?: Pages | undefined;
}

/** Where the listener delivers. */
export interface Front {
  /** A request over HTTP/1.1. */
  request(request: IncomingMessage, response: ServerResponse, caller: Caller): void;
  /** A stream of the express lane's own HTTP/2; false: Node's is to have it. */
  express(stream: LaneStream, headers: IncomingHttpHeaders, caller: Caller): boolean;
  /** A stream of a session of Node's HTTP/2. */
  stream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    caller: Caller,
  ): void;
}

export function createFront(options: FrontOptions): Front {
  const { origins, express } = options;
  const { begin, log } = options.telemetry;

  const route = (request: NodeRequest, response: NodeResponse, caller: Caller): void => {
    const path = pathOf(request.url ?? "/");
    const isPage = path === "/ui" || path.startsWith("/ui/");
    const origin = headerOf(request, "origin");
    const shared = origin === undefined ? undefined : corsHeaders(origin, origins);
    if (origin !== undefined) response.setHeader("vary", "Origin");
    if (shared !== undefined) for (const name in shared) response.setHeader(name, shared[name] as string);
    if (request.method === "OPTIONS") {
      send(response, 204, shared === undefined ? { allow: "GET, POST" } : preflightHeaders, "");
      return;
    }
    if (options.rpc(request, response, caller)) return;
    if (request.method !== "GET" && !mayChange(provenanceOf(request, caller, origin), origins)) {
      const message = `a page of ${origin ?? "another site"} may not do this; --cors-origins lists those that may`;
      noteStray(begin, request, caller, "permission_denied");
      refuse(response, 403, "permission_denied", message);
      return;
    }
    if (path === "/") void chapterOne(request, response, caller, options.chapterOne);
    else if (path === "/tail") void tail(request, response, caller, options.tail);
    else if (isPage && options.pages?.(request, response)) return;
    else {
      noteStray(begin, request, caller, "not_found");
      refuse(response, 404, "not_found", `there is no ${path} here, only /, /tail, /ui/ and the RPCs`);
    }
  };

  /** The last name that was asked about: nearly all callers use the same one. */
  let asked: { readonly authority: string; readonly known: boolean } | undefined;
  const knows = (authority: string | undefined, caller: Caller): boolean => {
    if (caller.secure) return true;
    if (authority === undefined) return false;
    if (asked?.authority !== authority) asked = { authority, known: isKnownHost(authority, origins) };
    return asked.known;
  };

  const refuseStranger = (
    request: NodeRequest,
    response: NodeResponse,
    caller: Caller,
    authority: string | undefined,
  ): void => {
    noteStray(begin, request, caller, "permission_denied");
    refuseHost(response, authority);
  };

  return {
    request(request, response, caller) {
      response.on("error", (err) => log.debug({ err }, "a response ended early"));
      const oddity = mendTarget(request);
      if (oddity !== undefined) {
        refuse(response, 400, "invalid_argument", oddity);
        return;
      }
      const authority = authorityOf(request);
      if (knows(authority, caller)) route(request, response, caller);
      else refuseStranger(request, response, caller, authority);
    },
    express: (stream, headers, caller) =>
      express !== undefined &&
      knows(headers[":authority"] ?? headers.host, caller) &&
      express(stream, headers, caller),
    stream(stream, headers, rawHeaders, caller) {
      stream.on("error", (err) => log.debug({ err }, "a stream ended early"));
      if (headers[":authority"] !== undefined) headers[":authority"] = mendAuthority(headers[":authority"]);
      const authority = headers[":authority"] ?? headers.host;
      const known = knows(authority, caller);
      const request = new Http2ServerRequest(stream, headers, {}, rawHeaders as string[]);
      const response = new Http2ServerResponse(stream) as unknown as ServerResponse;
      if (known) route(request, response, caller);
      else refuseStranger(request, response, caller, authority);
    },
  };
}

function pathOf(url: string): string {
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

function provenanceOf(request: NodeRequest, caller: Caller, origin: string | undefined) {
  // Only a page's request is compared with it.
  const self =
    origin === undefined ? "" : `${caller.secure ? "https" : "http"}://${authorityOf(request) ?? ""}`;
  return { origin, fetchSite: headerOf(request, "sec-fetch-site"), self };
}

function refuse(response: NodeResponse, status: number, code: string, message: string): void {
  const body = `${JSON.stringify({ code, message, written: "no" })}\n`;
  send(response, status, { "content-type": "application/json", "cache-control": "no-store" }, body);
}

function refuseHost(response: NodeResponse, authority: string | undefined): void {
  const message = `this server is not called "${authority ?? ""}"; use localhost or an address, or --allow-hosts`;
  refuse(response, 403, "permission_denied", message);
}
