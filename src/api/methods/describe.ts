/** Converts the state of the log and of the cluster to messages, for Describe, Watch and GetServers. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ClusterStateSchema,
  DescribeResponse,
  DescribeResponseSchema,
  SpaceUseSchema,
} from "../../gen/log/v1/log_pb.js";
import type { LogSpace, SpaceUse } from "../../lib/disk/space-use.ts";
import type { CommitLog } from "../../types.ts";
import type { ClusterView } from "../cluster-view.ts";

type Description = Exclude<MessageInitShape<typeof DescribeResponseSchema>, DescribeResponse>;

/** `mayName`: the caller may know this log. Default: no log. */
export async function describe(
  log: CommitLog,
  cluster: ClusterView,
  version: string,
  mayName: (log: string) => boolean = () => false,
): Promise<Description> {
  const found = await log.describe();
  return {
    lowestOffset: BigInt(found.lowest),
    nextOffset: BigInt(found.next),
    bytes: BigInt(found.bytes),
    segments: found.segments.map((segment) => ({
      baseOffset: BigInt(segment.baseOffset),
      nextOffset: BigInt(segment.nextOffset),
      bytes: BigInt(segment.bytes),
      indexEntries: BigInt(segment.indexEntries),
      sealed: segment.sealed,
      firstTimestampMs: BigInt(segment.firstTimestampMs),
      lastTimestampMs: BigInt(segment.lastTimestampMs),
    })),
    nodeId: cluster.nodeId,
    clusterId: cluster.clusterId,
    version,
    sync: found.sync,
    diskFreeBytes: BigInt(found.diskFreeBytes),
    ...(found.space === undefined ? {} : { space: spaceOf(found.space, mayName) }),
  };
}

function spaceOf(
  space: SpaceUse,
  mayName: (log: string) => boolean,
): MessageInitShape<typeof SpaceUseSchema> {
  const shown = (logs: readonly LogSpace[]) =>
    logs.filter(({ name }) => mayName(name)).map(({ name, bytes }) => ({ name, bytes: BigInt(bytes) }));
  return {
    bytes: BigInt(space.bytes),
    removedBytes: BigInt(space.removedBytes),
    deletedBytes: BigInt(space.deletedBytes),
    reclaimableBytes: BigInt(space.reclaimableBytes),
    removed: shown(space.removed),
    keeping: shown(space.keeping),
    ageMs: BigInt(space.ageMs),
  };
}

export function clusterStateOf(cluster: ClusterView): MessageInitShape<typeof ClusterStateSchema> {
  return {
    nodeId: cluster.nodeId,
    leaderId: cluster.leaderId ?? "",
    term: BigInt(cluster.term),
    hasQuorum: cluster.hasQuorum,
    nodes: cluster.nodes().map((node) => ({
      id: node.id,
      rpcAddr: node.rpcAddr,
      role: node.role,
      commitIndex: BigInt(node.commitIndex),
      appliedIndex: BigInt(node.appliedIndex),
      lag: BigInt(node.lag),
      lastContactMs: BigInt(Math.max(0, Math.round(node.lastContactMs))),
      version: node.version,
      healthy: node.healthy,
      lastOffset: BigInt(node.lastOffset),
    })),
  };
}
