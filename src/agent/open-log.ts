/**
 * Opens a node's data directory and the log in it: makes it when it is not there, refuses it when it is somebody
 * else's, holds its lock for as long as the log is open.
 *
 *   <data>/lock   held by flock          <data>/log   segments          <data>/meta   the stable store
 *
 * Never: creates anything in a directory it then refuses.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { Fault } from "../fault.ts";
import type { Clock } from "../lib/clock.ts";
import { lockDirectory } from "../lib/directory-lock.ts";
import { openLmdbStore } from "../lib/lmdb-store.ts";
import { heapMapper, systemMapper } from "../lib/mapped-file.ts";
import type { StableStore } from "../lib/stable-store.ts";
import { systemDisk } from "../lib/system-disk.ts";
import type { Telemetry } from "../lib/telemetry.ts";
import { defaultSettings, LocalLog, type SyncMode } from "../log/mod.ts";
import type { Config } from "./config/settings.ts";
import { parseDuration } from "./config/value.ts";

export interface OpenedLog extends AsyncDisposable {
  readonly log: LocalLog;
  /** Of the cluster this directory belongs to. */
  readonly clusterId: string;
}

const clusterKey = "cluster-id";
/** What a directory of ours may hold; in a file system's root there may be lost+found. */
const ours = ["gossip", "gossip.next", "lock", "lock.socket", "log", "meta", "reserve", "lost+found"];

/** Throws Fault "config", "locked", "foreign-directory", "unsupported-version" and "corrupt". */
export async function openLog(
  config: Config,
  directory: string,
  clock: Clock,
  telemetry: Telemetry,
): Promise<OpenedLog> {
  checkDirectory(directory);
  await using stack = new AsyncDisposableStack();
  make(directory);
  stack.use(await lockDirectory(directory));
  make(join(directory, "meta"));
  const store = openStore(directory);
  stack.defer(() => store.close());
  try {
    const clusterId = clusterIdOf(store, config.clusterId);
    const log = await openIn(directory, store, config, clock, telemetry);
    stack.use(log);
    const owned = stack.move();
    return { log, clusterId, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  } catch (reason) {
    throw withRepair(reason, directory);
  }
}

function openIn(
  directory: string,
  store: StableStore,
  config: Config,
  clock: Clock,
  { log: logger, metrics, tracer }: Telemetry,
): Promise<LocalLog> {
  return LocalLog.open({
    directory,
    disk: systemDisk,
    store,
    mapper: (config.indexMmap === "on" ? systemMapper() : undefined) ?? heapMapper(systemDisk),
    newDirectoryId: randomBytes(16),
    initialOffset: config.initialOffset,
    clock,
    sync: syncModeOf(config.sync),
    scrubBytesPerSecond: config.scrubBytesPerSecond,
    logger,
    telemetry: { metrics, tracer, clock },
    settings: {
      ...defaultSettings,
      segmentStoreBytesMax: config.segmentStoreBytesMax,
      segmentIndexBytesMax: config.segmentIndexBytesMax,
      segmentAgeMaxMs: config.segmentAgeMax,
      retentionBytes: config.retentionBytes,
      retentionAgeMs: config.retentionAge,
    },
  });
}

function openStore(directory: string): StableStore {
  try {
    return openLmdbStore(join(directory, "meta"));
  } catch (reason) {
    throw withRepair(reason, directory);
  }
}

/** Damage that did not say yet what can be done about it. */
function withRepair(reason: unknown, directory: string): unknown {
  if (!(reason instanceof Fault) || reason.kind !== "corrupt") return reason;
  if (reason.facts["repair"] !== undefined) return reason;
  const repair = `tailrace repair ${directory}`;
  return new Fault("corrupt", {
    message: `${reason.message}; nothing was changed. See what a repair would do: ${repair}`,
    facts: { ...reason.facts, repair },
    cause: reason,
  });
}

/** Throws unless the directory is ours, or empty, or can be made. Touches nothing. */
function checkDirectory(directory: string): void {
  let names: string[];
  try {
    if (!statSync(directory).isDirectory()) throw cannot(directory, "is not a directory");
    names = readdirSync(directory);
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (reason) {
    if (reason instanceof Fault) throw reason;
    const { code } = reason as NodeJS.ErrnoException;
    if (code !== "ENOENT") throw cannot(directory, `cannot be used (${code})`, reason);
    checkParent(dirname(directory));
    return;
  }
  if (names.includes("log") || names.every((name) => ours.includes(name))) return;
  throw new Fault("foreign-directory", {
    message: `${directory} holds files that are not a log's, such as ${names.find((name) => !ours.includes(name))}`,
  });
}

/** The nearest directory above that exists must let us write. */
function checkParent(parent: string): void {
  try {
    accessSync(parent, constants.W_OK | constants.X_OK);
  } catch (reason) {
    const { code } = reason as NodeJS.ErrnoException;
    if (code === "ENOENT" && dirname(parent) !== parent) checkParent(dirname(parent));
    else throw cannot(parent, `does not let us make a data directory in it (${code})`, reason);
  }
}

/** Makes a directory and those above it, or none of them. (Node's recursive mkdir never ends below /proc.) */
function make(directory: string): void {
  const missing: string[] = [];
  for (let path = directory; !existsSync(path); path = dirname(path)) missing.unshift(path);
  for (const [at, path] of missing.entries()) {
    try {
      mkdirSync(path);
    } catch (cause) {
      for (const made of missing.slice(0, at).reverse()) rmdirSync(made);
      throw cannot(path, `cannot be made (${(cause as NodeJS.ErrnoException).code})`, cause);
    }
  }
}

/** The directory's cluster, for good: given or made when it is new. */
function clusterIdOf(store: StableStore, asked: string | undefined): string {
  const known = store.get(clusterKey);
  if (typeof known === "string") {
    if (asked === undefined || asked === known) return known;
    throw new Fault("foreign-directory", {
      message: `the directory belongs to cluster ${known}, not ${asked}`,
    });
  }
  const made = asked ?? randomUUID();
  store.write({ [clusterKey]: made });
  return made;
}

function syncModeOf(text: string): SyncMode {
  if (text === "always" || text === "never") return text;
  return { intervalMs: parseDuration(text.slice("interval=".length)) ?? 1000 };
}

function cannot(path: string, why: string, cause?: unknown): Fault {
  return new Fault("config", { message: `${path} ${why}`, cause });
}
