/**
 * One answer on an HTTP/2 stream in any of the four framings: headers at once or with the first message, messages,
 * and one end, well or with an error. Writes after the end or after the client went away do nothing.
 *
 *   grpc            messages, then trailers           grpc-web        messages, then trailers as flagged bytes (0x80)
 *   connect-stream  messages, then JSON (flag 2)      connect-unary   one bare message, or JSON with an HTTP status
 *
 * Never: encodes a message, knows a method.
 */
import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, endStreamToJson, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { writeU32be } from "../../lib/bytes.ts";
import { connectErrorOf } from "../errors.ts";
import { encodeGrpcMessage } from "../grpc-message.ts";
import { jsonOptions } from "../json-options.ts";
import { envelopeBytes, flag } from "./envelope.ts";
import type { ExpressRequest } from "./recognise.ts";

const wellTrailers = { "grpc-status": "0" };
const wellGrpcWeb = enveloped(flag.trailers, Buffer.from("grpc-status: 0\r\n"));
const wellConnect = enveloped(flag.endStream, Buffer.from("{}"));

export class Answer {
  readonly #stream: ServerHttp2Stream;
  readonly #request: ExpressRequest;
  #trailers: OutgoingHttpHeaders = wellTrailers;
  ended = false;

  constructor(stream: ServerHttp2Stream, request: ExpressRequest) {
    this.#stream = stream;
    this.#request = request;
  }

  /** Sends the headers, unless they were. Streams call it at once, so that a client knows the call stands. */
  begin(): void {
    if (this.#stream.headersSent || this.#stream.destroyed || this.#stream.closed) return;
    this.#respond({ ":status": 200, "content-type": this.#request.contentType });
  }

  /** Sends enveloped messages. False: wait for the stream's "drain" before sending more. */
  write(envelopes: Uint8Array): boolean {
    if (this.#gone) return true;
    this.begin();
    return this.#stream.write(envelopes);
  }

  /** Sends the one enveloped message of a unary answer and ends it well. */
  finish(envelope: Uint8Array): void {
    if (this.#gone) return;
    this.ended = true;
    const { framing } = this.#request;
    if (framing === "connect-unary") {
      const body = envelope.subarray(envelopeBytes);
      this.#respond({
        ":status": 200,
        "content-type": this.#request.contentType,
        "content-length": body.length,
      });
      this.#stream.end(body);
      return;
    }
    this.begin();
    if (framing === "grpc") {
      this.#stream.end(envelope);
    } else {
      const end = framing === "grpc-web" ? wellGrpcWeb : wellConnect;
      this.#stream.end(Buffer.concat([envelope, end]));
    }
  }

  /** Ends a stream well. */
  end(): void {
    if (this.#gone) return;
    this.ended = true;
    this.begin();
    const { framing } = this.#request;
    if (framing === "grpc") this.#stream.end();
    else this.#stream.end(framing === "grpc-web" ? wellGrpcWeb : wellConnect);
  }

  /** Ends the answer with an error, whatever was sent before; what the client still sends is discarded. */
  fail(reason: unknown): void {
    if (this.#gone) return;
    this.ended = true;
    const error = connectErrorOf(reason);
    switch (this.#request.framing) {
      case "grpc":
        this.#trailers = statusOf(error);
        this.begin();
        this.#stream.end();
        break;
      case "grpc-web":
        this.begin();
        this.#stream.end(enveloped(flag.trailers, Buffer.from(trailerText(statusOf(error)))));
        break;
      case "connect-stream":
        this.begin();
        this.#stream.end(enveloped(flag.endStream, connectEnd(error)));
        break;
      case "connect-unary":
        this.#failUnary(error);
    }
    this.#stream.resume();
  }

  get #gone(): boolean {
    return this.ended || this.#stream.destroyed || this.#stream.closed;
  }

  #failUnary(error: ConnectError): void {
    const body = errorToJsonBytes(error, jsonOptions);
    this.#respond({
      ":status": codeToHttpStatus(error.code),
      "content-type": "application/json",
      "content-length": body.length,
    });
    this.#stream.end(body);
  }

  #respond(headers: OutgoingHttpHeaders): void {
    const waitForTrailers = this.#request.framing === "grpc";
    if (waitForTrailers) this.#stream.once("wantTrailers", this.#sendTrailers);
    this.#stream.respond(headers, { waitForTrailers });
  }

  readonly #sendTrailers = (): void => {
    if (!this.#stream.destroyed) this.#stream.sendTrailers(this.#trailers);
  };
}

function statusOf(error: ConnectError): Record<string, string> {
  const headers = new Headers();
  setTrailerStatus(headers, error);
  return { ...Object.fromEntries(headers), "grpc-message": encodeGrpcMessage(error.rawMessage) };
}

function trailerText(trailers: Record<string, string>): string {
  return Object.entries(trailers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}

function connectEnd(error: ConnectError): Uint8Array {
  return Buffer.from(JSON.stringify(endStreamToJson(new Headers(), error, jsonOptions)));
}

function enveloped(flags: number, message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(envelopeBytes + message.length);
  bytes[0] = flags;
  writeU32be(bytes, 1, message.length);
  bytes.set(message, envelopeBytes);
  return bytes;
}
