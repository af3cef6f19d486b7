/**
 * One HTTP request and its response, whatever version of HTTP carries it. The routes and the RPCs speak to this
 * interface only; `node-exchange.ts` implements it for HTTP/1.1 and `h2-exchange.ts` for HTTP/2.
 *
 *   respond (write)* end        or one send
 *
 * Calls after the end, and after the client has gone, do nothing.
 */
import { Fault } from "../../fault.ts";

/** Fields by lower-case name. Shared between requests: read only. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;
/** Fields to send, by lower-case name. */
export type ResponseHeaders = Readonly<Record<string, string>>;

export interface Exchange {
  readonly method: string;
  /** Path and query as they arrived: `/tail?from=0`. */
  readonly target: string;
  readonly headers: RequestHeaders;
  /** The name by which the client calls this server: `:authority` or Host. */
  readonly authority: string | undefined;
  readonly httpVersion: "1.0" | "1.1" | "2.0";
  /**
   * The request's body, for one reader. The client sends no more than a window ahead of it. A reader that stops early
   * discards the rest. Throws Fault "canceled" when the client goes away before the body is complete, "deadline" when
   * it takes too long.
   */
  readonly body: AsyncIterable<Uint8Array>;
  /** The rest of the body is not waited for: its reader gets `reason`. */
  failBody(reason: unknown): void;
  /** Bytes that can leave at once; 0 while the client takes nothing. */
  readonly room: number;
  /** Calls back once when `room` is above 0 again; never when the exchange is over before. To be asked when it is 0. */
  whenRoom(callback: () => void): void;
  /** Aborted when the client goes away before the response has ended. */
  readonly signal: AbortSignal;
  readonly headersSent: boolean;
  /** Nothing that is written arrives any more: the response has ended, or the client has gone. */
  readonly closed: boolean;
  /** Adds a field to the headers that respond() or send() sends. */
  setHeader(name: string, value: string): void;
  /** Sends status and headers. */
  respond(status: number, headers: ResponseHeaders): void;
  /**
   * Sends a piece of the body, which must not change until it has left. Resolves when there is room for more; false
   * when the client has gone.
   */
  write(chunk: Uint8Array): boolean | Promise<boolean>;
  /** Ends the response, with trailers when given. */
  end(trailers?: ResponseHeaders): void;
  /** Sends a whole response. Adds content-length; sends no body where HTTP allows none. */
  send(status: number, headers: ResponseHeaders, body: string | Uint8Array): void;
  /** Ends the exchange at once; what was sent of the response is seen to be incomplete. */
  destroy(): void;
}

/** One value of a request header; the first where there are several. */
export function headerOf({ headers }: Pick<Exchange, "headers">, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "object" ? value[0] : value;
}

/** The target without its query. */
export function pathOf({ target }: Pick<Exchange, "target">): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

/** What stands behind the first question mark, empty when there is none. */
export function queryOf({ target }: Pick<Exchange, "target">): string {
  const query = target.indexOf("?");
  return query < 0 ? "" : target.slice(query + 1);
}

/** A response of this status to this method has no body (RFC 9110 §6.4.1). */
export const isBodyless = (method: string, status: number): boolean =>
  method === "HEAD" || status === 204 || status === 304;

/** On every response: a browser takes it for what its content type says, and for nothing else. */
const always: ResponseHeaders = { "x-content-type-options": "nosniff" };

/** Fields of setHeader() and of respond() together: the latter replace the former, except that `vary` lists both. */
export function mergedHeaders(set: ReadonlyMap<string, string>, headers: ResponseHeaders): ResponseHeaders {
  if (set.size === 0) return { ...always, ...headers };
  const { vary } = headers;
  const before = set.get("vary");
  const both = vary === undefined || before === undefined ? {} : { vary: `${before}, ${vary}` };
  return { ...always, ...Object.fromEntries(set), ...headers, ...both };
}

/** What a client sent, for a message: at most 100 characters of it. */
export const quoted = (text: string): string => (text.length <= 100 ? text : `${text.slice(0, 100)}…`);

/** The reason of a signal or a body whose client has gone. */
export const clientDisconnected = (): Fault => new Fault("canceled", { message: "the client has gone" });

/** The reason of a body that is not complete by its time limit. A request that is not complete writes nothing. */
export const requestTimedOut = (): Fault =>
  new Fault("deadline", { message: "the request came too slowly", written: "no" });
