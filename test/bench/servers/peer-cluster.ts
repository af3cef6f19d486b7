/** What the suite `peers` asks of each server, with one node and with three: appends of one record of 100 bytes to one log. */
import type { Program } from "./program.ts";

export interface PeerCluster {
  readonly name: string;
  /** When an append is acknowledged, for the report. */
  readonly durability: string;
  /** A process for each node. */
  readonly programs: readonly Program[];
  /** Connects to the leader. Rejects while there is none. */
  connect(): Promise<AppendClient>;
}

export interface AppendClient {
  /** Appends one record. Resolves when it is acknowledged, and rejects when it is refused. */
  append(): Promise<void>;
  close(): void;
}
