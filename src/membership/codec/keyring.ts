/**
 * The shared keys of a cluster: AES-128, -192 or -256 in GCM, by the length of the key (16, 24 or 32 bytes). The
 * first key seals, every key is tried to open, so a key can be rotated without a pause.
 *
 *   sealed := 01  nonce[12]  ciphertext  tag[16]
 *
 * Never: draws a nonce itself (the rim hands in the chance); prints a key; guards against replay (gossip has none,
 * so nothing of weight may rest on it alone).
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { Fault } from "../../fault.ts";

export type RandomBytes = (count: number) => Uint8Array;

/** What sealing adds, bytes. */
export const encryptionOverheadBytes = 1 + 12 + 16;

const version = 1;

export class Keyring {
  readonly #keys: readonly Buffer[];
  readonly #random: RandomBytes;

  /** Keys in base64, as `keygen` prints them. Throws Fault "config" when one has a wrong length or there is none. */
  constructor(keys: readonly string[], random: RandomBytes) {
    if (keys.length === 0) throw new Fault("config", { message: "a keyring needs at least one key" });
    this.#keys = keys.map(decodeKey);
    this.#random = random;
  }

  /** Seals with the primary key; `label` is bound to it but not contained. */
  encrypt(plain: Uint8Array, label: Uint8Array): Buffer {
    const key = this.#keys[0] as Buffer;
    const nonce = this.#random(12);
    const cipher = createCipheriv(algorithm(key), key, nonce, { authTagLength: 16 });
    cipher.setAAD(label, { plaintextLength: plain.length });
    const text = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([Buffer.from([version]), nonce, text, cipher.getAuthTag()]);
  }

  /** Opens what was sealed with any key of the ring; undefined when none fits or the bytes were changed. */
  decrypt(sealed: Uint8Array, label: Uint8Array): Buffer | undefined {
    const format = sealed[0];
    if (sealed.length < encryptionOverheadBytes || (format !== version && format !== 0)) return;
    for (const key of this.#keys) {
      const plain = openWith(key, sealed, label);
      if (plain === undefined) continue;
      return format === 0 ? unpad(plain) : plain;
    }
    return undefined;
  }
}

function openWith(key: Buffer, sealed: Uint8Array, label: Uint8Array): Buffer | undefined {
  const body = sealed.subarray(13, sealed.length - 16);
  const cipher = createDecipheriv(algorithm(key), key, sealed.subarray(1, 13), { authTagLength: 16 });
  cipher.setAAD(label, { plaintextLength: body.length });
  cipher.setAuthTag(sealed.subarray(sealed.length - 16));
  try {
    return Buffer.concat([cipher.update(body), cipher.final()]);
  } catch {
    return undefined; // The tag does not fit: another key, or changed on the way.
  }
}

/** Version 0 padded to whole blocks of 16 as PKCS #7 does. */
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
