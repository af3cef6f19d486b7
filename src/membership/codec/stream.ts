/**
 * The layers of a TCP stream, outermost first, and where a message on it ends (nothing says so but the message):
 *
 *   [ f4 length label ]  [ 0a length:u32be sealed ]  [ 09 {Algo, Buf} ]  message
 *
 * AAD of the sealed part: the five bytes before it, then the label. Each side sends one message: a ping and its ack,
 * a push/pull and its answer or an err, or a user message alone.
 *
 * Never: keeps more than `bytesMax`; scans a byte twice.
 */
import { Fault } from "../../fault.ts";
import { encryptionOverheadBytes } from "./keyring.ts";
import { messageType } from "./messages.ts";
import { MsgpackReader, malformed } from "./msgpack-reader.ts";
import { tokenAt } from "./msgpack-token.ts";
import { decompress, decrypt, labelHeader, stripLabel, type WireOptions } from "./packet.ts";

/** One message as it goes on a stream. */
export function encodeStreamMessage(message: Uint8Array, wrapping: WireOptions): Buffer {
  const label = labelHeader(wrapping.label);
  if (wrapping.keyring === undefined) return Buffer.concat([label, message]);
  const header = Buffer.alloc(5);
  header[0] = messageType.encrypt;
  header.writeUInt32BE(message.length + encryptionOverheadBytes, 1);
  const aad = Buffer.concat([header, Buffer.from(wrapping.label)]);
  return Buffer.concat([label, header, wrapping.keyring.encrypt(message, aad)]);
}

/** Gathers one message from the chunks of a stream. */
export class StreamReader {
  readonly #wrapping: WireOptions;
  readonly #bytesMax: number;
  #chunks: Buffer = Buffer.alloc(0);
  #length = 0;
  #labelled = false;
  #sealedBytes: number | undefined;
  readonly #scan = new MessageScan();

  constructor(wrapping: WireOptions, bytesMax: number) {
    this.#wrapping = wrapping;
    this.#bytesMax = bytesMax;
  }

  /** Memory it keeps until the message is whole. */
  get bufferedBytes(): number {
    return this.#chunks.length;
  }

  /** The message once it is whole, type byte first. Throws Fault "bad-request", "too-large" or "permission-denied". */
  push(chunk: Uint8Array): Buffer | undefined {
    this.#append(chunk);
    const bytes = this.#chunks.subarray(0, this.#length);
    const body = this.#afterLabel(bytes);
    if (body === undefined || body.length === 0) return undefined;
    return this.#wrapping.keyring === undefined ? this.#plain(body) : this.#sealed(body);
  }

  #plain(body: Buffer): Buffer | undefined {
    if (body[0] === messageType.encrypt) {
      throw new Fault("permission-denied", { message: "the peer encrypts gossip and this node has no key" });
    }
    if (!this.#scan.whole(body, this.#bytesMax)) return undefined;
    return body[0] === messageType.compress ? decompress(body, this.#bytesMax) : body;
  }

  #sealed(body: Buffer): Buffer | undefined {
    if (body[0] !== messageType.encrypt) {
      throw new Fault("permission-denied", { message: "plaintext gossip is refused, a key is set" });
    }
    if (body.length < 5) return undefined;
    this.#sealedBytes ??= body.readUInt32BE(1);
    if (this.#sealedBytes > this.#bytesMax) throw tooLarge(this.#bytesMax);
    if (body.length < 5 + this.#sealedBytes) return undefined;
    const aad = Buffer.concat([body.subarray(0, 5), Buffer.from(this.#wrapping.label)]);
    const keyring = this.#wrapping.keyring as NonNullable<WireOptions["keyring"]>;
    const plain = decrypt(keyring, body.subarray(5, 5 + this.#sealedBytes), aad);
    return plain[0] === messageType.compress ? decompress(plain, this.#bytesMax) : plain;
  }

  /** Undefined while the label is not all there. */
  #afterLabel(bytes: Buffer): Buffer | undefined {
    const expected = labelHeader(this.#wrapping.label).length;
    if (!this.#labelled) {
      if (bytes.length < Math.max(1, expected)) return undefined;
      stripLabel(bytes, this.#wrapping.label);
      this.#labelled = true;
    }
    return bytes.subarray(expected);
  }

  #append(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytesMax) throw tooLarge(this.#bytesMax);
    if (length > this.#chunks.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#bytesMax, Math.max(1024, length * 2)));
      this.#chunks.copy(grown, 0, 0, this.#length);
      this.#chunks = grown;
    }
    this.#chunks.set(chunk, this.#length);
    this.#length = length;
  }
}

/** Values in one message: 8,192 members of some 15 each. */
const valuesMax = 262_144;

/** Walks one message as it arrives, and tells when its end is there. */
class MessageScan {
  #walked = 0;
  #at = 1;
  /** Values still to walk, and bytes still to skip. */
  #values = 1;
  #skip = 0;
  #phase: "header" | "nodes" | "tail" = "header";
  #tailBytes = 0;

  whole(body: Buffer, bytesMax: number): boolean {
    for (;;) {
      if (this.#skip > bytesMax || this.#values > bytesMax) throw tooLarge(bytesMax);
      const skipped = Math.min(this.#skip, body.length - this.#at);
      this.#at += skipped;
      this.#skip -= skipped;
      if (this.#skip > 0) return false;
      if (this.#values === 0) {
        if (this.#phase === "tail") return true;
        this.#next(body, bytesMax);
      } else if (!this.#walk(body)) return false;
    }
  }

  /** Walks one value's head; false when it is not all there. */
  #walk(body: Buffer): boolean {
    const token = tokenAt(body, this.#at);
    if (token === "short") return false;
    if (token === "bad") throw malformed("it has a value of no known type");
    if (++this.#walked > valuesMax) throw malformed("it has too many values");
    this.#at += token.head;
    this.#values--;
    if (token.kind === "raw") this.#skip = token.size;
    if (token.kind === "array") this.#values += token.size;
    if (token.kind === "map") this.#values += token.size * 2;
    return true;
  }

  /** After the first map come a push/pull's nodes, then a tail of bytes: its user state, or a user message. */
  #next(body: Buffer, bytesMax: number): void {
    if (this.#phase === "header" && body[0] === messageType.pushPull) {
      const header = new MsgpackReader(body, 1).fields();
      this.#phase = "nodes";
      this.#values = header.uint("Nodes", bytesMax);
      this.#tailBytes = header.uint("UserStateLen", bytesMax);
      return;
    }
    if (this.#phase === "header" && body[0] === messageType.user) {
      this.#tailBytes = new MsgpackReader(body, 1).fields().uint("UserMsgLen", bytesMax);
    }
    this.#phase = "tail";
    this.#skip = this.#tailBytes;
  }
}

function tooLarge(bytesMax: number): Fault {
  return new Fault("too-large", { message: "a gossip stream is larger than the limit", facts: { bytesMax } });
}
