/** `tailrace verify PLACE`: checks a data directory or a backup, offline. `--compare` compares several data directories. */
import type { Command } from "commander";
import type { VerifyReport } from "../../../log/mod.ts";
import type { BackupReport, BackupSnapshot, BackupSource } from "../../../replication/mod.ts";
import { exitStatus, usageFault } from "../../exit-status.ts";
import { jsonLine, printable } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";
import { type BucketFlags, bucketOptions, openBucket } from "../../s3-flags.ts";

/** Logs that are listed, of each kind. */
const logsMax = 20;

interface Options extends BucketFlags {
  readonly json?: true;
  readonly compare?: true;
  readonly backup?: string;
}

export function register(program: Command): void {
  const command = program
    .command("verify")
    .description(
      "check every checksum, record, index entry and offset of a data directory or a backup, offline; the records and offsets that it prints are those of the log default",
    )
    .argument(
      "<directory...>",
      "a data directory, a backup, s3://BUCKET/PREFIX or file:///DIRECTORY; with --compare two or more data directories",
    )
    .option("--json", "JSON on standard output")
    .option("--compare", "compare the records that all directories have")
    .option("--backup <name>", "in a bucket: this backup (default: the newest)");
  bucketOptions(command, false).action(async (directories: string[], options: Options) => {
    await runCommand("verify", () =>
      options.compare ? compare(directories, options) : verify(directories, options),
    );
  });
}

async function verify(directories: readonly string[], options: Options): Promise<number> {
  const { json } = options;
  let status: number = exitStatus.done;
  for (const directory of directories) {
    const report = await reportOf(directory, options);
    const { records, lowest, next, bytes, namedLogs, findings, torn, rows } = report;
    const ok = findings.length === 0;
    if (!ok) status = exitStatus.corrupt;
    if (json) {
      const found = torn === undefined ? {} : { torn };
      const differ = rows === undefined || rows.different === 0 ? {} : { rows: shown(rows) };
      printJson({ ok, records, lowest, next, bytes, namedLogs, findings, ...found, ...differ });
      continue;
    }
    if (torn !== undefined) {
      const where = `${torn.file} at byte ${torn.position}`;
      printMessage(`a torn write group in ${where}: the next start cuts it off and keeps a copy`);
    }
    for (const { file, position, kind } of findings) print(`${file} ${position} ${kind}`);
    for (const line of rows === undefined ? [] : rowLines(rows)) print(line);
    const named = namedLogs === undefined ? "" : ` named-logs=${namedLogs}`;
    if (ok) print(`ok records=${records} lowest=${lowest} next=${next} bytes=${bytes}${named}`);
    else printMessage(`damaged; ${report.advice}`);
  }
  return status;
}

type Rows = NonNullable<VerifyReport["rows"]>;

const shown = ({ differences, ...rows }: Rows): Rows => ({
  ...rows,
  differences: differences.slice(0, logsMax),
});

/** Says which logs have another row in the database than in the frames. A damaged name can contain escape sequences. */
export function rowLines({
  different,
  differences,
}: Pick<Rows, "different" | "differences">): readonly string[] {
  const lines = differences.slice(0, logsMax).map(({ kind, id, name = "?", fields }) => {
    const values = fields.map(
      ({ field, expected, found }) =>
        ` ${field}=${JSON.stringify(found)} expected=${JSON.stringify(expected)}`,
    );
    return printable(`log ${name} number=${id} ${kind}${values.join("")}`);
  });
  const more = different - lines.length;
  return more > 0 ? [...lines, `${more} more logs differ`] : lines;
}

type Report = Omit<VerifyReport, "logs" | typeof Symbol.dispose> & {
  /** What to do about findings. */
  readonly advice: string;
};

async function logReport(directory: string): Promise<Report> {
  const { openDataDirectory } = await import("../../storage/data-directory.ts");
  const { verifyLog } = await import("../../../log/mod.ts");
  await using opened = await openDataDirectory(directory, true);
  const advice = `print what a repair would cut with: tailrace repair ${directory}`;
  using report = verifyLog(opened.logDirectory);
  const { records, lowest, next, bytes, namedLogs, findings, torn, rows } = report;
  return { records, lowest, next, bytes, namedLogs, findings, torn, rows, advice };
}

async function reportOf(place: string, options: Options): Promise<Report> {
  const { isStoreUrl } = await import("../../../objects/open-store.ts");
  if (isStoreUrl(place)) return await storeReport(place, options);
  return (await isBackup(place)) ? await directoryReport(place) : await logReport(place);
}

/** A backup has a snapshot and no log. */
async function isBackup(directory: string): Promise<boolean> {
  const { existsSync } = await import("node:fs");
  const { join } = await import("node:path");
  const { BackupDirectory } = await import("../../storage/backup-directory.ts");
  return BackupDirectory.isIn(directory) && !existsSync(join(directory, "log"));
}

async function directoryReport(directory: string): Promise<Report> {
  const { BackupDirectory } = await import("../../storage/backup-directory.ts");
  const source = BackupDirectory.open(directory);
  return await backupReport(async (check) => await check(source.snapshot(), source));
}

/** The files are fetched one after the other to where temporary files are (TMPDIR). */
async function storeReport(url: string, options: Options): Promise<Report> {
  const { mkdtempSync } = await import("node:fs");
  const { tmpdir } = await import("node:os");
  const { join } = await import("node:path");
  const { chooseBackup, FetchedFiles } = await import("../../../backup/mod.ts");
  const store = await openBucket("verify", url, options);
  return await backupReport(async (check) => {
    const { snapshot } = await chooseBackup(store, options.backup);
    await using source = new FetchedFiles(store, snapshot, mkdtempSync(join(tmpdir(), "tailrace-verify-")));
    return await check(snapshot, source);
  });
}

type Check = (snapshot: BackupSnapshot, source: BackupSource) => Promise<BackupReport>;

async function backupReport(open: (check: Check) => Promise<BackupReport>): Promise<Report> {
  const { Fault } = await import("../../../fault.ts");
  const { verifyBackup } = await import("../../../replication/mod.ts");
  const advice = "restore rejects this backup; create another with tailrace backup";
  const { openScratch } = await import("../../storage/data-directory.ts");
  const scratch = openScratch();
  try {
    const report = await open((snapshot, source) => verifyBackup(snapshot, source, scratch));
    return { ...report, torn: undefined, rows: undefined, advice };
  } catch (reason) {
    if (!(reason instanceof Fault) || reason.kind !== "corrupt") throw reason;
    printMessage(reason.message);
    const findings = [{ file: "snapshot", position: 0, kind: "unreadable" }];
    const nothing = { records: 0, lowest: 0, next: 0, bytes: 0, namedLogs: undefined };
    return { ...nothing, findings, torn: undefined, rows: undefined, advice };
  } finally {
    scratch.remove();
  }
}

async function compare(named: readonly string[], { json }: Options): Promise<number> {
  const { resolve } = await import("node:path");
  const directories = [...new Set(named.map((name) => resolve(name)))];
  const { openDataDirectory } = await import("../../storage/data-directory.ts");
  const { compareLogs } = await import("../../../log/mod.ts");
  if (directories.length < 2) throw usageFault("--compare needs two or more directories");
  await using stack = new AsyncDisposableStack();
  const logDirectories = [];
  for (const directory of directories)
    logDirectories.push(stack.use(await openDataDirectory(directory, true)).logDirectory);
  const { from, to, hashes, different, notEverywhere, findings } = compareLogs(logDirectories);
  const identical = findings.length === 0 && new Set(hashes).size <= 1;
  const status = identical ? exitStatus.done : exitStatus.corrupt;
  if (json) {
    const logs = { different: different.slice(0, logsMax), notEverywhere: notEverywhere.slice(0, logsMax) };
    printJson({ identical, from, to, sha256: hashes, ...logs, findings });
    return status;
  }
  for (const { directory, file, position, kind } of findings)
    print(`${directory}/log/${file} ${position} ${kind}`);
  for (const { name, id } of different.slice(0, logsMax)) print(`different log ${name} number=${id}`);
  for (const { name, id } of notEverywhere.slice(0, logsMax))
    printMessage(`not compared: log ${name} number=${id} is not in every directory`);
  if (identical) print(`identical ${from}..${to} sha256=${hashes[0] ?? ""}`);
  else
    for (const [n, hash] of hashes.entries())
      print(`different ${from}..${to} sha256=${hash} ${directories[n]}`);
  return status;
}

/** Names of logs, files and directories are from a disk, and can contain escape sequences. */
function print(line: string): void {
  process.stdout.write(`${printable(line)}\n`);
}

function printJson(report: Record<string, unknown>): void {
  process.stdout.write(jsonLine(report));
}

function printMessage(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}
