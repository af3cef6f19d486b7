/**
 * What a connection speaks, told by its first bytes (INTERFACE, "First bytes on the port"). Pure.
 *
 * Never: reads a socket.
 */

export type Protocol = "tls" | "h2c" | "http1" | "raft" | "gossip" | "nothing";

/** How many bytes must be there before anything is decided. */
export const detectionBytes = 3;

/** The byte a Raft peer begins with on a plaintext port. */
export const raftMarker = 0xa7;

/** memberlist's types of messages on a stream, and its label header. */
const gossipTypeMax = 13;
const gossipLabel = 0xf4;

/** Tells it by at least `detectionBytes` bytes. */
export function detectProtocol(head: Uint8Array): Protocol {
  const first = head[0]!;
  if (first === 0x16) return "tls";
  if (first === raftMarker) return "raft";
  if (first <= gossipTypeMax || first === gossipLabel) return "gossip";
  if (first === 0x50 && head[1] === 0x52 && head[2] === 0x49) return "h2c";
  // A method begins with a capital letter; that is all HTTP/1's own parser need be shown.
  return first >= 0x41 && first <= 0x5a ? "http1" : "nothing";
}
