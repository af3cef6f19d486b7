/**
 * What membership can be told, and the limits it has otherwise.
 *
 * Never: reads a flag or a file.
 */

import type { Disk } from "../lib/disk/disk.ts";
import type { Prng } from "../lib/prng.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { Tags } from "./serf/tags.ts";
import type { Admission } from "./swim/duties.ts";
import type { Timing } from "./swim/timing.ts";
import type { StreamLimits } from "./transport/streams.ts";
import type { Transport, TransportOptions } from "./transport/transport.ts";

export interface MembershipOptions {
  /** Unique in the cluster, 1 to 128 bytes. */
  readonly name: string;
  /** The address to bind, UDP and (with `listen`) TCP; port 0 picks one that is free for both. */
  readonly host: string;
  readonly port: number;
  /** `host:port` or `host` that others reach us at; default the bound address. */
  readonly advertise?: string;
  readonly tags?: Tags;
  /** Gossip keys in base64, the primary one first; absent: plaintext. */
  readonly keys?: readonly string[];
  /** memberlist's label; the Serf agent has none. */
  readonly label?: string;
  /** Default true: TCP on a listener of our own. False: only what accept() hands over. */
  readonly listen?: boolean;
  /** Where to remember the cluster; absent: nowhere. */
  readonly snapshot?: { readonly disk: Disk; readonly path: string };
  /** Who may be a member; absent: everybody. */
  readonly admission?: Admission;
  readonly timing?: Partial<Timing>;
  /** Members known at a time, the gone ones included; default 4,096. */
  readonly membersMax?: number;
  /** Default 1,400 bytes, all layers included. */
  readonly packetBytesMax?: number;
  readonly streams?: Partial<StreamLimits>;
  readonly clock?: Clock;
  readonly prng?: Prng;
  /** For tests: a network with faults. */
  readonly openTransport?: (options: TransportOptions) => Promise<Transport>;
}

export const defaults = {
  membersMax: 4_096,
  packetBytesMax: 1_400,
  /** setTags waits at most so long for the others to be told. */
  tagsToldMs: 5_000,
  streams: {
    bytesMax: 8 * 1024 * 1024,
    inboundMax: 64,
    inboundBytesMax: 32 * 1024 * 1024,
    timeoutMs: 10_000,
  },
} as const;
