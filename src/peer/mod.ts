/** The peer module: connections between nodes, for Raft messages and forwarded requests. See DESIGN.md. */
export type { PeerHello } from "./handshake/introduction.ts";
export type { ForwardedCall, ForwardedStart, PeerService } from "./incoming/request-server.ts";
export type { PeerNetworkOptions } from "./options.ts";
export { PeerNetwork } from "./peer-network.ts";
