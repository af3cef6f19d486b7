/**
 * Forwards single streams to Node's own HTTP/2 server over a connection inside the process: the way of everything
 * that is not the express lane's. Made only when the first such stream comes.
 *
 * Never: changes a header or a byte.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import { errorCode } from "./frames.ts";
import type { H2Stream } from "./h2-stream.ts";
import { encodeBlock } from "./hpack.ts";

/** As much as a stream of ours allows, so that its window is what limits. */
const windowBytes = 1024 * 1024;

export class StreamProxy {
  readonly #session: ClientHttp2Session;

  constructor(fallback: (connection: Duplex) => void) {
    const [near, far] = duplexPair();
    fallback(far);
    this.#session = connect("http://proxy.invalid", {
      createConnection: () => near,
      settings: { initialWindowSize: windowBytes, enablePush: false },
    });
    this.#session.on("error", () => this.close());
    near.on("error", () => this.close());
  }

  forward(stream: H2Stream, headers: IncomingHttpHeaders): void {
    if (this.#session.closed || this.#session.destroyed) {
      stream.reset(errorCode.refusedStream);
      return;
    }
    const upstream = this.#session.request({ ...headers }, { endStream: false });
    let trailers: IncomingHttpHeaders | undefined;
    upstream.on("response", (head) => {
      stream.respond(blockOf(head));
      // Only now: over a connection inside the process, data may be handed out before its headers.
      upstream.on("data", (chunk: Buffer) => {
        if (!stream.write(chunk)) upstream.pause();
      });
    });
    upstream.on("trailers", (tail) => {
      trailers = tail;
    });
    stream.onDrain = () => upstream.resume();
    upstream.on("end", () => stream.end(trailers === undefined ? undefined : blockOf(trailers)));
    upstream.on("error", () => stream.reset(errorCode.internal));
    upstream.on("close", () => this.#closed(stream, upstream));
    stream.onData = (chunk) => {
      if (!upstream.write(chunk)) stream.pause();
    };
    upstream.on("drain", () => stream.resume());
    stream.onEnd = () => upstream.end();
    stream.onClose = () => upstream.close(errorCode.cancel);
  }

  close(): void {
    this.#session.destroy();
  }

  #closed(stream: H2Stream, upstream: ClientHttp2Stream): void {
    if (stream.closed) return;
    if (upstream.rstCode !== errorCode.none) stream.reset(upstream.rstCode);
    else stream.end();
  }
}

/** Fields as they came; one that stands more than once comes as a list. */
function blockOf(headers: IncomingHttpHeaders): Uint8Array {
  const fields: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) fields.push([name, String(one)]);
    }
  }
  return encodeBlock(fields);
}
