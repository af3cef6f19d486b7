/** `tailrace verify DIR`: checks a data directory or a backup, offline. `--compare` compares several data directories. */
import type { Command } from "commander";
import type { VerifyReport } from "../../../log/mod.ts";
import { exitStatus, usageFault } from "../../exit-status.ts";
import { runCommand } from "../../run-command.ts";

/** Logs that are listed, of each kind. */
const logsMax = 20;

interface Options {
  readonly json?: true;
  readonly compare?: true;
}

export function register(program: Command): void {
  program
    .command("verify")
    .description(
      "check every checksum, record, index entry and offset of a data directory or a backup, offline; the records and offsets that it prints are those of the log default",
    )
    .argument("<directory...>", "a data directory or a backup; with --compare two or more data directories")
    .option("--json", "JSON on standard output")
    .option("--compare", "compare the records that all directories have")
    .action(async (directories: string[], options: Options) => {
      await runCommand("verify", () =>
        options.compare ? compare(directories, options) : verify(directories, options),
      );
    });
}

async function verify(directories: readonly string[], { json }: Options): Promise<number> {
  let status: number = exitStatus.done;
  for (const directory of directories) {
    const report = (await isBackup(directory)) ? await backupReport(directory) : await logReport(directory);
    const { records, lowest, next, bytes, namedLogs, findings, torn, rows } = report;
    const ok = findings.length === 0;
    if (!ok) status = exitStatus.corrupt;
    if (json) {
      const found = torn === undefined ? {} : { torn };
      const differ = rows === undefined || rows.different === 0 ? {} : { rows: shown(rows) };
      print(JSON.stringify({ ok, records, lowest, next, bytes, namedLogs, findings, ...found, ...differ }));
      continue;
    }
    if (torn !== undefined) {
      const where = `${torn.file} at byte ${torn.position}`;
      process.stderr.write(`a torn write group in ${where}: the next start cuts it off and keeps a copy\n`);
    }
    for (const { file, position, kind } of findings) print(`${file} ${position} ${kind}`);
    if (rows !== undefined) printRows(rows);
    const named = namedLogs === undefined ? "" : ` named-logs=${namedLogs}`;
    if (ok) print(`ok records=${records} lowest=${lowest} next=${next} bytes=${bytes}${named}`);
    else process.stderr.write(`damaged; ${report.advice}\n`);
  }
  return status;
}

type Rows = NonNullable<VerifyReport["rows"]>;

const shown = ({ differences, ...rows }: Rows): Rows => ({
  ...rows,
  differences: differences.slice(0, logsMax),
});

/** Prints which logs have another row in the database than in the frames. */
function printRows({ different, differences }: Rows): void {
  for (const { kind, id, name = "?", fields } of differences.slice(0, logsMax)) {
    const values = fields.map(
      ({ field, expected, found }) =>
        ` ${field}=${JSON.stringify(found)} expected=${JSON.stringify(expected)}`,
    );
    print(`log ${name} number=${id} ${kind}${values.join("")}`);
  }
  const more = different - Math.min(differences.length, logsMax);
  if (more > 0) print(`${more} more logs differ`);
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

/** A backup has a snapshot and no log. */
async function isBackup(directory: string): Promise<boolean> {
  const { existsSync } = await import("node:fs");
  const { join } = await import("node:path");
  const { BackupDirectory } = await import("../../storage/backup-directory.ts");
  return BackupDirectory.isIn(directory) && !existsSync(join(directory, "log"));
}

async function backupReport(directory: string): Promise<Report> {
  const { Fault } = await import("../../../fault.ts");
  const { BackupDirectory } = await import("../../storage/backup-directory.ts");
  const { verifyBackup } = await import("../../../replication/mod.ts");
  const advice = "restore rejects this backup; create another with tailrace backup";
  const source = BackupDirectory.open(directory);
  try {
    return { ...verifyBackup(source.snapshot(), source), torn: undefined, rows: undefined, advice };
  } catch (reason) {
    if (!(reason instanceof Fault) || reason.kind !== "corrupt") throw reason;
    process.stderr.write(`${reason.message}\n`);
    const findings = [{ file: "snapshot", position: 0, kind: "unreadable" }];
    const nothing = { records: 0, lowest: 0, next: 0, bytes: 0, namedLogs: undefined };
    return { ...nothing, findings, torn: undefined, rows: undefined, advice };
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
    print(JSON.stringify({ identical, from, to, sha256: hashes, ...logs, findings }));
    return status;
  }
  for (const { directory, file, position, kind } of findings)
    print(`${directory}/log/${file} ${position} ${kind}`);
  for (const { name, id } of different.slice(0, logsMax)) print(`different log ${name} number=${id}`);
  for (const { name, id } of notEverywhere.slice(0, logsMax))
    process.stderr.write(`not compared: log ${name} number=${id} is not in every directory\n`);
  if (identical) print(`identical ${from}..${to} sha256=${hashes[0] ?? ""}`);
  else
    for (const [n, hash] of hashes.entries())
      print(`different ${from}..${to} sha256=${hash} ${directories[n]}`);
  return status;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
