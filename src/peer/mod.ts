/** The peer module: connections between nodes, for Raft's messages and forwarded requests. See DESIGN.md. */
export type { PeerHello } from "./handshake.ts";
export type { PeerNetworkOptions } from "./options.ts";
export { PeerNetwork } from "./peers.ts";
export type { ForwardedCall, ForwardedStart, PeerService } from "./request-server.ts";
