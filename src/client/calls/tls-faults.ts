/**
 * What went wrong in a TLS handshake, in words that name the mistake. By the codes of Node and OpenSSL; both spellings of
 * an alert are in use.
 */
import type { FaultKind } from "../../fault.ts";

export interface TlsFault {
  /** "unauthenticated": the node refused us. "unavailable": we refused the node, or it does not speak TLS. */
  readonly kind: Extract<FaultKind, "unauthenticated" | "unavailable">;
  readonly message: string;
}

const refused = (message: string): TlsFault => ({ kind: "unauthenticated", message });
const distrusted = (message: string): TlsFault => ({ kind: "unavailable", message });

const wrongAuthority = distrusted(
  "the node's certificate is not signed by the CA that was given (--tls-ca-file)",
);
const noTls = distrusted(
  "the node closed the connection during the TLS handshake; if its port is plaintext, call it without certificates",
);

const byCode: Readonly<Record<string, TlsFault>> = {
  SELF_SIGNED_CERT_IN_CHAIN: wrongAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: wrongAuthority,
  UNABLE_TO_GET_ISSUER_CERT: wrongAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: wrongAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: wrongAuthority,
  CERT_SIGNATURE_FAILURE: wrongAuthority,
  CERT_UNTRUSTED: wrongAuthority,
  CERT_HAS_EXPIRED: distrusted("the node's certificate has expired"),
  CERT_NOT_YET_VALID: distrusted("the node's certificate is not valid yet; is this machine's clock right?"),
  ERR_TLS_CERT_ALTNAME_INVALID: distrusted("the node's certificate is for another name than --addr"),
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: distrusted("the key is not the key of the certificate"),
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
  ERR_SSL_HTTP_REQUEST: noTls,
};

const byAlert: Readonly<Record<string, TlsFault>> = {
  CERTIFICATE_REQUIRED: refused("the node requires a client certificate"),
  UNKNOWN_CA: refused("the node does not trust the CA of the client certificate"),
  CERTIFICATE_EXPIRED: refused("the node refuses the client certificate: it has expired"),
  CERTIFICATE_REVOKED: refused("the node refuses the client certificate: it is revoked"),
  CERTIFICATE_UNKNOWN: refused("the node refuses the client certificate"),
  BAD_CERTIFICATE: refused("the node refuses the client certificate"),
  UNSUPPORTED_CERTIFICATE: refused("the node refuses the client certificate: it is not for clients"),
};

/** The fault of a handshake that ended with this error, or undefined when it was none of a handshake. */
export function tlsFaultOf(error: Error): TlsFault | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return undefined;
  const [, alert = ""] = /^ERR_SSL_[\w/]*?_ALERT_(\w+)$/.exec(code) ?? [];
  // Node has one code for every connection that ends; only the text says that it was in the handshake.
  if (code === "ECONNRESET" && error.message.includes("before secure TLS connection")) return noTls;
  return byCode[code] ?? byAlert[alert];
}
