/**
 * What a node says of itself in gossip, and what we make of what others say. Pure.
 *
 *   role       tailrace
 *   cluster    the cluster's id; absent in a node that waits to be added to one
 *   rpc_addr   where its clients and peers reach it (the book's tag)
 *   directory  the id of its data directory, 32 hexadecimal digits
 *   version    of the program
 *
 * Tags are hints: anybody in gossip can forge them. They say whom to ask, never whom to trust.
 *
 * Never: gives anybody a right.
 */
import { Fault } from "../../fault.ts";
import type { Admission, Tags } from "../../membership/mod.ts";

/** The role of our nodes. Whoever has another, or none, is an observer: an operator's tool. */
const nodeRole = "tailrace";

export interface NodeTags {
  /** Undefined: not in a cluster yet. */
  readonly clusterId: string | undefined;
  readonly rpcAddr: string;
  readonly directory: string;
  readonly version: string;
}

export function encodeNodeTags({ clusterId, rpcAddr, directory, version }: NodeTags): Tags {
  return {
    role: nodeRole,
    ...(clusterId === undefined ? {} : { cluster: clusterId }),
    rpc_addr: rpcAddr,
    directory,
    version,
  };
}

/** What a member says it is; undefined: an observer, which never becomes a learner or a voter. */
export function parseNodeTags(tags: Tags): NodeTags | undefined {
  const { role, cluster, rpc_addr: rpcAddr, directory, version } = tags;
  if (role !== nodeRole || rpcAddr === undefined || directory === undefined) return undefined;
  return { clusterId: cluster, rpcAddr, directory, version: version ?? "" };
}

/** Keeps nodes of other clusters out. A node that is in none yet keeps nobody out. */
export function clusterAdmission(ownClusterId: () => string | undefined): Admission {
  return (name, tags) => {
    const own = ownClusterId();
    const theirs = parseNodeTags(tags)?.clusterId;
    if (own === undefined || theirs === undefined || theirs === own) return undefined;
    return new Fault("failed-precondition", {
      message: "a node of another cluster is not let into this one",
      facts: { name, cluster: theirs, ownCluster: own },
    });
  };
}
