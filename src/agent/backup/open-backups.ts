/** Opens what the settings of backups ask for: backups while this node leads, and the restore of an empty directory. */
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import {
  emptyUnfinished,
  FetchedFiles,
  isRestorable,
  newestBackup,
  restoreDirectory,
} from "../../backup/mod.ts";
import { Fault } from "../../fault.ts";
import { prng, systemSeed } from "../../lib/prng.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import { type ObjectStore, openStore, type RetryNotice } from "../../objects/mod.ts";
import type { NodeTelemetry } from "../../telemetry/mod.ts";
import type { OpenedCluster } from "../cluster/open-cluster.ts";
import type { Config } from "../config/settings.ts";
import type { OpenedPorts } from "../open-ports.ts";
import { noteRetry, ScheduledBackup } from "./scheduled-backup.ts";

type Environment = Readonly<Record<string, string | undefined>>;

interface BackupTools {
  readonly telemetry: Pick<NodeTelemetry, "log" | "metrics">;
  readonly clock: Clock;
  /** What uploads hold is part of it. */
  readonly memory: MemoryBudget;
}

const MiB = 2 ** 20;

/** What uploads may hold: two parts with little memory, five with enough. */
const uploadBytesMax = (budgetBytes: number): number =>
  Math.max(16 * MiB, Math.min(40 * MiB, Math.floor(budgetBytes / 8)));

/** Makes backups while this node leads; undefined without --backup-to. */
export function startBackups(
  { config, environment }: { readonly config: Config; readonly environment: Environment },
  cluster: Pick<OpenedCluster, "node" | "view">,
  ops: Pick<OpenedPorts["ops"], "addCheck">,
  { telemetry, clock, memory }: BackupTools,
): ScheduledBackup | undefined {
  const { backupTo: url } = config;
  if (url === undefined) return undefined;
  const { node, view } = cluster;
  const share = memory.share("out");
  const uploads = { bytesMax: uploadBytesMax(memory.limit), onHeld: (bytes: number) => share.count(bytes) };
  const backups = new ScheduledBackup({
    url,
    open: (signal, onRetry) => openConfigured(url, config, { environment, clock, signal, onRetry, uploads }),
    everyMs: config.backupEvery,
    keep: config.backupKeep,
    backup: (have, after) => node.admin.backup(have, after),
    holder: `node ${view.nodeId}`,
    newId: randomUUID,
    leads: () => view.leaderId === view.nodeId,
    onChange: (listener) => view.onChange(listener),
    ...{ clock, log: telemetry.log, metrics: telemetry.metrics },
  });
  ops.addCheck({ name: "backup", check: () => true, note: () => backups.note });
  return backups;
}

/**
 * Fills the data directory from the newest backup, if --restore-from is given and the directory is empty. It gets a new
 * identity, and the leader adds it as a new member. If there is no backup, the directory stays empty. So it does if a backup
 * cannot be read and the node can only join: the leader sends everything. Nodes with --bootstrap-expect could form a cluster
 * without the records.
 * @throws Fault if a backup cannot be restored, with --bootstrap-expect
 */
export async function restoreIfEmpty(
  config: Config,
  environment: Environment,
  clock: Clock,
  log: Logger,
): Promise<void> {
  const { restoreFrom: url } = config;
  const directory = resolve(config.dataDir);
  if (url === undefined || !isRestorable(directory)) return;
  try {
    const onRetry = (notice: RetryNotice): void => noteRetry(log, url, notice);
    const store = await openConfigured(url, config, { environment, clock, onRetry });
    await restoreNewest(url, directory, store, clock, log);
  } catch (reason) {
    // A full disk of this node is no Fault.
    const isOfBackup = reason instanceof Fault && reason.kind !== "locked" && reason.kind !== "config";
    if (!isOfBackup || config.bootstrapExpect !== undefined) throw reason;
    log.warn({ err: reason, url }, "no backup could be restored, this node starts with an empty directory");
    await emptyUnfinished(directory);
  }
}

async function restoreNewest(
  url: string,
  directory: string,
  store: ObjectStore,
  clock: Clock,
  log: Logger,
): Promise<void> {
  const newest = await newestBackup(store);
  if (newest === undefined) {
    log.warn({ url }, "there is no backup to restore, this node starts with an empty directory");
    return await emptyUnfinished(directory);
  }
  const { name, snapshot } = newest;
  log.info({ url, backup: name, index: snapshot.index }, "restoring a backup into the empty directory");
  const startedMs = clock.monotonicMs();
  const open = (scratch: string) => new FetchedFiles(store, snapshot, scratch);
  const next = await restoreDirectory({ snapshot, open, directory, newCluster: false });
  log.info({ backup: name, next, tookMs: Math.round(clock.monotonicMs() - startedMs) }, "restored a backup");
}

function openConfigured(
  url: string,
  { s3Endpoint: endpoint, s3Encryption: encryption, s3EncryptionKey: encryptionKey }: Config,
  options: Pick<Parameters<typeof openStore>[1], "environment" | "clock" | "signal" | "onRetry" | "uploads">,
): Promise<ObjectStore> {
  const flags = { endpoint, encryption, encryptionKey };
  return openStore(url, { flags, random: prng(systemSeed()), ...options });
}
