/** What TLS links between nodes agree on, and how a node checks the peer that it connects to. */
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { nodeNamesOf } from "../../access/mod.ts";
import { alternativeNames } from "./certificate-identity.ts";

/** The ALPN protocol of links between nodes. */
export const peerProtocol = "tailrace-raft";
/** The server name that a node asks a peer for. The peer then presents its peer certificate. */
export const peerServerName = "peer.tailrace";

/**
 * Returns why the certificate is not acceptable for the node `nodeName` at `host`. If the certificate names nodes, one
 * must be that node or `*`; if it names none, it must be valid for the host.
 */
export function checkPeerCertificate(
  certificate: PeerCertificate,
  host: string,
  nodeName: string | undefined,
): Error | undefined {
  const nodes = nodeNamesOf(alternativeNames(certificate.subjectaltname ?? ""));
  if (nodes.length === 0) return checkServerIdentity(host, certificate);
  if (nodeName === undefined || nodes.includes("*") || nodes.includes(nodeName)) return undefined;
  return new Error(`the certificate is of node ${nodes.join(", ")}, expected ${nodeName}`);
}
