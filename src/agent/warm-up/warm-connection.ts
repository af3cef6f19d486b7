/** A client's connection of HTTP/2 in memory: sends encoded requests, counts the responses that have ended. */
import { Duplex } from "node:stream";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const frameType = { data: 0, headers: 1, settings: 4, windowUpdate: 8 };
const frameFlag = { endStream: 1, endHeaders: 4 };
const headBytes = 9;
/** RFC 9113 §6.9.1: the largest window. The connection has 65,535 of it already. */
const windowMax = 0x7fff_ffff;

export interface WarmRequest {
  /** An encoded header block. */
  readonly headers: Uint8Array;
  /** Fits into one frame. */
  readonly body: Uint8Array;
}

export class WarmConnection extends Duplex {
  #nextStream = 1;
  #rest: Buffer = Buffer.alloc(0);
  #open = 0;
  #onEnded: (() => void) | undefined;

  constructor() {
    super();
    this.once("close", () => this.#onEnded?.());
    const grant = Buffer.alloc(4);
    grant.writeUInt32BE(windowMax - 65_535);
    this.push(
      Buffer.concat([
        preface,
        frame(frameType.settings, 0, 0, Buffer.alloc(0)),
        frame(frameType.windowUpdate, 0, 0, grant),
      ]),
    );
  }

  /** Sends these requests together. Resolves when all responses have ended, or the connection. */
  exchange(requests: readonly WarmRequest[]): Promise<void> {
    if (this.destroyed) return Promise.resolve();
    const parts: Buffer[] = [];
    for (const { headers, body } of requests) {
      parts.push(frame(frameType.headers, frameFlag.endHeaders, this.#nextStream, headers));
      parts.push(frame(frameType.data, frameFlag.endStream, this.#nextStream, body));
      this.#nextStream += 2;
    }
    this.#open += requests.length;
    return new Promise<void>((resolve) => {
      this.#onEnded = resolve;
      this.push(Buffer.concat(parts));
    });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + headBytes <= bytes.length && at + headBytes + bytes.readUIntBE(at, 3) <= bytes.length) {
      const [type, flags] = [bytes[at + 3]!, bytes[at + 4]!];
      const ends =
        (type === frameType.headers || type === frameType.data) && (flags & frameFlag.endStream) !== 0;
      if (ends) this.#open--;
      at += headBytes + bytes.readUIntBE(at, 3);
    }
    this.#rest = bytes.subarray(at);
    done();
    if (this.#open === 0) this.#onEnded?.();
  }
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(headBytes + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, headBytes);
  return bytes;
}
