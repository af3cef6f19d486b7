/**
 * Opens the replica in a data directory, with the settings of the node. The replica does not run yet: NodeCluster starts
 * it when the node's cluster is known.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Fault } from "../fault.ts";
import { heapMapper, systemMapper } from "../lib/disk/mapped-file.ts";
import { systemDisk } from "../lib/disk/system-disk.ts";
import { prng, systemSeed } from "../lib/prng.ts";
import type { Telemetry } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import { parseDuration } from "../lib/value-kind.ts";
import { defaultSettings, type LogSettings, type SyncMode, settlePaceOf } from "../log/mod.ts";
import {
  CursorLags,
  checkRestored,
  observeLogs,
  Replica,
  type ReplicaOptions,
  StableState,
} from "../replication/mod.ts";
import { openRowStore, removeUnfinished } from "../rows/mod.ts";
import type { Config } from "./config/settings.ts";
import { type DataDirectory, withRepair } from "./data-directory.ts";

export interface OpenReplicaOptions
  extends Pick<ReplicaOptions, "name" | "address" | "time" | "transport" | "forwarder" | "membersWithout"> {
  readonly config: Config;
  readonly directory: DataDirectory;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /** Size of the log's caches and queues, as a share of their full size: 1/8 to 1. */
  readonly sizeShare: number;
}

const MiB = 2 ** 20;

/**
 * @throws Fault "config", "foreign-directory", "unsupported-version" or "corrupt"; "failed-precondition" if a restore of the
 * directory did not complete
 */
export function openReplica(options: OpenReplicaOptions): Replica {
  const { config, directory, telemetry, clock, name, address, transport, forwarder } = options;
  const { log: logger, metrics, tracer } = telemetry;
  try {
    checkRestored(directory.store, directory.path);
    const { clusterId, configured } = new StableState(directory.store);
    if (clusterId !== undefined && config.clusterId !== undefined && clusterId !== config.clusterId) {
      throw new Fault("foreign-directory", {
        message: `the directory belongs to cluster ${clusterId}, not ${config.clusterId}`,
      });
    }
    const meta = join(directory.path, "meta");
    removeUnfinished(meta);
    const replica = Replica.open({
      directory: directory.path,
      disk: systemDisk,
      store: directory.store,
      rowStore: openRowStore(meta),
      mapper: (config.indexMmap === "on" ? systemMapper() : undefined) ?? heapMapper(systemDisk),
      newDirectoryId: randomBytes(16),
      // A node that was added to a cluster gets the start of its log from the leader.
      initialOffset: clusterId !== undefined && !configured ? 0 : config.initialOffset,
      clock,
      random: prng(systemSeed()),
      name,
      address,
      sync: syncModeOf(config.sync),
      settings: settingsOf(config),
      reserveBytes: config.reserveBytes,
      scrubBytesPerSecond: config.scrubBytesPerSecond,
      settleBytesPerSecond: config.settleBytesPerSecond,
      ...(config.settleBytesPerSecond > 0 ? { settlePace: settlePaceOf(config.settleInterval) } : {}),
      countSpace: true,
      ...(options.time === undefined ? {} : { time: options.time }),
      ...(options.membersWithout === undefined ? {} : { membersWithout: options.membersWithout }),
      ...sizesOf(options.sizeShare),
      quotas: config,
      slowAppendMs: config.slowAppendTime,
      transport,
      forwarder,
      logger,
      telemetry: { metrics, tracer, clock },
    });
    const table = () => replica.storedLog.state.logs;
    const lags = new CursorLags({ clock, table, bounds: () => replica.storedLog.bounds });
    observeLogs(metrics, table, replica.quotas, lags);
    return replica;
  } catch (reason) {
    throw withMemberAdvice(withRepair(reason, directory.path), directory);
  }
}

/** Damage of a node whose log other members have: repair loses nothing, and an empty directory works too. */
function withMemberAdvice(reason: unknown, { path, store }: DataDirectory): unknown {
  if (!(reason instanceof Fault) || reason.kind !== "corrupt") return reason;
  const count = membersIn(store);
  if (count < 2) return reason;
  const part = `This node is one of ${count} members of its cluster and takes no part until it is repaired`;
  // In a cluster of two, the other member has no quorum to replace this one.
  const orEmpty = count === 2 ? "" : `, or move ${path} away,`;
  return new Fault("corrupt", {
    message: `${reason.message}. ${part}: repair it with --yes${orEmpty} and start it with the same flags; the leader sends the missing entries`,
    facts: reason.facts,
    cause: reason,
  });
}

/** The number of members in the newest stored configuration; 0 if it cannot be read. */
function membersIn(store: DataDirectory["store"]): number {
  try {
    const { roster } = new StableState(store).configurationAt(Number.MAX_SAFE_INTEGER);
    return roster?.members.length ?? 0;
  } catch (reason) {
    if (reason instanceof Fault) return 0;
    throw reason;
  }
}

/** Sizes of caches and queues. A queue holds at least a few of the largest messages, whatever the share. */
function sizesOf(
  share: number,
): Pick<ReplicaOptions, "frameCacheBytesMax" | "readCacheBytesMax" | "queue" | "raft"> {
  return {
    frameCacheBytesMax: 16 * MiB * share,
    readCacheBytesMax: 8 * MiB * share,
    // One client has a quarter of it in one log.
    queue: { bytesMax: Math.max(32 * MiB, 64 * MiB * share), appendsMax: 131_072 },
    raft: { uncommittedBytesMax: Math.max(32 * MiB, 64 * MiB * share) },
  };
}

function settingsOf(config: Config): LogSettings {
  return {
    ...defaultSettings,
    segmentStoreBytesMax: config.segmentStoreBytesMax,
    segmentIndexBytesMax: config.segmentIndexBytesMax,
    segmentAgeMaxMs: config.segmentAgeMax,
    retentionBytes: config.retentionBytes,
    retentionAgeMs: config.retentionAge,
  };
}

function syncModeOf(text: string): SyncMode {
  if (text === "always" || text === "never") return text;
  return { intervalMs: parseDuration(text.slice("interval=".length)) ?? 1000 };
}
