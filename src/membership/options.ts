/** The options of membership, and their defaults. */

import type { Disk } from "../lib/disk/disk.ts";
import type { Prng } from "../lib/prng.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { Admission } from "./admission.ts";
import type { Tags } from "./serf/tags.ts";
import type { Timing } from "./swim/timing.ts";
import type { StreamLimits } from "./transport/streams.ts";
import type { Transport, TransportOptions } from "./transport/transport.ts";

export interface MembershipOptions {
  /** Unique in the cluster, 1 to 128 bytes. */
  readonly name: string;
  /** The address to bind, for UDP and (with `listen`) TCP. Port 0: a port that is free for both. */
  readonly host: string;
  readonly port: number;
  /** The `host:port` or `host` at which others reach this member. Default: the bound address. */
  readonly advertise?: string;
  /** Default: none. At most 512 bytes encoded. */
  readonly tags?: Tags;
  /** Gossip keys in base64, the primary one first. Default: plaintext. */
  readonly keys?: readonly string[];
  /** memberlist's label. Default: none, as the Serf agent has it. */
  readonly label?: string;
  /** Listen for TCP. If false, streams come only through accept(). Default true. */
  readonly listen?: boolean;
  /** The snapshot file, for rejoining after a restart. Default: none. */
  readonly snapshot?: { readonly disk: Disk; readonly path: string };
  /** Decides which members are admitted. Default: all. */
  readonly admission?: Admission;
  /** Default: memberlist's for a local network (lanTiming). */
  readonly timing?: Partial<Timing>;
  /** Most members that are known, left and failed ones included. Default 4,096. */
  readonly membersMax?: number;
  readonly streams?: Partial<StreamLimits>;
  /** Default: the system's clock. */
  readonly clock?: Clock;
  /** Default: a generator with an unpredictable seed. */
  readonly prng?: Prng;
  /** Tests replace the network. Default: sockets. */
  readonly openTransport?: (options: TransportOptions) => Promise<Transport>;
}

/** Largest datagram in bytes, all layers included. */
export const packetBytesMax = 1_400;

export const defaults = {
  membersMax: 4_096,
  /** Longest time that setTags waits for the broadcast. */
  tagsBroadcastMs: 5_000,
  streams: {
    bytesMax: 8 * 1024 * 1024,
    inboundMax: 64,
    inboundBytesMax: 32 * 1024 * 1024,
    timeoutMs: 10_000,
  },
} as const;
