/**
 * What a caller hears who speaks plaintext to a port that speaks TLS only. Pure.
 */
import { refusalBytes } from "./refusal.ts";

const message = "this port speaks TLS with client certificates, use https and a certificate";
/** INADEQUATE_SECURITY (RFC 9113 §7). */
const h2Code = 0xc;

/** The bytes to send before the connection is ended. */
export function plaintextRefusal(spoken: "http1" | "h2c"): Buffer {
  return refusalBytes(spoken, { status: 400, code: "invalid_argument", message, h2Code });
}
