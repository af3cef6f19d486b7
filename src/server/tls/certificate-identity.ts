/**
 * From a verified certificate to an identity, or the reason why not. Pure.
 *
 * The subject is the common name: exactly one, all of it visible (no control, format, private or ignorable
 * characters, no line ends, no blanks around it), so that it reads in a log and in a policy as what it is; and not a name that stands for
 * having no certificate.
 *
 * Never: verifies validity or purpose (TLS did, at the handshake).
 */
import type { X509Certificate } from "node:crypto";
import { anonymousSubject, type Identity, localSubject, nodeNamesOf } from "../../access/mod.ts";

/** Why a certificate was not accepted; stands in the log as `reason`. */
export type Refusal =
  | "missing"
  | "expired"
  | "not yet valid"
  | "wrong CA"
  | "wrong purpose"
  | "bad name"
  | "invalid";

const subjectCharsMax = 256;
/**
 * Control, format (zero width, text direction), halves of characters, private use; ends of lines and paragraphs; what
 * Unicode displays as nothing (fillers, variation selectors).
 */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;

/** The identity of `leaf`, or "bad name". `peerAuthorities` decide whether a node's name makes it a peer. */
export function identityFrom(
  leaf: X509Certificate,
  peerAuthorities: readonly X509Certificate[],
): Identity | "bad name" {
  const legacy = leaf.toLegacyObject();
  // Typed as a string; an array when there are several.
  const subject: unknown = legacy.subject?.CN;
  if (typeof subject !== "string" || subject === "" || subject.length > subjectCharsMax) return "bad name";
  if (subject === localSubject || subject === anonymousSubject) return "bad name";
  if (invisible.test(subject) || subject.trim() !== subject) return "bad name";
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

/** Does the chain of `leaf`, as TLS verified it, lead to one of `authorities`? */
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

/** Node's text of the extension, `DNS:a, URI:"b, c"`, in parts: quotes keep a value from posing as two. */
export function alternativeNames(text: string): string[] {
  return [...text.matchAll(/([A-Za-z][A-Za-z ]*):("(?:\\.|[^"\\])*"|[^,]*)(?:, |$)/gy)].map(
    ([, kind = "", value = ""]) => `${kind}:${value.startsWith('"') ? String(JSON.parse(value)) : value}`,
  );
}

const reasons: Readonly<Record<string, Refusal>> = {
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

/** What a code of OpenSSL or Node means for people. */
export const refusalOf = (code: string): Refusal => reasons[code] ?? "invalid";
