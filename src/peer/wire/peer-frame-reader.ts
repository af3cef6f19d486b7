/**
 * Reads the frames of a peer's stream from chunks of any size.
 *
 * The prefix of a frame is checked before memory for the frame is allocated. Before the handshake is complete, only
 * hello, welcome and refusal are accepted; afterwards they are rejected.
 */
import { Fault } from "../../fault.ts";
import { readU32be } from "../../lib/bytes.ts";
import {
  malformed,
  type PeerFrame,
  type PeerFrameKind,
  peerFrameKinds,
  preamble,
  prefixBytes,
} from "./peer-frame.ts";

/** First byte of a peer's connection on a plaintext port. The protocol detection may leave it in the stream. */
const marker = 0xa7;

const kindsByCode: readonly (PeerFrameKind | undefined)[] = Object.entries(peerFrameKinds).reduce<
  (PeerFrameKind | undefined)[]
>((found, [kind, { code }]) => {
  found[code] = kind as PeerFrameKind;
  return found;
}, []);

const empty = new Uint8Array(0);
const pooledBytesMax = 4 * 1024;

/** Separate memory: what is kept of a frame must not keep the whole chunk alive. */
function allocate(bytes: number): Uint8Array {
  if (bytes === 0) return empty;
  const memory = bytes < pooledBytesMax ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes);
  return new Uint8Array(memory.buffer, memory.byteOffset, bytes);
}

export class PeerFrameReader {
  readonly #onFrame: (frame: PeerFrame) => void;
  /** Bytes of a preamble or a prefix that a chunk's end has split. */
  readonly #prefix = new Uint8Array(prefixBytes);
  #prefixFilled = 0;
  #preambleRead = false;
  #handshakeDone = false;
  #stopped = false;
  #kind: PeerFrameKind = "hello";
  #headBytes = 0;
  #payloadBytes = 0;
  /** Set while a frame is incomplete. */
  #payload: Uint8Array | undefined;
  #payloadFilled = 0;

  constructor(onFrame: (frame: PeerFrame) => void) {
    this.#onFrame = onFrame;
  }

  /** From now on all kinds except those of the handshake are accepted. */
  completeHandshake(): void {
    this.#handshakeDone = true;
  }

  /** Ignores the rest of the current chunk and all that follow. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Calls `onFrame` for each frame that is complete. After a fault the stream must not be read on.
   * @throws Fault "bad-request" (facts: why) for a malformed stream, "unsupported-version" for another framing
   */
  push(chunk: Uint8Array): void {
    let at = this.#preambleRead ? 0 : this.#readPreamble(chunk);
    while (at < chunk.length && !this.#stopped) {
      if (this.#payload !== undefined) at = this.#fillPayload(this.#payload, chunk, at);
      else if (this.#prefixFilled > 0 || chunk.length - at < prefixBytes) at = this.#fillPrefix(chunk, at);
      else {
        this.#readPrefix(chunk, at);
        at = this.#readPayload(chunk, at + prefixBytes);
      }
    }
  }

  #readPreamble(chunk: Uint8Array): number {
    let at = 0;
    if (this.#prefixFilled === 0 && chunk[0] === marker) at++;
    while (at < chunk.length && this.#prefixFilled < preamble.length) {
      const found = chunk[at++]!;
      const expected = preamble[this.#prefixFilled++]!;
      if (found === expected) continue;
      if (this.#prefixFilled < preamble.length) throw malformed("preamble");
      throw new Fault("unsupported-version", {
        message: `the peer uses version ${found} of the framing, this node version ${expected}`,
        facts: { found, expected },
      });
    }
    if (this.#prefixFilled === preamble.length) {
      this.#preambleRead = true;
      this.#prefixFilled = 0;
    }
    return at;
  }

  #fillPrefix(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + prefixBytes - this.#prefixFilled);
    this.#prefix.set(chunk.subarray(at, end), this.#prefixFilled);
    this.#prefixFilled += end - at;
    if (this.#prefixFilled < prefixBytes) return end;
    this.#prefixFilled = 0;
    this.#readPrefix(this.#prefix, 0);
    return this.#readPayload(chunk, end);
  }

  #readPrefix(bytes: Uint8Array, at: number): void {
    const length = readU32be(bytes, at);
    const kind = kindsByCode[bytes[at + 4]!];
    const head = readU32be(bytes, at + 4) & 0xffffff;
    if (kind === undefined) throw malformed("kind");
    const { headMax, bodyMax, code } = peerFrameKinds[kind];
    const isHandshake = code <= peerFrameKinds.refusal.code;
    if (!this.#handshakeDone && !isHandshake) throw malformed("early");
    if (this.#handshakeDone && isHandshake) throw malformed("unexpected");
    if (head > headMax || head > length || length - head > bodyMax) throw malformed("length");
    this.#kind = kind;
    this.#headBytes = head;
    this.#payloadBytes = length;
  }

  /** Emits the frame if the chunk holds all of it; otherwise allocates memory for the payload. */
  #readPayload(chunk: Uint8Array, at: number): number {
    const length = this.#payloadBytes;
    if (chunk.length - at < length) {
      this.#payload = allocate(length);
      this.#payloadFilled = 0;
      return at;
    }
    const bodyStart = at + this.#headBytes;
    const end = at + length;
    const body = allocate(end - bodyStart);
    body.set(chunk.subarray(bodyStart, end));
    this.#onFrame({ kind: this.#kind, head: chunk.subarray(at, bodyStart), body });
    return end;
  }

  #fillPayload(payload: Uint8Array, chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + payload.length - this.#payloadFilled);
    payload.set(chunk.subarray(at, end), this.#payloadFilled);
    this.#payloadFilled += end - at;
    if (this.#payloadFilled === payload.length) {
      this.#payload = undefined;
      const head = payload.subarray(0, this.#headBytes);
      this.#onFrame({ kind: this.#kind, head, body: payload.subarray(this.#headBytes) });
    }
    return end;
  }
}
