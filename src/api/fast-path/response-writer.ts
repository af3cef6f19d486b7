/**
 * Writes one response in any framing: headers, then messages, then one end with or without an error. Calls after the end
 * do nothing.
 *
 *   grpc            messages, then trailers           grpc-web        messages, then trailers in an envelope (flag 0x80)
 *   connect-stream  messages, then JSON (flag 2)      connect-unary   one bare message, or JSON with an HTTP status
 *   http            one line of JSON, with an HTTP status
 */
import type { ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, endStreamToJson, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { encodeBlock } from "../../http2/mod.ts";
import { encodeEnvelope, envelopeBytes, envelopeFlag } from "../../lib/envelope.ts";
import { connectErrorOf, httpErrorOf } from "../calls/error-mapping.ts";
import { grpcStatusOf } from "../connect/grpc-message.ts";
import { jsonOptions } from "../connect/json-options.ts";
import type { FastStream } from "./fast-stream.ts";
import type { FastRequest, ResponseFraming } from "./recognize.ts";
import type { ResponseHead, ResponseHeads } from "./response-head.ts";

const contentTypes: Readonly<Record<ResponseFraming, string>> = {
  grpc: "application/grpc+proto",
  "grpc-web": "application/grpc-web+proto",
  "connect-stream": "application/connect+proto",
  "connect-unary": "application/proto",
  http: "application/json",
};
const noStore: readonly [string, string] = ["cache-control", "no-store"];
const okTrailers = encodeBlock([["grpc-status", "0"]]);
const okGrpcWeb = encodeEnvelope(Buffer.from("grpc-status: 0\r\n"), envelopeFlag.trailers);
const okConnect = encodeEnvelope(Buffer.from("{}"), envelopeFlag.endStream);

export class ResponseWriter {
  readonly #stream: FastStream;
  readonly #request: FastRequest;
  readonly #framing: ResponseFraming;
  readonly #heads: ResponseHeads;
  ended = false;

  constructor(stream: FastStream, request: FastRequest, heads: ResponseHeads) {
    this.#stream = stream;
    this.#request = request;
    this.#framing = request.framing;
    this.#heads = heads;
  }

  /** Sends the headers unless they were sent. A stream calls this at once: the client then knows that the call is open. */
  begin(): void {
    if (this.#stream.headersSent) return;
    const type = contentTypes[this.#framing];
    const head = this.#heads.success(type, [["content-type", type]]);
    this.#stream.respond(head.encoded(this.#stream.isHttp1 === true));
  }

  /** Sends messages in envelopes. False: wait for the stream's onDrain before sending more. */
  write(envelopes: Uint8Array): boolean {
    if (this.ended) return true;
    this.begin();
    return this.#stream.write(envelopes);
  }

  /** Sends the one message of a unary response, given in an envelope, and ends without an error. */
  finish(envelope: Uint8Array): void {
    if (this.ended) return;
    if (this.#framing !== "connect-unary") {
      this.write(envelope);
      this.end();
      return;
    }
    this.finishBare(envelope.subarray(envelopeBytes));
  }

  /** Sends the whole body of a response without an envelope, and ends without an error. */
  finishBare(body: Uint8Array): void {
    if (this.ended) return;
    this.ended = true;
    const isHttp = this.#framing === "http";
    const type = isHttp || this.#request.isJson ? "application/json" : "application/proto";
    const head = this.#heads.success(
      isHttp ? "http" : type,
      isHttp ? [["content-type", type], noStore] : [["content-type", type]],
    );
    this.#sendBare(head, body);
  }

  /** Ends a stream without an error. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.begin();
    if (this.#framing === "grpc") this.#stream.end(okTrailers);
    else this.#endWith(this.#framing === "grpc-web" ? okGrpcWeb : okConnect);
  }

  /** Ends the response with an error, whatever was sent before. */
  fail(reason: unknown): void {
    if (this.ended) return;
    this.ended = true;
    if (this.#framing === "http") {
      const { status, headers, body } = httpErrorOf(reason, this.#request.locationOf?.(reason));
      this.#sendBare(this.#heads.make(status, Object.entries(headers)), Buffer.from(body));
      return;
    }
    const error = connectErrorOf(reason);
    if (this.#framing === "connect-unary") {
      const head = this.#heads.make(codeToHttpStatus(error.code), [["content-type", "application/json"]]);
      this.#sendBare(head, errorToJsonBytes(error, jsonOptions));
      return;
    }
    this.begin();
    if (this.#framing === "grpc") this.#stream.end(encodeBlock(grpcStatusOf(error)));
    else if (this.#framing === "grpc-web")
      this.#endWith(encodeEnvelope(trailerLines(error), envelopeFlag.trailers));
    else this.#endWith(encodeEnvelope(connectEndOf(error), envelopeFlag.endStream));
  }

  #endWith(envelope: Uint8Array): void {
    this.#stream.write(envelope);
    this.#stream.end();
  }

  #sendBare(head: ResponseHead, body: Uint8Array): void {
    this.#stream.respond(head.encoded(this.#stream.isHttp1 === true, body.length), true);
    this.#stream.write(body);
    this.#stream.end();
  }
}

/** The trailers of gRPC-Web are lines. Connect encodes more characters of the message in them than in those of gRPC. */
function trailerLines(error: ConnectError): Uint8Array {
  const message = encodeURIComponent(error.rawMessage.toWellFormed());
  const lines = grpcStatusOf(error).map(
    ([name, value]) => `${name}: ${name === "grpc-message" ? message : value}\r\n`,
  );
  return Buffer.from(lines.join(""));
}

function connectEndOf(error: ConnectError): Uint8Array {
  return Buffer.from(JSON.stringify(endStreamToJson(new Headers(), error, jsonOptions)));
}
