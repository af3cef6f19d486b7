/**
 * Turns a verified certificate into an identity, or says why not. TLS has verified validity and purpose in the handshake.
 * The subject is the common name: exactly one, which isSubjectName() allows.
 */
import type { X509Certificate } from "node:crypto";
import { type Identity, isSubjectName, nodeNamesOf } from "../../access/mod.ts";

/** Why a certificate was refused. It is `reason` in the log and in the metric. */
export const certificateRefusals = [
  "missing",
  "expired",
  "not yet valid",
  "wrong CA",
  "wrong purpose",
  "bad name",
  "invalid",
] as const;
export type CertificateRefusal = (typeof certificateRefusals)[number];

/** Returns the identity of `leaf`. A node name in it makes a peer only if it comes from `peerAuthorities`. */
export function identityFrom(
  leaf: X509Certificate,
  peerAuthorities: readonly X509Certificate[],
): Identity | "bad name" {
  const legacy = leaf.toLegacyObject();
  // Node types it as a string, but it is an array if there are several common names.
  const subject: unknown = legacy.subject?.CN;
  if (!isSubjectName(subject)) return "bad name";
  const issuer: unknown = legacy.issuer?.CN;
  const sans = alternativeNames(leaf.subjectAltName ?? "");
  return {
    subject,
    sans,
    isPeer: nodeNamesOf(sans).length > 0 && issuedBy(leaf, peerAuthorities),
    issuer: typeof issuer === "string" ? issuer : "",
    fingerprint: leaf.fingerprint256.replaceAll(":", "").toLowerCase(),
  };
}

/** True if the chain of `leaf`, as TLS verified it, leads to one of `authorities`. */
export function issuedBy(leaf: X509Certificate, authorities: readonly X509Certificate[]): boolean {
  let current: X509Certificate | undefined = leaf;
  for (let depth = 0; current !== undefined && depth < 10; depth++) {
    for (const authority of authorities) {
      if (current.checkIssued(authority) && current.verify(authority.publicKey)) return true;
    }
    current = current.issuerCertificate;
  }
  return false;
}

/** Splits Node's text of the extension, `DNS:a, URI:"b, c"`. Quotes prevent a value from posing as two. */
export function alternativeNames(text: string): string[] {
  return [...text.matchAll(/([A-Za-z][A-Za-z ]*):("(?:\\.|[^"\\])*"|[^,]*)(?:, |$)/gy)].map(
    ([, kind = "", value = ""]) => `${kind}:${value.startsWith('"') ? String(JSON.parse(value)) : value}`,
  );
}

const reasons: Readonly<Record<string, CertificateRefusal>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "missing",
  CERT_HAS_EXPIRED: "expired",
  CERT_NOT_YET_VALID: "not yet valid",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "wrong CA",
  UNABLE_TO_GET_ISSUER_CERT: "wrong CA",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "wrong CA",
  SELF_SIGNED_CERT_IN_CHAIN: "wrong CA",
  DEPTH_ZERO_SELF_SIGNED_CERT: "wrong CA",
  CERT_SIGNATURE_FAILURE: "wrong CA",
  INVALID_CA: "wrong CA",
  INVALID_PURPOSE: "wrong purpose",
};

/** Translates a code of OpenSSL or Node. An unknown code is "invalid". */
export const refusalOfCode = (code: string): CertificateRefusal => reasons[code] ?? "invalid";
