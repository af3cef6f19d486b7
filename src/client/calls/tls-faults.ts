/** Explains a failed TLS handshake, by the error codes of Node.js and OpenSSL. */
import type { FaultKind } from "../../fault.ts";

export interface TlsFault {
  /** "unauthenticated": the node rejected the client. "unavailable": the client rejected the node, or it has no TLS. */
  readonly kind: Extract<FaultKind, "unauthenticated" | "unavailable">;
  readonly message: string;
}

const rejectedByNode = (message: string): TlsFault => ({ kind: "unauthenticated", message });
const rejectedByClient = (message: string): TlsFault => ({ kind: "unavailable", message });

const wrongAuthority = rejectedByClient(
  "the node's certificate is not signed by the given CA (--tls-ca-file)",
);
const noTls = rejectedByClient(
  "the node closed the connection during the TLS handshake; if its port is plaintext, connect without certificates",
);

const byCode: Readonly<Record<string, TlsFault>> = {
  SELF_SIGNED_CERT_IN_CHAIN: wrongAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: wrongAuthority,
  UNABLE_TO_GET_ISSUER_CERT: wrongAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: wrongAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: wrongAuthority,
  CERT_SIGNATURE_FAILURE: wrongAuthority,
  CERT_UNTRUSTED: wrongAuthority,
  CERT_HAS_EXPIRED: rejectedByClient("the node's certificate has expired"),
  CERT_NOT_YET_VALID: rejectedByClient(
    "the node's certificate is not valid yet; check the clock of this machine",
  ),
  ERR_TLS_CERT_ALTNAME_INVALID: rejectedByClient(
    "the node's certificate does not contain the name in --addr",
  ),
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: rejectedByClient("the private key does not belong to the certificate"),
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
  ERR_SSL_HTTP_REQUEST: noTls,
};

const byAlert: Readonly<Record<string, TlsFault>> = {
  CERTIFICATE_REQUIRED: rejectedByNode("the node requires a client certificate"),
  UNKNOWN_CA: rejectedByNode("the node does not trust the CA of the client certificate"),
  CERTIFICATE_EXPIRED: rejectedByNode("the node refuses the client certificate: it has expired"),
  CERTIFICATE_REVOKED: rejectedByNode("the node refuses the client certificate: it is revoked"),
  CERTIFICATE_UNKNOWN: rejectedByNode("the node refuses the client certificate"),
  BAD_CERTIFICATE: rejectedByNode("the node refuses the client certificate"),
  UNSUPPORTED_CERTIFICATE: rejectedByNode(
    "the node refuses the client certificate: it is not issued for clients",
  ),
};

/** Returns the fault of a handshake that ended with `error`; undefined for any other error. */
export function tlsFaultOf(error: Error): TlsFault | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return undefined;
  const [, alert = ""] = /^ERR_SSL_[\w/]*?_ALERT_(\w+)$/.exec(code) ?? [];
  // Node.js has one code for every closed connection. Only the message says that it happened in the handshake.
  if (code === "ECONNRESET" && error.message.includes("before secure TLS connection")) return noTls;
  return byCode[code] ?? byAlert[alert];
}
