/**
 * Encodes and decodes a node's gossip tags.
 *
 *   role       tailrace
 *   cluster    the cluster's id; absent if the node waits to be added to one
 *   rpc_addr   where clients and peers reach it (the tag of *Distributed Services with Go*)
 *   directory  the id of its data directory, 32 hexadecimal digits
 *   version    of the program
 *
 * Any member can forge tags. They are hints, and give no permission.
 */
import { Fault } from "../../fault.ts";
import type { Admission, Tags } from "../../membership/mod.ts";

/** A member with another role, or none, is an observer: an operator's tool. */
const nodeRole = "tailrace";

export interface NodeTags {
  /** Undefined: in no cluster yet. */
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

/** Returns undefined for an observer, which never becomes a learner or a voter. */
export function parseNodeTags(tags: Tags): NodeTags | undefined {
  const { role, cluster, rpc_addr: rpcAddr, directory, version } = tags;
  if (role !== nodeRole || rpcAddr === undefined || directory === undefined) return undefined;
  return { clusterId: cluster, rpcAddr, directory, version: version ?? "" };
}

/** Refuses nodes of other clusters. A node that is in no cluster yet refuses none. */
export function clusterAdmission(ownClusterId: () => string | undefined): Admission {
  return (name, tags) => {
    const own = ownClusterId();
    const theirs = parseNodeTags(tags)?.clusterId;
    if (own === undefined || theirs === undefined || theirs === own) return undefined;
    return new Fault("failed-precondition", {
      message: "a node of another cluster is refused",
      facts: { name, cluster: theirs, ownCluster: own },
    });
  };
}
