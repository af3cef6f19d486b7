/** Refusals of what the HTTP/1.1 parser of Node passes or reports and this server does not serve. */
import type { IncomingMessage } from "node:http";
import type { Http1Refusal } from "../connections/refusal.ts";

/** The largest request head, bytes. */
export const headerBytesMax = 16 * 1024;

export const malformedRequest = (message: string): Http1Refusal => ({
  status: 400,
  code: "invalid_argument",
  message,
});

export const tunnelRefusal: Http1Refusal = {
  status: 405,
  code: "unimplemented",
  message: "CONNECT is not served, this is not a proxy",
  headers: ["allow: GET, POST"],
};

/** For a request that had to wait, and that is not served because its client has closed its side of the connection meanwhile. */
export const halfClosedRefusal: Http1Refusal = {
  status: 503,
  code: "unavailable",
  message:
    "the client closed its side of the connection before the request could begin, so it was not served: send it again and keep the connection open until the response",
};

/** Why a request is refused that Node's parser has passed. */
export function requestRefusal({ headers }: IncomingMessage): Http1Refusal | undefined {
  const coding = headers["transfer-encoding"];
  if (coding === undefined || coding.trim().toLowerCase() === "chunked") return undefined;
  const message = `the transfer coding "${coding}" is not served, only chunked`;
  return { status: 501, code: "unimplemented", message };
}

/** The refusal for an error code of Node's parser. */
export function parserRefusal(code: string | undefined): Http1Refusal {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return { ...malformedRequest(`the headers exceed ${headerBytesMax} bytes`), status: 431 };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { ...malformedRequest("the request came too slowly"), status: 408 };
    default:
      return malformedRequest("this is not a request in HTTP/1.1");
  }
}
