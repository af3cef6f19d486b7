/**
 * One HTTP request and its response, in any version of HTTP. The routes and the RPCs use only this interface;
 * `node-exchange.ts` implements it for HTTP/1.1 and `h2-exchange.ts` for HTTP/2.
 *
 *   respond (write)* end        or one send
 *
 * Calls after the end, and after the client has disconnected, do nothing.
 */
import { Fault } from "../../../fault.ts";

/** Header fields by lower-case name. Requests share these objects: they are read only. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;
/** Header fields to send, by lower-case name. */
export type ResponseHeaders = Readonly<Record<string, string>>;

export interface Exchange {
  readonly method: string;
  /** Path and query as they arrived: `/tail?from=0`. The router removes a ticket. */
  target: string;
  readonly headers: RequestHeaders;
  /** The name that the client uses for this server: `:authority` or Host. */
  readonly authority: string | undefined;
  readonly httpVersion: "1.0" | "1.1" | "2.0";
  /**
   * The body of the request, for one reader. The client can send at most one window ahead of the reader. A reader that
   * stops early discards the rest. Reading throws Fault "canceled" if the client disconnects before the body is complete,
   * and "deadline" if the body takes too long.
   */
  readonly body: AsyncIterable<Uint8Array>;
  /** Stops waiting for the rest of the body. Its reader gets `reason`. */
  failBody(reason: unknown): void;
  /** Bytes that can be sent now; 0 while the client takes nothing. */
  readonly writableBytes: number;
  /** To be called when `writableBytes` is 0: calls back once when it is above 0, unless the exchange ends before. */
  whenWritable(callback: () => void): void;
  /** Aborted when the client disconnects before the response has ended. */
  readonly signal: AbortSignal;
  readonly headersSent: boolean;
  /** True when the response has ended or the client has disconnected. */
  readonly closed: boolean;
  /** Adds a field to the headers that respond() or send() sends; of a list, a field for each value. */
  setHeader(name: string, value: string | readonly string[]): void;
  /** Sends status and headers. */
  respond(status: number, headers: ResponseHeaders): void;
  /**
   * Sends a chunk of the body, which must not change until it has been sent. Resolves with true when there is room for
   * more, and with false when the client has disconnected.
   */
  write(chunk: Uint8Array): boolean | Promise<boolean>;
  /** Ends the response, with trailers when given. */
  end(trailers?: ResponseHeaders): void;
  /** Sends a whole response. Adds content-length; sends no body where HTTP allows none. */
  send(status: number, headers: ResponseHeaders, body: string | Uint8Array): void;
  /** Ends the exchange at once. The client sees that the response is incomplete. */
  destroy(): void;
}

/** Returns the value of a request header, the first if there are several. */
export function headerOf({ headers }: Pick<Exchange, "headers">, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "object" ? value[0] : value;
}

/** Returns the value of a request header that is a list: several fields are one list (RFC 9110 §5.3). */
export function listOf({ headers }: Pick<Exchange, "headers">, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "object" ? value.join(", ") : value;
}

/** Returns the target without its query. */
export function pathOf({ target }: Pick<Exchange, "target">): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

/** Returns the query without the question mark; empty if there is none. */
export function queryOf({ target }: Pick<Exchange, "target">): string {
  const query = target.indexOf("?");
  return query < 0 ? "" : target.slice(query + 1);
}

/** Returns whether a response of this status to this method has no body (RFC 9110 §6.4.1). */
export const isBodyless = (method: string, status: number): boolean =>
  method === "HEAD" || status === 204 || status === 304;

/** Sent with every response: a browser must not guess another content type. */
const always: ResponseHeaders = { "x-content-type-options": "nosniff" };

/** Merges the fields of setHeader() and respond(). Those of respond() win, except that `vary` lists both. */
export function mergedHeaders(
  set: ReadonlyMap<string, string | readonly string[]>,
  headers: ResponseHeaders,
): Readonly<Record<string, string | string[]>> {
  if (set.size === 0) return { ...always, ...headers };
  const { vary } = headers;
  const before = set.get("vary");
  const both = vary === undefined || before === undefined ? {} : { vary: `${before}, ${vary}` };
  const fields: Record<string, string | string[]> = { ...always };
  for (const [name, value] of set) fields[name] = typeof value === "string" ? value : [...value];
  return { ...fields, ...headers, ...both };
}

/** Returns at most 100 characters of a text that a client sent, for a message. */
export const quoted = (text: string): string => (text.length <= 100 ? text : `${text.slice(0, 100)}…`);

/** The reason of an aborted signal or a failed body whose client has disconnected. */
export const clientDisconnected = (): Fault => new Fault("canceled");

/** The reason of a body that is not complete by its time limit. An incomplete request writes nothing. */
export const requestTimedOut = (): Fault =>
  new Fault("deadline", { message: "the request came too slowly", written: "no" });
