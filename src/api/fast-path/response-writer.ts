/**
 * Writes one response on an HTTP/2 stream in any of the four framings: headers, then messages, then one end with or
 * without an error. Calls after the end do nothing.
 *
 *   grpc            messages, then trailers           grpc-web        messages, then trailers in an envelope (flag 0x80)
 *   connect-stream  messages, then JSON (flag 2)      connect-unary   one bare message, or JSON with an HTTP status
 */
import type { ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, endStreamToJson, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { encodeBlock } from "../../http2/mod.ts";
import { encodeEnvelope, envelopeBytes, envelopeFlag } from "../../lib/envelope.ts";
import { connectErrorOf } from "../calls/error-mapping.ts";
import { grpcStatusOf } from "../connect/grpc-message.ts";
import { jsonOptions } from "../connect/json-options.ts";
import type { FastStream } from "./fast-stream.ts";
import type { FastRequest, Framing } from "./recognize.ts";

/** A response of this server always has this header. */
const noSniffing: [string, string] = ["x-content-type-options", "nosniff"];

const successHeaders = (contentType: string): Uint8Array =>
  encodeBlock([[":status", "200"], ["content-type", contentType], noSniffing]);
/** The header blocks of a response with status 200. They refer to no dynamic table, so one block serves all streams. */
const headersOf: Readonly<Record<Framing, Uint8Array>> = {
  grpc: successHeaders("application/grpc+proto"),
  "grpc-web": successHeaders("application/grpc-web+proto"),
  "connect-stream": successHeaders("application/connect+proto"),
  "connect-unary": successHeaders("application/proto"),
};
const okTrailers = encodeBlock([["grpc-status", "0"]]);
const okGrpcWeb = encodeEnvelope(Buffer.from("grpc-status: 0\r\n"), envelopeFlag.trailers);
const okConnect = encodeEnvelope(Buffer.from("{}"), envelopeFlag.endStream);

export class ResponseWriter {
  readonly #stream: FastStream;
  readonly #framing: Framing;
  ended = false;

  constructor(stream: FastStream, request: FastRequest) {
    this.#stream = stream;
    this.#framing = request.framing;
  }

  /** Sends the headers unless they were sent. A stream calls this at once: the client then knows that the call is open. */
  begin(): void {
    if (!this.#stream.headersSent) this.#stream.respond(headersOf[this.#framing]);
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
    this.ended = true;
    this.#sendBare("200", "application/proto", envelope.subarray(envelopeBytes));
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
    const error = connectErrorOf(reason);
    if (this.#framing === "connect-unary") {
      const body = errorToJsonBytes(error, jsonOptions);
      this.#sendBare(String(codeToHttpStatus(error.code)), "application/json", body);
      return;
    }
    this.begin();
    if (this.#framing === "grpc") this.#stream.end(encodeBlock(grpcStatusOf(error)));
    else if (this.#framing === "grpc-web")
      this.#endWith(encodeEnvelope(trailerLines(grpcStatusOf(error)), envelopeFlag.trailers));
    else this.#endWith(encodeEnvelope(connectEndOf(error), envelopeFlag.endStream));
  }

  #endWith(envelope: Uint8Array): void {
    this.#stream.write(envelope);
    this.#stream.end();
  }

  #sendBare(status: string, type: string, body: Uint8Array): void {
    this.#stream.respond(
      encodeBlock([
        [":status", status],
        ["content-type", type],
        ["content-length", String(body.length)],
        noSniffing,
      ]),
    );
    this.#stream.write(body);
    this.#stream.end();
  }
}

function trailerLines(trailers: readonly (readonly [string, string])[]): Uint8Array {
  return Buffer.from(trailers.map(([name, value]) => `${name}: ${value}\r\n`).join(""));
}

function connectEndOf(error: ConnectError): Uint8Array {
  return Buffer.from(JSON.stringify(endStreamToJson(new Headers(), error, jsonOptions)));
}
