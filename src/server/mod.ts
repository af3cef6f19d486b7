/** The exports of the module. Other modules import from here only. */
export { checkFree } from "./bind.ts";
export { connectionLimits, descriptorReserve } from "./connections/connection-limits.ts";
export { descriptorLimit } from "./connections/descriptor-limit.ts";
export { observeDescriptors } from "./connections/observe-descriptors.ts";
export { raftMarker } from "./connections/protocol-detection.ts";
export { Listener, type PortHandlers } from "./listener.ts";
export { openOps, opsPortBeside } from "./ops/ops-address.ts";
export { NodeTls } from "./tls/node-tls.ts";
export { peerProtocol } from "./tls/peer-protocol.ts";
