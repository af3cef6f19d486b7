/**
 * Reads the head of an HTTP/1.1 request in the one strict form that most clients send (RFC 9112 §2 to §6):
 *
 *   head   := "POST " path " HTTP/1.1" CRLF field* CRLF          path := "/" followed by letters, digits, ".", "_", "/"
 *   field  := name ":" " "? value CRLF                           name := letters, digits, "-"; each name once
 *   value  := printable ASCII without space at either end, not empty
 *
 * with `host` and `content-length`, at most 64 fields, and without fields that change the framing or the connection. Every other head is
 * unusual: Node's parser reads it, so that only one parser decides about the forms on which parsers disagree.
 */
import type { IncomingHttpHeaders } from "node:http2";
import { headerBytesMax } from "../http1-refusals.ts";

export interface RequestHead {
  /** Size of the head with its empty line. */
  readonly bytes: number;
  /** The fields, with pseudo-header fields as in HTTP/2. Requests of a connection can share the object. */
  readonly headers: IncomingHttpHeaders;
  /** Size of the body. */
  readonly contentLength: number;
}

const method = Buffer.from("POST /");
const emptyLine = Buffer.from("\r\n\r\n");
const requestLine = /^POST (\/[A-Za-z0-9._/]*) HTTP\/1\.1$/;
const field = /^([A-Za-z0-9-]+): ?([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/;
const length = /^(?:0|[1-9]\d{0,14})$/;
/** A head with more fields is read by Node's parser, which limits them. */
const fieldsMax = 64;
/** Fields that change the framing or the connection. */
const unusualNames: ReadonlySet<string> = new Set([
  "expect",
  "proxy-connection",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Reads the heads of one connection. Clients send nearly the same head with every request. */
export class RequestHeads {
  #last: RequestHead | undefined;
  #lastBytes: Buffer = Buffer.alloc(0);

  /** Reads the head at `at`. "incomplete": its end has not arrived. */
  read(bytes: Buffer, at: number): RequestHead | "incomplete" | "unusual" {
    const last = this.#last;
    if (last !== undefined && bytes.length - at >= last.bytes) {
      if (this.#lastBytes.compare(bytes, at, at + last.bytes) === 0) return last;
    }
    const begins = Math.min(method.length, bytes.length - at);
    if (method.compare(bytes, at, at + begins, 0, begins) !== 0) return "unusual";
    const end = bytes.indexOf(emptyLine, at);
    if (end < 0) return bytes.length - at > headerBytesMax ? "unusual" : "incomplete";
    const size = end + emptyLine.length - at;
    if (size > headerBytesMax) return "unusual";
    const head = parse(bytes.toString("latin1", at, end), size);
    if (head === undefined) return "unusual";
    this.#last = head;
    this.#lastBytes = Buffer.from(bytes.subarray(at, at + size));
    return head;
  }
}

function parse(text: string, bytes: number): RequestHead | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const path = requestLine.exec(first)?.[1];
  if (path === undefined || lines.length > fieldsMax) return undefined;
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines) {
    const found = field.exec(line);
    if (found === null) return undefined;
    const name = (found[1] as string).toLowerCase();
    if (name in headers || unusualNames.has(name)) return undefined;
    headers[name] = found[2] as string;
  }
  const { host, connection = "keep-alive", "content-length": contentLength = "" } = headers;
  if (host === undefined || connection.toLowerCase() !== "keep-alive") return undefined;
  if (!length.test(contentLength)) return undefined;
  headers[":method"] = "POST";
  headers[":path"] = path;
  return { bytes, headers, contentLength: Number(contentLength) };
}
