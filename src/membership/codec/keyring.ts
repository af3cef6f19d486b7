/**
 * The shared keys of a cluster: AES-GCM with keys of 16, 24 or 32 bytes. The first key encrypts. Decryption tries every
 * key, so that a key can be rotated without an interruption. There is no protection against replay.
 *
 *   encrypted := 01  nonce[12]  ciphertext  tag[16]
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { Fault } from "../../fault.ts";

export type RandomBytes = (count: number) => Uint8Array;

/** Bytes that encryption adds: version, nonce and tag. */
export const encryptionOverheadBytes = 1 + 12 + 16;

const version = 1;

export class Keyring {
  readonly #keys: readonly Buffer[];
  readonly #random: RandomBytes;

  /**
   * Takes keys in base64, as `keygen` prints them, the primary one first, and a source of random nonces.
   * @throws Fault "config" if there is no key, or one has a wrong length
   */
  constructor(keys: readonly string[], random: RandomBytes) {
    if (keys.length === 0) throw new Fault("config", { message: "a keyring needs at least one key" });
    this.#keys = keys.map(decodeKey);
    this.#random = random;
  }

  /** Encrypts with the primary key. `label` is authenticated but not contained. */
  encrypt(plain: Uint8Array, label: Uint8Array): Buffer {
    const key = this.#keys[0] as Buffer;
    const nonce = this.#random(12);
    const cipher = createCipheriv(algorithm(key), key, nonce, { authTagLength: 16 });
    cipher.setAAD(label, { plaintextLength: plain.length });
    const text = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([Buffer.from([version]), nonce, text, cipher.getAuthTag()]);
  }

  /** Decrypts with any key of the ring. Returns undefined if no key fits or the bytes were changed. */
  decrypt(encrypted: Uint8Array, label: Uint8Array): Buffer | undefined {
    const format = encrypted[0];
    if (encrypted.length < encryptionOverheadBytes || (format !== version && format !== 0)) return;
    for (const key of this.#keys) {
      const plain = decryptWith(key, encrypted, label);
      if (plain === undefined) continue;
      return format === 0 ? unpad(plain) : plain;
    }
    return undefined;
  }
}

function decryptWith(key: Buffer, encrypted: Uint8Array, label: Uint8Array): Buffer | undefined {
  const body = encrypted.subarray(13, encrypted.length - 16);
  const cipher = createDecipheriv(algorithm(key), key, encrypted.subarray(1, 13), { authTagLength: 16 });
  cipher.setAAD(label, { plaintextLength: body.length });
  cipher.setAuthTag(encrypted.subarray(encrypted.length - 16));
  try {
    return Buffer.concat([cipher.update(body), cipher.final()]);
  } catch {
    return undefined; // The tag does not match: another key, or changed bytes.
  }
}

/** Removes the padding of version 0: PKCS #7, blocks of 16 bytes. */
function unpad(plain: Buffer): Buffer | undefined {
  const pad = plain.at(-1) ?? 0;
  return pad < 1 || pad > 16 || pad > plain.length ? undefined : plain.subarray(0, plain.length - pad);
}

function algorithm(key: Buffer): "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm" {
  if (key.length === 16) return "aes-128-gcm";
  return key.length === 24 ? "aes-192-gcm" : "aes-256-gcm";
}

function decodeKey(text: string): Buffer {
  const key = Buffer.from(text, "base64");
  const whole = /^[A-Za-z0-9+/]+={0,2}$/.test(text);
  if (!whole || (key.length !== 16 && key.length !== 24 && key.length !== 32)) {
    throw new Fault("config", {
      message: "a gossip key is 16, 24 or 32 bytes in base64",
      facts: { foundBytes: whole ? key.length : 0 },
    });
  }
  return key;
}
