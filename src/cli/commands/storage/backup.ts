/**
 * `tailrace backup PLACE`: copies the committed log of a running node into a directory or a bucket. Only new data is copied.
 * The snapshot is written last, so a snapshot always has its files. Only one command at a time writes to a place.
 *
 *   DIRECTORY                        one backup, which is replaced
 *   s3://BUCKET/PREFIX, file:///DIR  several backups that share their files
 */
import type { Command } from "commander";
import type { TailraceClient } from "../../../client/mod.ts";
import { Fault } from "../../../fault.ts";
import { crc32 } from "../../../lib/checksum.ts";
import type { BackupPart, ChainPoint } from "../../../replication/mod.ts";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { argumentFault, exitStatus, usageFault } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { runCommand } from "../../run-command.ts";
import { type BucketFlags, bucketOptions, openBucket } from "../../s3-flags.ts";
import { collectInOneStep } from "../../storage/one-step-collection.ts";

interface Flags extends ConnectFlags, BucketFlags {
  readonly keep?: string;
}

export function register(program: Command): void {
  const command = program
    .command("backup")
    .description("copy the log of a running node to a directory or a bucket")
    .argument(
      "<place>",
      "a new directory, or one with an older backup of the same log, which is replaced; or s3://BUCKET/PREFIX or file:///DIRECTORY, which have several backups",
    )
    .option("--keep <n>", "in a bucket: keep this many backups and delete older ones (default: keep all)");
  connectOptions(bucketOptions(command, true)).action((place: string, flags: Flags) =>
    runCommand("backup", async () => {
      collectInOneStep();
      const { isStoreUrl } = await import("../../../objects/open-store.ts");
      if (isStoreUrl(place)) return await backupToStore(place, flags);
      if (flags.keep !== undefined)
        throw usageFault("--keep is for s3://… and file://…: a directory has one backup");
      return await backupToDirectory(place, flags);
    }),
  );
}

async function backupToStore(url: string, flags: Flags): Promise<number> {
  const { randomUUID } = await import("node:crypto");
  const { hostname } = await import("node:os");
  const { writeBackup } = await import("../../../backup/mod.ts");
  const { systemClock } = await import("../../../lib/time/clock.ts");
  const { printable } = await import("../../output/terminal.ts");
  const keep = keepOf(flags.keep);
  const store = await openBucket("backup", url, flags);
  using client = await connect(flags);
  const say = (text: string): void => console.error(`tailrace backup: ${printable(text)}`);
  const { name, index, files, bytes, uploadedBytes, removed, abortedUploads } = await writeBackup({
    store,
    parts: (have, after) => checkedParts(client, have, after),
    keep,
    id: randomUUID(),
    holder: `tailrace backup on ${hostname()}, process ${process.pid}`,
    clock: systemClock,
    onWait: (holder, forMs) =>
      say(`there is a lock of ${holder}: waiting up to ${forMs / 1000} s to see whether its writer is alive`),
    onPruneFailed: ({ message }) =>
      say(`the backup is complete, but old ones could not be removed: ${message}`),
  });
  const facts = {
    url,
    backup: name,
    index,
    files,
    bytes: uploadedBytes,
    totalBytes: bytes,
    removed,
    abortedUploads,
  };
  await print(`${JSON.stringify(facts)}\n`);
  return exitStatus.done;
}

function keepOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const keep = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (keep < 1) throw argumentFault("--keep must be a whole number of at least 1", text);
  return keep;
}

/** The parts of a backup from a node, each with its checksum compared. */
async function* checkedParts(
  client: TailraceClient,
  have: readonly string[],
  after: ChainPoint | undefined,
): AsyncGenerator<BackupPart, void> {
  const { index, crc } = after ?? { index: 0, crc: 0 };
  const request = { have: [...have], afterIndex: BigInt(index), afterCrc32: crc };
  for await (const part of client.rpc.cluster.backup(request)) {
    const { file, position, fileBytes, data } = part;
    if (crc32(data) !== part.crc32)
      throw new Fault("corrupt", { message: `a part of ${file} was damaged in transit` });
    yield { file, position: Number(position), fileBytes: Number(fileBytes), data };
  }
}

async function backupToDirectory(directory: string, flags: ConnectFlags): Promise<number> {
  const { BackupDirectory } = await import("../../storage/backup-directory.ts");
  const { backupFiles, readSnapshot, snapshotFile } = await import("../../../replication/mod.ts");
  const target = BackupDirectory.openOrCreate(directory);
  await using _ = await target.lock();
  const snapshot: Uint8Array[] = [];
  let bytes = 0;
  using client = await connect(flags);
  const parts = checkedParts(client, target.completeFiles(), await target.chainPoint());
  for await (const { file, position, fileBytes, data } of parts) {
    if (file === snapshotFile) {
      snapshot.push(data);
      // The snapshot is sent first, so nothing has been written yet.
      if (position + data.length === fileBytes) target.checkSuccessor(readSnapshot(Buffer.concat(snapshot)));
    } else target.write(file, position, fileBytes, data);
    bytes += data.length;
  }
  const snapshotBytes = Buffer.concat(snapshot);
  const received = readSnapshot(snapshotBytes);
  const { index } = received;
  const files = backupFiles(received);
  target.finish(snapshotBytes, files);
  await print(`${JSON.stringify({ directory, index, files: files.length, bytes })}\n`);
  return exitStatus.done;
}
