/** Detects the protocol of a connection by its first bytes, so that all protocols share one port. */

export type PortProtocol = "tls" | "http1" | "http2" | "raft" | "gossip" | "unknown";

/** How many bytes detectProtocol() needs. */
export const detectionBytes = 3;

/** The first byte of a Raft link in plaintext. */
export const raftMarker = 0xa7;

/** The first byte of a TLS handshake record (RFC 8446 §5.1). */
const tlsHandshake = 0x16;
/** memberlist: message types on a stream are 0 to 13; the label header is 0xf4. */
const gossipTypeMax = 13;
const gossipLabel = 0xf4;
/** The first bytes of the HTTP/2 preface. No method of HTTP/1.1 in use begins so. */
const http2Preface = Buffer.from("PRI");

/** `head` must have at least detectionBytes. */
export function detectProtocol(head: Uint8Array): PortProtocol {
  const first = head[0] as number;
  if (first === tlsHandshake) return "tls";
  if (first === raftMarker) return "raft";
  if (first <= gossipTypeMax || first === gossipLabel) return "gossip";
  if (http2Preface.equals(head.subarray(0, detectionBytes))) return "http2";
  // A method begins with a capital letter. The HTTP/1.1 parser checks the rest.
  return first >= 0x41 && first <= 0x5a ? "http1" : "unknown";
}
