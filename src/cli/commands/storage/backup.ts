/**
 * `tailrace backup DIR`: copies the committed log of a running node. If the directory has an older copy of the same log,
 * only new data is copied. The snapshot is written last, so a snapshot always has its files.
 */
import type { Command } from "commander";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { exitStatus } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(
    program
      .command("backup")
      .description("copy the log of a running node to a directory")
      .argument(
        "<directory>",
        "a new directory, or one with an older backup of the same log, which is replaced",
      ),
  ).action((directory: string, flags: ConnectFlags) => runCommand("backup", () => backup(directory, flags)));
}

async function backup(directory: string, flags: ConnectFlags): Promise<number> {
  const { BackupDirectory, filesIn } = await import("../../storage/backup-directory.ts");
  const { readSnapshot, snapshotFile } = await import("../../../replication/mod.ts");
  const { crc32 } = await import("../../../lib/checksum.ts");
  const { Fault } = await import("../../../fault.ts");
  const target = BackupDirectory.openOrCreate(directory);
  const snapshot: Uint8Array[] = [];
  let bytes = 0;
  using client = await connect(flags);
  for await (const part of client.rpc.cluster.backup({ have: target.completeFiles() })) {
    if (crc32(part.data) !== part.crc32) {
      throw new Fault("corrupt", { message: `a part of ${part.file} was damaged in transit` });
    }
    if (part.file === snapshotFile) {
      snapshot.push(part.data);
      // The snapshot is sent first, so nothing has been written yet.
      const isWhole = Number(part.position) + part.data.length === Number(part.fileBytes);
      if (isWhole) target.checkSuccessor(readSnapshot(Buffer.concat(snapshot)));
    } else target.write(part.file, Number(part.position), Number(part.fileBytes), part.data);
    bytes += part.data.length;
  }
  const snapshotBytes = Buffer.concat(snapshot);
  const received = readSnapshot(snapshotBytes);
  const { index } = received;
  const files = filesIn(received);
  target.finish(
    snapshotBytes,
    files.map(({ file }) => file),
  );
  await print(`${JSON.stringify({ directory, index, files: files.length, bytes })}\n`);
  return exitStatus.done;
}
