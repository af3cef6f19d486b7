/**
 * The table of a node's settings: kind, default, help text. The setting `dataDir` is the flag --data-dir, the variable
 * TAILRACE_DATA_DIR and the key data-dir in the configuration file. read-config.ts reads them, check-config.ts holds the
 * rules between settings.
 */
import { Fault } from "../../fault.ts";
import {
  address,
  bytes,
  duration,
  flag,
  integer,
  isLoopback,
  type Kind,
  list,
  oneOf,
  path,
  syncMode,
  text,
} from "../../lib/value-kind.ts";
import { initialOffsetMax } from "../../log/mod.ts";
import { checkEndpoint, checkStoreUrl, encryptions } from "../../objects/mod.ts";
import { logsMost } from "../../replication/mod.ts";

export type Group = "Node" | "Cluster" | "Security" | "Log" | "Backup" | "Limits" | "Running";

export interface Setting<T> {
  readonly group: Group;
  readonly kind: Kind<T>;
  /** The default. */
  readonly value: T;
  readonly help: string;
  /** The value is not printed. */
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

/** A place for backups. */
const storeUrl: Kind<string> = { placeholder: "URL", parse: checkStoreUrl, print: (url) => url };

/** An issuer of tokens, or a page of this server as browsers reach it. */
const webUrl: Kind<string> = { placeholder: "URL", parse: checkWebUrl, print: (url) => url };

/** Keeps the text as it is: an issuer is compared character by character. */
function checkWebUrl(found: string): string {
  const url = URL.parse(found);
  const isSecure =
    url?.protocol === "https:" ||
    (url?.protocol === "http:" && isLoopback(url.hostname.replace(/^\[|\]$/g, "")));
  if (url !== null && isSecure && !/[?#@\s]/.test(found)) return found;
  throw new Fault("config", {
    message: `expected an https URL without query, fragment and user, or http on loopback, found "${found}"`,
  });
}

const MiB = 2 ** 20;
const hour = 3_600_000;
const day = 24 * hour;
/** A segment stores its records' times as u32 milliseconds since the first: at most 49 days. */
const segmentAgeMost = 49 * day - 1;
/** A record with its headers must fit in a gRPC message of 4 MiB. */
const recordBytesMost = 4 * MiB - 64 * 1024;

export const settings = {
  addr: set(
    "Node",
    address,
    { host: "127.0.0.1", port: 8080 },
    "address of the port for clients, peers and gossip; port 0 picks a free port",
  ),
  advertiseAddr: maybe(
    "Node",
    address,
    "address that other nodes and clients use; required if --addr binds all interfaces; default --addr",
  ),
  opsAddr: maybe(
    "Node",
    address,
    "address for health checks and metrics, always plaintext; default 127.0.0.1 and the port of --addr + 1000",
  ),
  initFile: maybe(
    "Node",
    path,
    "YAML or JSON file of named logs, which the leader creates and updates at each start; see tailrace logs apply",
  ),
  dataDir: set("Node", path, "./data", "directory of the log"),
  nodeName: maybe("Node", text, "name of the node, unique in the cluster; default the host name"),
  configFile: maybe("Node", path, "YAML file with these settings, named without the leading dashes"),

  clusterId: maybe("Cluster", text, "id of the node's cluster; default a new id at bootstrap"),
  bootstrap: set("Cluster", flag, false, "start a cluster of this node alone; other nodes can be added"),
  bootstrapExpect: maybe(
    "Cluster",
    integer(1, 99),
    "start a cluster when this many empty nodes with this flag see each other",
  ),
  startJoinAddrs: set("Cluster", list(address), [], "gossip addresses of nodes to join, separated by commas"),
  gossipAddr: maybe("Cluster", address, "address for gossip; default the port of --addr, TCP and UDP"),
  encrypt: {
    ...maybe(
      "Cluster",
      text,
      "gossip key, 16, 24 or 32 bytes in base64; required if gossip is not on loopback; see tailrace keygen",
    ),
    secret: true as const,
  },

  serverTlsCertFile: maybe("Security", path, "certificate for clients, PEM; enables TLS"),
  serverTlsKeyFile: maybe("Security", path, "key of --server-tls-cert-file, PEM"),
  serverTlsCaFile: maybe("Security", path, "certificate authorities of the clients, PEM"),
  peerTlsCertFile: maybe(
    "Security",
    path,
    "certificate for other nodes, PEM; default --server-tls-cert-file",
  ),
  peerTlsKeyFile: maybe("Security", path, "key of --peer-tls-cert-file, PEM"),
  peerTlsCaFile: maybe(
    "Security",
    path,
    "certificate authorities of the other nodes, PEM; default --server-tls-ca-file",
  ),
  clientAuth: set(
    "Security",
    oneOf("require", "optional", "token"),
    "require",
    "with optional, clients without a certificate are served as anonymous; with token, they need a token",
  ),
  allowExpiredCertificates: set(
    "Security",
    flag,
    false,
    "start although the node's own certificate has expired or is not valid yet",
  ),
  aclModelFile: maybe("Security", path, "Casbin model; default the built-in model"),
  aclPolicyFile: maybe("Security", path, "Casbin policy, reloaded when the file changes"),
  oidcIssuer: maybe(
    "Security",
    webUrl,
    "issuer of OpenID Connect whose tokens are taken too; needs --oidc-audience and --acl-policy-file",
  ),
  oidcAudience: set(
    "Security",
    list(text),
    [],
    "audiences (aud) of the issuer's tokens, separated by commas; a token needs one of them",
  ),
  jwksFile: maybe(
    "Security",
    path,
    "JWK Set with the issuer's public keys, reloaded when the file changes; default the issuer is asked",
  ),
  oidcSubjectClaim: set(
    "Security",
    text,
    "sub",
    "claim of the issuer's tokens that names the subject; the subject is oidc: and its value",
  ),
  oidcScopeClaim: maybe(
    "Security",
    text,
    "claim of the issuer's tokens with scopes that narrow the subject's rights; default they are not narrowed",
  ),
  oidcClientId: maybe(
    "Security",
    text,
    "client of --oidc-issuer with which users log in at the dashboard; it must be in --oidc-audience, and needs TLS",
  ),
  oidcClientSecretFile: maybe(
    "Security",
    path,
    "file with the secret of --oidc-client-id; default it has none",
  ),
  oidcLoginScopes: set(
    "Security",
    list(text),
    ["openid"],
    "scopes that a login asks the issuer for, separated by commas, such as openid,email",
  ),
  oidcCallbackUrl: maybe(
    "Security",
    webUrl,
    "URL of /login/callback as browsers reach it, behind a proxy that speaks TLS to the node; default by the name in the request",
  ),
  allowPlaintext: set("Security", flag, false, "allow plaintext on an --addr that is not loopback"),
  allowHosts: set(
    "Security",
    list(text),
    [],
    "host names that plaintext requests and logins may use, besides localhost and IP addresses",
  ),
  corsOrigins: set(
    "Security",
    list(text),
    [],
    "web origins whose pages may send requests, such as https://example.org",
  ),

  segmentStoreBytesMax: set(
    "Log",
    bytes(1, 4 * 1024 * MiB - 1),
    64 * MiB,
    "start a new segment when the store file reaches this size",
  ),
  segmentIndexBytesMax: set(
    "Log",
    bytes(16, 4 * 1024 * MiB - 1),
    16 * MiB,
    "start a new segment when the index file reaches this size",
  ),
  segmentAgeMax: set(
    "Log",
    duration(1, segmentAgeMost),
    day,
    "start a new segment when the segment's first record reaches this age; below 49d",
  ),
  initialOffset: set(
    "Log",
    integer(0, initialOffsetMax),
    0,
    "first offset of a new log; used at bootstrap only",
  ),
  retentionBytes: set(
    "Log",
    bytes(0),
    0,
    "delete the oldest segments when the log is larger than this; 0 keeps all",
  ),
  retentionAge: set(
    "Log",
    duration(0, 36_500 * day),
    0,
    "delete segments whose newest record is older than this; 0 keeps all",
  ),
  sync: set(
    "Log",
    syncMode,
    "always",
    "when appends are synced to disk; with interval and never, acknowledged records can be lost",
  ),
  reserveBytes: maybe(
    "Log",
    bytes(0),
    "disk space reserved for a full disk; default a segment and 64MiB, at most 1/16 of the volume",
  ),
  scrubBytesPerSecond: set(
    "Log",
    bytes(0),
    16 * MiB,
    "bytes per second at which sealed segments are checked for damage; 0 disables the check",
  ),
  settleBytesPerSecond: set(
    "Log",
    bytes(0),
    0,
    "bytes per second at which space of removed records is given back; 0 waits until whole files can go",
  ),
  settleInterval: set(
    "Log",
    duration(100, day),
    30_000,
    "time between two looks for space of removed records; used with --settle-bytes-per-second",
  ),
  indexMmap: set(
    "Log",
    oneOf("on", "off"),
    "on",
    "map the indexes of sealed segments into memory; off reads them from disk",
  ),

  backupTo: maybe(
    "Backup",
    storeUrl,
    "where the leader makes backups: s3://BUCKET/PREFIX or file:///DIRECTORY; give it to all nodes",
  ),
  backupEvery: set("Backup", duration(1_000, 36_500 * day), hour, "time between two backups"),
  backupKeep: set(
    "Backup",
    integer(1, 1_000_000),
    24,
    "number of backups that are kept; older ones are deleted, with the files that only they need",
  ),
  restoreFrom: maybe(
    "Backup",
    storeUrl,
    "fill an empty --data-dir from the newest backup here before this node joins its cluster, so that the leader sends only the rest",
  ),
  s3Endpoint: maybe(
    "Backup",
    { ...text, parse: checkEndpoint },
    "URL of the S3 server, if it is not AWS; default AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL",
  ),
  s3Encryption: maybe(
    "Backup",
    oneOf(...encryptions),
    "the encryption that the S3 server is asked for; default that of the bucket",
  ),
  s3EncryptionKey: maybe("Backup", text, "the key of KMS for --s3-encryption aws:kms"),

  recordBytesMax: set("Limits", bytes(1, recordBytesMost), MiB, "largest record, with its headers"),
  requestBytesMax: set("Limits", bytes(1024, 4 * MiB), 4 * MiB, "largest request message"),
  memoryBudgetBytes: maybe(
    "Limits",
    bytes(8 * MiB),
    "memory for requests and responses in progress; default 1/5 of the process's memory, at most 1GiB",
  ),
  connectionsMax: set("Limits", integer(1, 1_000_000), 16_384, "largest number of client connections"),
  connectionsPerClientMax: set(
    "Limits",
    integer(0, 1_000_000),
    0,
    "largest number of connections from one address or certificate name; 0 is half of --connections-max",
  ),

  logsMax: set("Limits", integer(1, logsMost), logsMost, "largest number of named logs of the cluster"),
  subjectLogsMax: set(
    "Limits",
    integer(0, logsMost),
    0,
    "largest number of named logs that one subject has created; 0 is no limit",
  ),
  subjectLogBytesMax: set(
    "Limits",
    bytes(0),
    0,
    "largest size of all named logs that one subject has created; 0 is no limit",
  ),
  subjectCreatesPerMinute: set(
    "Limits",
    integer(0, 1_000_000),
    0,
    "largest number of named logs that one subject creates in a minute; 0 is no limit",
  ),
  logCursorsMax: set("Limits", integer(1, 100_000), 1_000, "largest number of cursors of one log"),
  unlimitedSubjects: set("Limits", list(text), [], "subjects without these limits, separated by commas"),

  logLevel: set(
    "Running",
    oneOf("debug", "info", "warn", "error", "silent"),
    "info",
    "least severe level that is logged to stderr",
  ),
  warmUpTime: set(
    "Running",
    duration(0, 10_000),
    0,
    "time for which a node runs requests in memory before it is ready, so that the first ones are faster; 0 is none",
  ),
  slowAppendTime: set(
    "Running",
    duration(0, hour),
    1_000,
    "an append that takes longer is logged, with the time of each phase; 0 logs none",
  ),
  metrics: set("Running", oneOf("on", "off"), "on", "count and measure; off is for benchmarks of the cost"),
  debugTelemetry: maybe("Running", path, "directory to write metrics and traces to, as files"),
  shutdownTimeout: set(
    "Running",
    duration(0, hour),
    10_000,
    "time that requests in progress get to finish at shutdown",
  ),
} as const satisfies Record<string, Setting<never> | Setting<unknown>>;

export type SettingName = keyof typeof settings;

type Widen<T> = T extends Setting<infer V> ? V : never;
/** The settings of a node. */
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

/** All flags of `tailrace serve`. */
export const serveFlags: readonly string[] = settingNames.map((name) => `--${keyOf(name)}`);
