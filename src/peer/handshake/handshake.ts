/**
 * Who may be a peer: both ends introduce themselves before anything else is said. Pure.
 *
 *   caller     preamble hello ──────────►   judged: permission, protocol, group, cluster, directory, boot number
 *              open ◄─────────── preamble welcome │ refusal{reason} and the end
 *
 * A lane of Raft's (control, bulk) needs one cluster id on both ends, and the directory that the configuration knows
 * under that name. A visit may come from a node that is in no cluster yet, or whose directory is new: what it may ask
 * is decided by who answers. Nobody is let in who belongs to another cluster.
 *
 * Never: trusts a name without its directory, tells a caller that is not permitted anything about the cluster.
 */
import { Fault, type FaultKind } from "../../fault.ts";
import { fromHex } from "../../lib/bytes.ts";
import { fieldsOf } from "../../lib/fields.ts";
import { type BootClaim, claimOf, pack, peerIdOf, unpackChecked } from "../../replication/mod.ts";
import { type EncodedPeerFrame, encodePeerFrame, malformed, type PeerFrame } from "../wire/peer-frame.ts";

/** Of the messages that follow the handshake. Both ends must speak the same. */
export const peerProtocol = 1;
/** The only group of replicas until there are several logs. */
export const defaultGroup = "default";

/** How a node introduces itself. */
export interface PeerHello {
  readonly name: string;
  /** The identity of its data directory, in hexadecimal (directoryText). */
  readonly directory: string;
  /** Undefined: it belongs to no cluster yet. Raft's messages are exchanged only between nodes of the same. */
  readonly clusterId: string | undefined;
  /** Does its directory hold a configuration? */
  readonly configured: boolean;
  /** Of the software. */
  readonly version: string;
  /** Where it is to be reached. */
  readonly address: string;
  readonly wallMs: number;
  /** The boot number of its directory; undefined of a node of an earlier version: then nothing is known, or checked. */
  readonly boot?: BootClaim;
}

/** What a connection is for: votes, heartbeats, answers; appends and forwarded records; a question or two. */
export type ConnectionPurpose = "control" | "bulk" | "visit";

export interface Introduction {
  readonly protocol: number;
  readonly group: string;
  readonly lane: ConnectionPurpose;
  readonly hello: PeerHello;
}

/** Why two nodes do not speak with each other, and the fault that a caller gets for it. */
const reasons = {
  "not-permitted": "permission-denied",
  "other-version": "unsupported-version",
  "other-group": "failed-precondition",
  "other-cluster": "failed-precondition",
  "no-cluster": "failed-precondition",
  "other-directory": "foreign-directory",
  /** A node that called itself. */
  self: "failed-precondition",
  /** Somebody else answers where a member was expected. */
  "other-node": "failed-precondition",
  "too-many": "unavailable",
  /** Its directory lacks what it has promised, or a later start of it was seen. */
  "rolled-back": "foreign-directory",
  /** Its directory is a copy of that of a member that is running. */
  copy: "foreign-directory",
  /** Another process with this directory may still be running: it is asked. */
  "in-use": "unavailable",
  /** This node takes no part itself. */
  "no-part": "unavailable",
} as const satisfies Record<string, FaultKind>;

export type RefusalReason = keyof typeof reasons;

export interface Refusal {
  readonly reason: RefusalReason;
  readonly message: string;
}

export const refusalFault = ({ reason, message }: Refusal): Fault =>
  new Fault(reasons[reason], { message, facts: { reason } });

/** The same of a refusal that the other end has sent: it is about this node. */
export const refusedByPeer = ({ reason, message }: Refusal): Fault =>
  new Fault(reasons[reason], { message, facts: { reason, refusedByPeer: true } });

/** What the judging end knows. */
export interface HandshakeContext {
  readonly self: PeerHello;
  /** The directory that the configuration has under this name. */
  directoryOf(name: string): string | undefined;
  /** Why this node may not be a peer here, if so. */
  allowed(hello: PeerHello): string | undefined;
  /** Why its claim to its directory does not hold, if so. Where it holds, it is accepted. */
  claimed?(hello: PeerHello): Refusal | undefined;
}

/** Why a caller is not let in, if so. */
export function checkCaller(caller: Introduction, judge: HandshakeContext): Refusal | undefined {
  const { hello, lane } = caller;
  const notAllowed = judge.allowed(hello);
  if (notAllowed !== undefined) return { reason: "not-permitted", message: notAllowed };
  const refusal = judgeEither(caller, judge.self);
  if (refusal !== undefined || lane === "visit") return refusal;
  const { self } = judge;
  if (self.clusterId === undefined || hello.clusterId === undefined) {
    return { reason: "no-cluster", message: `${bare(self, hello)} belongs to no cluster yet` };
  }
  const known = judge.directoryOf(hello.name);
  if (known !== undefined && known !== hello.directory) {
    return {
      reason: "other-directory",
      message: `the member ${hello.name} has directory ${known}, the caller ${hello.directory}`,
    };
  }
  return judge.claimed?.(hello);
}

/** Why a node that answered is not spoken with, if so. `expected` is the member that was called. */
export function checkResponder(
  answerer: Introduction,
  self: PeerHello,
  expected: Pick<PeerHello, "name" | "directory"> | undefined,
  claimed?: HandshakeContext["claimed"],
): Refusal | undefined {
  const refusal = judgeEither(answerer, self);
  if (refusal !== undefined || expected === undefined) return refusal;
  const { name, directory } = answerer.hello;
  if (name !== expected.name) {
    return { reason: "other-node", message: `${name} answers where ${expected.name} was expected` };
  }
  if (directory !== expected.directory) {
    return {
      reason: "other-directory",
      message: `the member ${name} has directory ${expected.directory}, the node that answers ${directory}`,
    };
  }
  return claimed?.(answerer.hello);
}

function judgeEither({ protocol, group, hello }: Introduction, self: PeerHello): Refusal | undefined {
  if (protocol !== peerProtocol) {
    return {
      reason: "other-version",
      message: `the peer speaks protocol ${protocol} (version ${hello.version}), this node ${peerProtocol} (${self.version})`,
    };
  }
  if (group !== defaultGroup) return { reason: "other-group", message: `there is no group ${group} here` };
  if (hello.directory === self.directory) return { reason: "self", message: "the node called itself" };
  if (hello.clusterId !== undefined && self.clusterId !== undefined && hello.clusterId !== self.clusterId) {
    return {
      reason: "other-cluster",
      message: `${hello.name} belongs to cluster ${hello.clusterId}, ${self.name} to ${self.clusterId}`,
    };
  }
  return undefined;
}

const bare = (...hellos: PeerHello[]): string =>
  hellos.find(({ clusterId }) => clusterId === undefined)?.name ?? "nobody";

/** The number that a node of this directory has in Raft. */
export const peerOfHello = ({ directory }: Pick<PeerHello, "directory">): number =>
  peerIdOf(fromHex(directory));

export function encodeIntroduction(
  kind: "hello" | "welcome",
  lane: ConnectionPurpose,
  hello: PeerHello,
): EncodedPeerFrame {
  return encodePeerFrame(kind, pack({ protocol: peerProtocol, group: defaultGroup, lane, hello }));
}

export function encodeRefusal({ reason, message }: Refusal): EncodedPeerFrame {
  return encodePeerFrame("refusal", pack({ reason, message: message.slice(0, 1024) }));
}

/** Throws Fault "bad-request" for what is none. */
export function decodeIntroduction({ head }: PeerFrame): Introduction {
  const { value } = unpackChecked(head);
  const { protocol, group, lane, hello } = fieldsOf(value);
  const { name, directory, clusterId, configured, version, address, wallMs, boot } = fieldsOf(hello);
  const claim = boot === undefined ? undefined : claimOf(boot);
  if (
    typeof protocol !== "number" ||
    !isText(group) ||
    (lane !== "control" && lane !== "bulk" && lane !== "visit") ||
    !isText(name) ||
    !isText(directory) ||
    !/^[0-9a-f]{32}$/.test(directory) ||
    !(clusterId === undefined || isText(clusterId)) ||
    typeof configured !== "boolean" ||
    !isText(version) ||
    !isText(address) ||
    typeof wallMs !== "number" ||
    !Number.isFinite(wallMs) ||
    (boot !== undefined && claim === undefined)
  ) {
    throw malformed("head");
  }
  return {
    protocol,
    group,
    lane,
    hello: {
      ...{ name, directory, clusterId, configured, version, address, wallMs },
      ...(claim === undefined ? {} : { boot: claim }),
    },
  };
}

/** Throws Fault "bad-request" for what is none. */
export function decodeRefusal({ head }: PeerFrame): Refusal {
  const { reason, message } = fieldsOf(unpackChecked(head).value);
  if (typeof reason !== "string" || typeof message !== "string") throw malformed("head");
  // A reason that only a later version knows is still a refusal.
  return { reason: reason in reasons ? (reason as RefusalReason) : "not-permitted", message };
}
const isText = (value: unknown): value is string =>
  typeof value === "string" && value.length > 0 && value.length <= 255;
