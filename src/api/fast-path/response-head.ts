/**
 * The heads of responses: status and header fields, encoded for either version of HTTP. A head that is sent often is
 * encoded once a second, because it holds the date.
 *
 *   HTTP/2     one header block, with the date
 *   HTTP/1.1   the status line and the fields, each with its line end; the stream adds the date and the connection fields
 */
import { STATUS_CODES } from "node:http";
import type { IncomingHttpHeaders } from "node:http2";
import { encodeBlock } from "../../http2/mod.ts";
import type { ClientConnection } from "../calls/call-tracker.ts";
import { bracketIpv6, canChangeState, corsHeaders, type OriginRules } from "../http/origin-rules.ts";

type Fields = readonly (readonly [name: string, value: string])[];

/** A response of this server always has this header. */
const noSniffing = ["x-content-type-options", "nosniff"] as const;
/** Heads with a content-length below this are kept: acknowledgments have few lengths. */
const keptLengthMax = 256;

/** One head. */
export class ResponseHead {
  readonly #status: number;
  readonly #fields: Fields;
  readonly #date: () => string;
  /** The date of #blocks. */
  #blocksDate = "";
  /** Header blocks and lines by content-length; those without one are at `keptLengthMax`. */
  #blocks: (Uint8Array | undefined)[] = [];
  readonly #lines: (Uint8Array | undefined)[] = [];

  /** `date` returns the value of the field `date`. */
  constructor(status: number, fields: Fields, date: () => string) {
    this.#status = status;
    this.#fields = fields;
    this.#date = date;
  }

  /** Returns the encoded head, with a content-length if one is given. */
  encoded(isHttp1: boolean, length?: number): Uint8Array {
    if (length !== undefined && length >= keptLengthMax) return this.#encode(isHttp1, length);
    const at = length ?? keptLengthMax;
    if (isHttp1) {
      this.#lines[at] ??= this.#encode(isHttp1, length);
      return this.#lines[at];
    }
    const date = this.#date();
    if (date !== this.#blocksDate) {
      this.#blocksDate = date;
      this.#blocks = [];
    }
    this.#blocks[at] ??= this.#encode(isHttp1, length);
    return this.#blocks[at];
  }

  #encode(isHttp1: boolean, length: number | undefined): Uint8Array {
    const status = String(this.#status);
    const all: Fields =
      length === undefined ? this.#fields : [...this.#fields, ["content-length", String(length)]];
    if (!isHttp1) return encodeBlock([[":status", status], ...all.map(pair), ["date", this.#date()]]);
    const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    return Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[this.#status] ?? "unknown"}\r\n${lines}`, "latin1");
  }
}

const pair = ([name, value]: readonly [string, string]): [string, string] => [name, value];

/** The heads of the responses to requests of one provenance: all have the same fields for browsers. */
export class ResponseHeads {
  readonly #fields: Fields;
  readonly #date: () => string;
  readonly #success = new Map<string, ResponseHead>();

  constructor(fields: Fields, date: () => string) {
    this.#fields = [noSniffing, ...fields];
    this.#date = date;
  }

  /** Returns the head of a response with status 200, which is kept. `key` names the fields. */
  success(key: string, fields: Fields): ResponseHead {
    let head = this.#success.get(key);
    if (head === undefined) {
      head = this.make(200, fields);
      this.#success.set(key, head);
    }
    return head;
  }

  make(status: number, fields: Fields): ResponseHead {
    return new ResponseHead(status, [...this.#fields, ...fields], this.#date);
  }
}

/** Applies the rules for pages of other origins, as the router does for requests that the fast path does not serve. */
export class OriginHeads {
  readonly #rules: OriginRules;
  readonly #plain: ResponseHeads;
  readonly #unlisted: ResponseHeads;
  readonly #listed: ReadonlyMap<string, ResponseHeads>;

  constructor(rules: OriginRules, date: () => string) {
    this.#rules = rules;
    this.#plain = new ResponseHeads([], date);
    this.#unlisted = new ResponseHeads([["vary", "Origin"]], date);
    const headsOf = (origin: string) =>
      [["vary", "Origin"], ...Object.entries(corsHeaders(origin, rules) ?? {})] as Fields;
    this.#listed = new Map(rules.origins.map((origin) => [origin, new ResponseHeads(headsOf(origin), date)]));
  }

  /** Returns the heads for a request that can change state; undefined if its origin is not allowed. */
  of(headers: IncomingHttpHeaders, client: ClientConnection): ResponseHeads | undefined {
    const { origin } = headers;
    const fetchSite = headers["sec-fetch-site"];
    if (origin === undefined && fetchSite === undefined) return this.#plain;
    if (typeof fetchSite === "object") return undefined;
    if (!canChangeState({ origin, fetchSite, self: selfOf(headers, client) }, this.#rules)) return undefined;
    return origin === undefined ? this.#plain : (this.#listed.get(origin) ?? this.#unlisted);
  }
}

/** The origin of this server as the client names it. */
function selfOf(headers: IncomingHttpHeaders, client: ClientConnection): string {
  const authority = headers[":authority"] ?? headers.host ?? "";
  return `${client.secure ? "https" : "http"}://${bracketIpv6(authority)}`;
}
