/**
 * Encodes one message of a TCP stream, and finds where an incoming one ends. Only the message itself says so.
 *
 *   [ f4 length label ]  [ 0a length:u32be encrypted ]  [ 09 {Algo, Buf} ]  message
 *
 * The AAD of the encrypted part is the five bytes before it, then the label. Each side sends one message: a ping and its
 * ack, a push/pull and its reply or an err, or a user message alone.
 */
import { Fault } from "../../fault.ts";
import { encryptionOverheadBytes, type Keyring } from "./keyring.ts";
import { messageType } from "./messages.ts";
import { MsgpackReader, malformed } from "./msgpack-reader.ts";
import { tokenAt } from "./msgpack-token.ts";
import { decompress, decrypt, labelHeader, stripLabel, type WireOptions } from "./packet.ts";

/** Encodes one message for a stream. */
export function encodeStreamMessage(message: Uint8Array, wire: WireOptions): Buffer {
  const label = labelHeader(wire.label);
  if (wire.keyring === undefined) return Buffer.concat([label, message]);
  const header = Buffer.alloc(5);
  header[0] = messageType.encrypt;
  header.writeUInt32BE(message.length + encryptionOverheadBytes, 1);
  const aad = Buffer.concat([header, Buffer.from(wire.label)]);
  return Buffer.concat([label, header, wire.keyring.encrypt(message, aad)]);
}

/** Collects one message from the chunks of a stream. It buffers at most `bytesMax` and scans each byte once. */
export class StreamReader {
  readonly #wire: WireOptions;
  readonly #bytesMax: number;
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;
  #labelRead = false;
  #encryptedBytes: number | undefined;
  readonly #scanner = new MessageScanner();

  constructor(wire: WireOptions, bytesMax: number) {
    this.#wire = wire;
    this.#bytesMax = bytesMax;
  }

  /** Bytes of memory in use until the message is complete. */
  get bufferedBytes(): number {
    return this.#buffer.length;
  }

  /**
   * Adds a chunk. Returns the message, type byte first, once it is complete.
   * @throws Fault "bad-request", "too-large" or "permission-denied"
   */
  push(chunk: Uint8Array): Buffer | undefined {
    this.#append(chunk);
    const body = this.#afterLabel(this.#buffer.subarray(0, this.#length));
    if (body === undefined || body.length === 0) return undefined;
    const { keyring } = this.#wire;
    return keyring === undefined ? this.#plaintext(body) : this.#encrypted(body, keyring);
  }

  #plaintext(body: Buffer): Buffer | undefined {
    if (body[0] === messageType.encrypt) {
      throw new Fault("permission-denied", { message: "the peer encrypts gossip and this node has no key" });
    }
    if (!this.#scanner.isComplete(body, this.#bytesMax)) return undefined;
    return body[0] === messageType.compress ? decompress(body, this.#bytesMax) : body;
  }

  #encrypted(body: Buffer, keyring: Keyring): Buffer | undefined {
    if (body[0] !== messageType.encrypt) {
      throw new Fault("permission-denied", {
        message: "the peer sends plaintext gossip and this node has a key",
      });
    }
    if (body.length < 5) return undefined;
    this.#encryptedBytes ??= body.readUInt32BE(1);
    if (this.#encryptedBytes > this.#bytesMax) throw tooLarge(this.#bytesMax);
    if (body.length < 5 + this.#encryptedBytes) return undefined;
    const aad = Buffer.concat([body.subarray(0, 5), Buffer.from(this.#wire.label)]);
    const message = decrypt(keyring, body.subarray(5, 5 + this.#encryptedBytes), aad);
    return message[0] === messageType.compress ? decompress(message, this.#bytesMax) : message;
  }

  /** Returns undefined while the label is incomplete. */
  #afterLabel(bytes: Buffer): Buffer | undefined {
    const expected = labelHeader(this.#wire.label).length;
    if (!this.#labelRead) {
      if (bytes.length < Math.max(1, expected)) return undefined;
      stripLabel(bytes, this.#wire.label);
      this.#labelRead = true;
    }
    return bytes.subarray(expected);
  }

  #append(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytesMax) throw tooLarge(this.#bytesMax);
    if (length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#bytesMax, Math.max(1024, length * 2)));
      this.#buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
    }
    this.#buffer.set(chunk, this.#length);
    this.#length = length;
  }
}

/** Most values in one message: 8,192 members of about 15 each, and a margin. */
const valuesMax = 262_144;

/** Finds the end of one message as its bytes arrive. */
class MessageScanner {
  #scanned = 0;
  #position = 1;
  /** Values still to scan, and bytes still to skip. */
  #values = 1;
  #skip = 0;
  #phase: "header" | "nodes" | "tail" = "header";
  #tailBytes = 0;

  /** `body` is all that has arrived, from the type byte on. */
  isComplete(body: Buffer, bytesMax: number): boolean {
    for (;;) {
      if (this.#skip > bytesMax || this.#values > bytesMax) throw tooLarge(bytesMax);
      const skipped = Math.min(this.#skip, body.length - this.#position);
      this.#position += skipped;
      this.#skip -= skipped;
      if (this.#skip > 0) return false;
      if (this.#values === 0) {
        if (this.#phase === "tail") return true;
        this.#nextPhase(body, bytesMax);
      } else if (!this.#scanValue(body)) return false;
    }
  }

  /** Scans the head of one value. Returns false if it is incomplete. */
  #scanValue(body: Buffer): boolean {
    const token = tokenAt(body, this.#position);
    if (token === "truncated") return false;
    if (token === "unknown") throw malformed("it has a value of an unknown type");
    if (++this.#scanned > valuesMax) throw malformed("it has too many values");
    this.#position += token.head;
    this.#values--;
    if (token.kind === "raw") this.#skip = token.size;
    if (token.kind === "array") this.#values += token.size;
    if (token.kind === "map") this.#values += token.size * 2;
    return true;
  }

  /** After the first map come the nodes of a push/pull, then a tail of bytes: its user state, or a user message. */
  #nextPhase(body: Buffer, bytesMax: number): void {
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
  return new Fault("too-large", {
    message: "a gossip stream is larger than the limit",
    facts: { bytesMax },
  });
}
