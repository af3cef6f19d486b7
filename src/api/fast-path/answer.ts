/**
 * One answer on an HTTP/2 stream in any of the four framings: headers at once or with the first message, messages,
 * and one end, well or with an error. Writes after the end or after the client went away do nothing.
 *
 *   grpc            messages, then trailers           grpc-web        messages, then trailers as flagged bytes (0x80)
 *   connect-stream  messages, then JSON (flag 2)      connect-unary   one bare message, or JSON with an HTTP status
 *
 * Never: encodes a message, knows a method.
 */
import type { ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, endStreamToJson, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { encodeBlock } from "../../http2/mod.ts";
import { writeU32be } from "../../lib/bytes.ts";
import { connectErrorOf } from "../calls/error-mapping.ts";
import { grpcStatusOf } from "../connect/grpc-message.ts";
import { jsonOptions } from "../connect/json-options.ts";
import { envelopeBytes, flag } from "./envelope.ts";
import type { LaneStream } from "./fast-stream.ts";
import type { ExpressRequest, Framing } from "./recognize.ts";

const contentTypes: Readonly<Record<Framing, string>> = {
  grpc: "application/grpc+proto",
  "grpc-web": "application/grpc-web+proto",
  "connect-stream": "application/connect+proto",
  "connect-unary": "application/proto",
};
/** As on every response of this server. */
const noSniffing: [string, string] = ["x-content-type-options", "nosniff"];
/** Headers of an answer that goes well; they change no table, so they are made once. */
const heads = Object.fromEntries(
  Object.entries(contentTypes).map(([framing, type]) => [
    framing,
    encodeBlock([[":status", "200"], ["content-type", type], noSniffing]),
  ]),
) as unknown as Readonly<Record<Framing, Uint8Array>>;
const wellTrailers = encodeBlock([["grpc-status", "0"]]);
const wellGrpcWeb = enveloped(flag.trailers, Buffer.from("grpc-status: 0\r\n"));
const wellConnect = enveloped(flag.endStream, Buffer.from("{}"));

export class Answer {
  readonly #stream: LaneStream;
  readonly #framing: Framing;
  ended = false;

  constructor(stream: LaneStream, request: ExpressRequest) {
    this.#stream = stream;
    this.#framing = request.framing;
  }

  /** Sends the headers, unless they were. Streams call it at once, so that a client knows the call stands. */
  begin(): void {
    if (!this.#stream.headersSent) this.#stream.respond(heads[this.#framing]);
  }

  /** Sends enveloped messages. False: wait for the stream's onDrain before sending more. */
  write(envelopes: Uint8Array): boolean {
    if (this.ended) return true;
    this.begin();
    return this.#stream.write(envelopes);
  }

  /** Sends the one enveloped message of a unary answer and ends it well. */
  finish(envelope: Uint8Array): void {
    if (this.ended) return;
    if (this.#framing !== "connect-unary") {
      this.write(envelope);
      this.end();
      return;
    }
    this.ended = true;
    this.#sendBare("200", contentTypes["connect-unary"], envelope.subarray(envelopeBytes));
  }

  /** Ends a stream well. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.begin();
    if (this.#framing === "grpc") this.#stream.end(wellTrailers);
    else this.#endWith(this.#framing === "grpc-web" ? wellGrpcWeb : wellConnect);
  }

  /** Ends the answer with an error, whatever was sent before. */
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
      this.#endWith(enveloped(flag.trailers, trailerBytes(grpcStatusOf(error))));
    else this.#endWith(enveloped(flag.endStream, connectEnd(error)));
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

function trailerBytes(trailers: readonly (readonly [string, string])[]): Uint8Array {
  return Buffer.from(trailers.map(([name, value]) => `${name}: ${value}\r\n`).join(""));
}

function connectEnd(error: ConnectError): Uint8Array {
  return Buffer.from(JSON.stringify(endStreamToJson(new Headers(), error, jsonOptions)));
}

function enveloped(flags: number, message: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(envelopeBytes + message.length);
  bytes[0] = flags;
  writeU32be(bytes, 1, message.length);
  bytes.set(message, envelopeBytes);
  return bytes;
}
