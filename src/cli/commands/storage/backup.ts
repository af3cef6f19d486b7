/**
 * `tailrace backup DIR`: copies the log of a running node, as it is committed now. Into a directory that holds an older
 * copy of the same node, only what is new is brought.
 *
 * Never: leaves a snapshot beside files that are not whole: it is written last. Replaces a copy of another cluster, or one
 * that ends later.
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
      .description("copy the log of a running node into a directory")
      .argument("<directory>", "a new one, or one with an older copy of the same log, which it replaces"),
  ).action((directory: string, flags: ConnectFlags) => runCommand("backup", () => backup(directory, flags)));
}

async function backup(directory: string, flags: ConnectFlags): Promise<number> {
  const { BackupDirectory } = await import("../../storage/backup-directory.ts");
  const { readSnapshot, snapshotFile } = await import("../../../replication/mod.ts");
  const { crc32 } = await import("../../../lib/checksum.ts");
  const { Fault } = await import("../../../fault.ts");
  const target = BackupDirectory.openOrMake(directory);
  const snapshot: Uint8Array[] = [];
  let bytes = 0;
  using client = await connect(flags);
  for await (const part of client.cluster.backup({ have: target.whole() })) {
    if (crc32(part.data) !== part.crc32) {
      throw new Fault("corrupt", { message: `a part of ${part.file} was damaged on its way` });
    }
    if (part.file === snapshotFile) {
      snapshot.push(part.data);
      // It comes first: nothing was written yet.
      const isWhole = Number(part.position) + part.data.length === Number(part.fileBytes);
      if (isWhole) target.checkSuccessor(readSnapshot(Buffer.concat(snapshot)));
    } else target.write(part.file, Number(part.position), Number(part.fileBytes), part.data);
    bytes += part.data.length;
  }
  const packed = Buffer.concat(snapshot);
  const { index, files } = readSnapshot(packed);
  target.finish(
    packed,
    files.map(({ file }) => file),
  );
  await print(`${JSON.stringify({ directory, index, files: files.length, bytes })}\n`);
  return exitStatus.done;
}
