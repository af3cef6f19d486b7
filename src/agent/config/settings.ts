/**
 * Every setting of a node, in one table: kind, default, a sentence. The setting `dataDir` is the flag --data-dir,
 * the variable TAILRACE_DATA_DIR and the key data-dir in the file.
 *
 * Never: reads a flag, a variable or a file (see read-config); looks at two settings at once (see check-config).
 */

import {
  address,
  bytes,
  duration,
  flag,
  integer,
  type Kind,
  list,
  oneOf,
  path,
  syncMode,
  text,
} from "../../lib/value-kind.ts";
import { initialOffsetMax } from "../../log/mod.ts";

export type Group = "Node" | "Cluster" | "Security" | "Log" | "Limits" | "Running";

export interface Setting<T> {
  readonly group: Group;
  readonly kind: Kind<T>;
  /** The default. */
  readonly value: T;
  readonly help: string;
  /** Its value is never printed. */
  readonly secret?: true;
}

const set = <T>(group: Group, kind: Kind<T>, value: T, help: string): Setting<T> => ({
  group,
  kind,
  value,
  help,
});

/** A setting that may be absent. */
function maybe<T>(group: Group, kind: Kind<T>, help: string): Setting<T | undefined> {
  const print = (value: T | undefined): string => (value === undefined ? "" : kind.print(value));
  return { group, kind: { ...kind, print }, value: undefined, help };
}

const MiB = 2 ** 20;
const hour = 3_600_000;
const day = 24 * hour;
/** Times relative to a segment's first are u32 milliseconds: 49 days. */
const segmentAgeMost = 49 * day - 1;
/** A batch and its header must fit a gRPC message of 4 MiB. */
const recordBytesMost = 4 * MiB - 64 * 1024;

export const settings = {
  addr: set(
    "Node",
    address,
    { host: "127.0.0.1", port: 8080 },
    "where everything is served; port 0 picks a free one",
  ),
  advertiseAddr: maybe("Node", address, "what others are told; needed when all interfaces are bound"),
  opsAddr: maybe(
    "Node",
    address,
    "probes and metrics, always plaintext; 127.0.0.1 and the port + 1000 when not given",
  ),
  dataDir: set("Node", path, "./data", "where the log lives"),
  nodeName: maybe("Node", text, "unique in the cluster; the host's name when not given"),
  configFile: maybe("Node", path, "YAML: these names without the dashes in front"),

  clusterId: maybe("Cluster", text, "which cluster this node belongs to; made at bootstrap when not given"),
  bootstrap: set("Cluster", flag, false, "begin a cluster of one that others can join"),
  bootstrapExpect: maybe(
    "Cluster",
    integer(1, 99),
    "begin a cluster once this many empty nodes see each other",
  ),
  startJoinAddrs: set("Cluster", list(address), [], "members to join"),
  gossipAddr: maybe("Cluster", address, "where membership is spoken; the one port when not given"),
  encrypt: {
    ...maybe("Cluster", text, "gossip key made by tailrace keygen; required off loopback"),
    secret: true as const,
  },

  serverTlsCertFile: maybe("Security", path, "the server's certificate, PEM; turns TLS on"),
  serverTlsKeyFile: maybe("Security", path, "its key, PEM"),
  serverTlsCaFile: maybe("Security", path, "who signs clients, PEM"),
  peerTlsCertFile: maybe("Security", path, "for the other nodes; the server's when not given"),
  peerTlsKeyFile: maybe("Security", path, "its key, PEM"),
  peerTlsCaFile: maybe("Security", path, "who signs the other nodes, PEM"),
  clientAuth: set(
    "Security",
    oneOf("require", "optional"),
    "require",
    "optional lets callers in without a certificate, as anonymous",
  ),
  allowExpiredCertificates: set(
    "Security",
    flag,
    false,
    "start although the node's own certificate has expired or is not valid yet",
  ),
  aclModelFile: maybe("Security", path, "Casbin model; built in when not given"),
  aclPolicyFile: maybe("Security", path, "Casbin policy, read again when it changes"),
  allowPlaintext: set("Security", flag, false, "serve plaintext off loopback too"),
  allowHosts: set(
    "Security",
    list(text),
    [],
    "host names a plaintext caller may name, besides localhost and addresses",
  ),
  corsOrigins: set(
    "Security",
    list(text),
    [],
    "web origins whose pages may call, such as https://example.org",
  ),

  segmentStoreBytesMax: set(
    "Log",
    bytes(1, 4 * 1024 * MiB - 1),
    64 * MiB,
    "a segment's store rolls at this size",
  ),
  segmentIndexBytesMax: set("Log", bytes(16, 4 * 1024 * MiB - 1), 16 * MiB, "and at this size of its index"),
  segmentAgeMax: set("Log", duration(1, segmentAgeMost), day, "and at this age"),
  initialOffset: set(
    "Log",
    integer(0, initialOffsetMax),
    0,
    "first offset of a new log; counts at bootstrap only",
  ),
  retentionBytes: set("Log", bytes(0), 0, "drop the oldest segments above this size; 0 keeps all"),
  retentionAge: set("Log", duration(0, 36_500 * day), 0, "drop segments older than this; 0 keeps all"),
  sync: set(
    "Log",
    syncMode,
    "always",
    "when appends are made durable; other than always, acknowledged records can be lost",
  ),
  reserveBytes: maybe(
    "Log",
    bytes(0),
    "room kept for a full disk; a segment and 64MiB when not given, but at most 1/16 of the volume",
  ),
  scrubBytesPerSecond: set(
    "Log",
    bytes(0),
    16 * MiB,
    "how fast sealed segments are read again to find damage; 0 never",
  ),
  indexMmap: set("Log", oneOf("on", "off"), "on", "map sealed indexes into memory; off reads them"),

  recordBytesMax: set("Limits", bytes(1, recordBytesMost), MiB, "largest record"),
  requestBytesMax: set("Limits", bytes(1024, 4 * MiB), 4 * MiB, "largest message"),
  memoryBudgetBytes: maybe(
    "Limits",
    bytes(8 * MiB),
    "memory for requests and answers under way; a fifth of what the process may use, at most 1GiB, when not given",
  ),
  connectionsMax: set("Limits", integer(1, 1_000_000), 16_384, "connections of clients at once"),
  connectionsPerClientMax: set(
    "Limits",
    integer(0, 1_000_000),
    0,
    "of these from one address, and with one certificate's name; 0 is half of them",
  ),

  logLevel: set(
    "Running",
    oneOf("debug", "info", "warn", "error", "silent"),
    "info",
    "what is logged to stderr",
  ),
  metrics: set("Running", oneOf("on", "off"), "on", "off counts nothing: for measuring what counting costs"),
  debugTelemetry: maybe("Running", path, "directory to write metrics and traces into, as files"),
  shutdownTimeout: set(
    "Running",
    duration(0, hour),
    10_000,
    "how long calls under way may take to finish at the end",
  ),
} as const satisfies Record<string, Setting<never> | Setting<unknown>>;

export type SettingName = keyof typeof settings;

type Widen<T> = T extends Setting<infer V> ? V : never;
/** A node's settings, typed by the table. */
export type Config = { readonly [Name in SettingName]: Widen<(typeof settings)[Name]> };

export const settingNames = Object.keys(settings) as readonly SettingName[];

/** `dataDir` → `data-dir`. */
export function keyOf(name: SettingName): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `dataDir` → `TAILRACE_DATA_DIR`. */
export function variableOf(name: SettingName): string {
  return `TAILRACE_${keyOf(name).toUpperCase().replaceAll("-", "_")}`;
}

/** Every flag of `serve`. */
export const serveFlags: readonly string[] = settingNames.map((name) => `--${keyOf(name)}`);
