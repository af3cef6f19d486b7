/**
 * Checks the introductions of the handshake. Pure.
 *
 *   caller     preamble hello ──────────►   checks: permission, protocol, group, cluster, directory, boot number
 *              open ◄─────────── preamble welcome │ refusal{reason}, then the end of the stream
 *
 * A channel needs the same cluster id on both nodes, and the directory that the configuration has for the member's name.
 * A probe is also accepted from a node without a cluster or with a new directory, but not from another cluster.
 *
 * The permission is checked first: a caller without permission learns nothing about the cluster.
 */
import { defaultGroup, type Introduction, type PeerHello, peerProtocol } from "./introduction.ts";
import type { Refusal } from "./refusal.ts";

/** What the checking node knows. */
export interface HandshakeContext {
  readonly self: PeerHello;
  /** The directory of the member with this name in the configuration. */
  directoryOf(name: string): string | undefined;
  /** Returns why the caller has no permission to be a peer, or undefined. */
  denied(hello: PeerHello): string | undefined;
  /** Checks the boot number. Accepts it, or returns why it is refused. */
  checkBoot?(hello: PeerHello): Refusal | undefined;
}

/** Returns why a caller is refused, or undefined. */
export function checkCaller(caller: Introduction, context: HandshakeContext): Refusal | undefined {
  const { hello, purpose } = caller;
  const denied = context.denied(hello);
  if (denied !== undefined) return { reason: "not-permitted", message: denied };
  const { self } = context;
  const refusal = checkBoth(caller, self);
  if (refusal !== undefined || purpose === "probe") return refusal;
  const withoutCluster = [self, hello].find(({ clusterId }) => clusterId === undefined);
  if (withoutCluster !== undefined) {
    return { reason: "no-cluster", message: `${withoutCluster.name} belongs to no cluster yet` };
  }
  const known = context.directoryOf(hello.name);
  if (known !== undefined && known !== hello.directory) {
    return {
      reason: "other-directory",
      message: `the member ${hello.name} has directory ${known}, the caller ${hello.directory}`,
    };
  }
  return context.checkBoot?.(hello);
}

/** Returns why a node that responded is refused, or undefined. `expected` is the member that was dialed. */
export function checkResponder(
  responder: Introduction,
  self: PeerHello,
  expected: Pick<PeerHello, "name" | "directory"> | undefined,
  checkBoot?: HandshakeContext["checkBoot"],
): Refusal | undefined {
  const refusal = checkBoth(responder, self);
  if (refusal !== undefined || expected === undefined) return refusal;
  const { name, directory } = responder.hello;
  if (name !== expected.name) {
    return { reason: "other-node", message: `${name} responds at the address of ${expected.name}` };
  }
  if (directory !== expected.directory) {
    return {
      reason: "other-directory",
      message: `the member ${name} has directory ${expected.directory}, the node that responds ${directory}`,
    };
  }
  return checkBoot?.(responder.hello);
}

/** Returns why a node cannot follow the log of another one, or undefined. */
function lackingLevel(node: PeerHello, other: PeerHello): string | undefined {
  const { level = 0 } = node;
  const { levelOfLog = 0 } = other;
  if (level >= levelOfLog) return undefined;
  return `the log of ${other.name} has level ${levelOfLog}, ${node.name} (version ${node.version}) has level ${level}`;
}

function checkBoth({ protocol, group, hello }: Introduction, self: PeerHello): Refusal | undefined {
  if (protocol !== peerProtocol) {
    return {
      reason: "other-version",
      message: `the peer uses protocol ${protocol} (version ${hello.version}), this node ${peerProtocol} (${self.version})`,
    };
  }
  const lacking = lackingLevel(hello, self) ?? lackingLevel(self, hello);
  if (lacking !== undefined) return { reason: "other-version", message: lacking };
  if (group !== defaultGroup) return { reason: "other-group", message: `this node has no group ${group}` };
  if (hello.directory === self.directory) return { reason: "self", message: "the node called itself" };
  if (hello.clusterId !== undefined && self.clusterId !== undefined && hello.clusterId !== self.clusterId) {
    return {
      reason: "other-cluster",
      message: `${hello.name} belongs to cluster ${hello.clusterId}, ${self.name} to ${self.clusterId}`,
    };
  }
  return undefined;
}
