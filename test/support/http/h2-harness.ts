/** Runs an H2Connection without a socket for unit tests: frames in, frames out, and a clock that the test sets. */
import { H2Connection } from "../../../src/http2/h2-connection.ts";
import type { H2Stream } from "../../../src/http2/h2-stream.ts";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import { defaultH2Limits, type H2Limits } from "../../../src/http2/limits/h2-limits.ts";

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
export const settings = (...pairs: [number, number][]): Buffer => {
  const payload = Buffer.alloc(6 * pairs.length);
  for (const [at, [name, value]] of pairs.entries()) {
    payload.writeUInt16BE(name, 6 * at);
    payload.writeUInt32BE(value, 6 * at + 2);
  }
  return frame(4, 0, 0, payload);
};
export const request = encodeBlock([
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/x"],
]);
export const headers = (stream: number, end = false): Buffer => frame(1, end ? 5 : 4, stream, request);

export const budget = (burst: number, perSecond = 0): H2Limits["frames"] => ({
  burst,
  savedMax: 10 * burst,
  perSecond,
});

/** A connection, the frames that it sent, and the streams that it opened. */
export class H2Harness {
  readonly streams: H2Stream[] = [];
  readonly failures: unknown[] = [];
  /** Called for each request. */
  serve: ((stream: H2Stream) => void) | undefined;
  closed = false;
  nowMs = 0;
  readonly connection: H2Connection;
  #sent: Buffer = Buffer.alloc(0);

  /** `first`: the first bytes from the client. */
  constructor(limits: Partial<H2Limits> = {}, first: Buffer = Buffer.concat([preface, settings()])) {
    this.connection = new H2Connection(
      {
        onRequest: (stream) => {
          this.streams.push(stream);
          this.serve?.(stream);
        },
        onStreamFailed: (reason) => this.failures.push(reason),
        onOutput: () => undefined,
        monotonicMs: () => this.nowMs,
        close: () => {
          this.closed = true;
        },
      },
      { ...defaultH2Limits, ...limits },
    );
    this.feed(first);
    this.sent();
  }

  feed(...frames: Buffer[]): void {
    for (let all = this.connection.feed(Buffer.concat(frames)); !all; ) all = this.connection.proceed();
  }

  /** The frames that were sent since the last call. */
  sent(): { type: number; flags: number; stream: number; payload: Buffer }[] {
    this.#sent = Buffer.concat(this.connection.out.take());
    const frames = [];
    for (let at = 0; at < this.#sent.length; ) {
      const end = at + 9 + this.#sent.readUIntBE(at, 3);
      frames.push({
        type: this.#sent[at + 3] as number,
        flags: this.#sent[at + 4] as number,
        stream: this.#sent.readUInt32BE(at + 5),
        payload: this.#sent.subarray(at + 9, end),
      });
      at = end;
    }
    return frames;
  }

  /** The code of the GOAWAY that ended the connection. */
  goAwayCode(): number | undefined {
    const goAway = this.sent().find(({ type }) => type === 7);
    return this.closed ? goAway?.payload.readUInt32BE(4) : undefined;
  }
}
