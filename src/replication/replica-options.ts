/** What a replica is made of and how it is set up. */
import type { Prng } from "../lib/prng.ts";
import type { Logger } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { LogSettings, QueueLimits, SegmentedLogOptions, SyncMode, SyncPolicy } from "../log/mod.ts";
import type { RaftNodeOptions, RaftTransport } from "../raft/mod.ts";
import type { NodeId } from "../types.ts";
import type { Forwarder } from "./forwarder.ts";
import type { QuotaLimits } from "./logs/log-quotas.ts";
import type { LogTime } from "./time/log-time.ts";

export interface ReplicaOptions extends Omit<SegmentedLogOptions, "unsynced"> {
  readonly clock: Clock;
  /** Must differ between nodes, so that their election timeouts differ. */
  readonly random: Prng;
  readonly name: NodeId;
  readonly address: string;
  /** The settings that this node replicates when it becomes the leader. */
  readonly settings: LogSettings;
  /** Default: this node's clock alone, without the clocks of peers. */
  readonly time?: LogTime;
  readonly transport: RaftTransport;
  readonly forwarder: Forwarder;
  /** Default "always". */
  readonly sync?: SyncMode;
  /** Default: defaultReserveBytes(). 0 keeps no reserve. */
  readonly reserveBytes?: number | undefined;
  readonly queue?: QueueLimits;
  readonly quotas?: QuotaLimits;
  readonly syncPolicy?: SyncPolicy;
  /** Appends that take longer are logged, in milliseconds. Default 0: none. */
  readonly slowAppendMs?: number;
  readonly logger?: Logger;
  /** The members that do not have this level, or are not connected. Default none. */
  readonly membersWithout?: (level: number) => readonly string[];
  /** Ticks and limits of Raft. Default: those of RaftNode. */
  readonly raft?: Partial<
    Omit<
      RaftNodeOptions,
      | "peer"
      | "clock"
      | "random"
      | "storage"
      | "transport"
      | "machine"
      | "onChange"
      | "onHandOver"
      | "onFailure"
    >
  >;
}
