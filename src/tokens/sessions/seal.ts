/**
 * Seals bytes for a cookie with a key of the cluster: only its nodes can read them, and no change goes unnoticed.
 *
 *   sealed := id of the key "." base64url( nonce[12] ciphertext tag[16] )        AES-256-GCM (NIST SP 800-38D)
 *
 * The purpose and the id of the cluster are authenticated with them, so a value for another purpose or of another cluster is not valid.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";

const algorithm = "aes-256-gcm";
const nonceBytes = 12;
const tagBytes = 16;

export interface SealPlace {
  readonly purpose: string;
  readonly clusterId: string;
}

/** `key` is 32 bytes in base64url; `nonce` is 12 random bytes. */
export function seal(
  { id, key }: { readonly id: string; readonly key: string },
  place: SealPlace,
  plain: Uint8Array,
  nonce: Uint8Array,
): string {
  const cipher = createCipheriv(algorithm, Buffer.from(key, "base64url"), nonce);
  cipher.setAAD(placeBytes(place));
  const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return `${id}.${sealed.toString("base64url")}`;
}

/** The id of the key with which the text was sealed, as the text says. */
export const sealKeyIdOf = (text: string): string => text.slice(0, Math.max(0, text.indexOf(".")));

/** Returns the bytes that were sealed with this key for this place; undefined for any other text. */
export function unseal(key: string, place: SealPlace, text: string): Uint8Array | undefined {
  const encoded = text.slice(text.indexOf(".") + 1);
  const sealed = Buffer.from(encoded, "base64url");
  // One value has one text, so what is remembered of it is remembered once.
  if (sealed.length < nonceBytes + tagBytes || sealed.toString("base64url") !== encoded) return undefined;
  try {
    const nonce = sealed.subarray(0, nonceBytes);
    const decipher = createDecipheriv(algorithm, Buffer.from(key, "base64url"), nonce, {
      authTagLength: tagBytes,
    });
    decipher.setAAD(placeBytes(place));
    decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
    const ciphertext = sealed.subarray(nonceBytes, sealed.length - tagBytes);
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  } catch {
    return undefined;
  }
}

const placeBytes = ({ purpose, clusterId }: SealPlace): Uint8Array =>
  Buffer.from(JSON.stringify(["tailrace", purpose, clusterId]));
