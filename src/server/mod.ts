/** The exports of the module. Other modules import from here only. */
export { checkFree } from "./bind.ts";
export { connectionLimits, descriptorReserve } from "./connections/connection-limits.ts";
export { descriptorLimit } from "./connections/descriptor-limit.ts";
export { Listener, type PeerDoors } from "./listener.ts";
export { openOps } from "./ops-address.ts";
export { raftMarker } from "./protocol-detection.ts";
export { NodeTls, peerProtocol } from "./tls.ts";
