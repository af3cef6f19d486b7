/** `tailrace cursors list|get|move|delete`: how far the readers of a log have got. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { Fault } from "../../../fault.ts";
import { type Cursor, CursorSchema } from "../../../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { exitStatus } from "../../exit-status.ts";
import { checkedCursor, type LogFlag, logOf, logOption } from "../../log-names.ts";
import { print } from "../../output/standard-output.ts";
import { table, timeText } from "../../output/table.ts";
import { jsonLine } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { fromHelp, startOf } from "../../records/read-range.ts";
import { runCommand } from "../../run-command.ts";

interface Flags extends ConnectFlags, LogFlag {}

interface DeleteFlags extends Flags {
  readonly ifVersion?: number;
}

interface MoveFlags extends DeleteFlags {
  readonly to: string;
  readonly metadata?: string;
}

const nameHelp = "the name of the cursor";

export function register(program: Command): void {
  const cursors = program.command("cursors").description("list, read, move and delete cursors");
  connectOptions(
    logOption(
      cursors
        .command("list", { isDefault: true })
        .description("list the cursors of a log, and how far each is behind"),
    ),
  ).action((flags: Flags) => runCommand("cursors list", () => list(flags)));
  connectOptions(
    logOption(
      cursors.command("get").description("print a cursor, with its lag").argument("<name>", nameHelp),
    ),
  ).action((name: string, flags: Flags) => runCommand("cursors get", () => get(name, flags)));
  connectOptions(
    logOption(
      cursors
        .command("move")
        .description(
          "set a cursor, and create it if there is none; a reader that uses it fails at its next commit",
        )
        .argument("<name>", nameHelp),
    ),
  )
    .requiredOption("--to <position>", fromHelp)
    .option("--metadata <text>", "stored with it (default: what is stored now)")
    .addOption(ifVersion("move it only if it has this version; 0: only if there is none"))
    .action((name: string, flags: MoveFlags) => runCommand("cursors move", () => move(name, flags), "write"));
  connectOptions(
    logOption(cursors.command("delete").description("delete a cursor").argument("<name>", nameHelp)),
  )
    .addOption(ifVersion("delete it only if it has this version"))
    .action((name: string, flags: DeleteFlags) =>
      runCommand("cursors delete", () => remove(name, flags), "write"),
    );
}

const ifVersion = (help: string): Option => new Option("--if-version <n>", help).argParser(versionOf);

function versionOf(text: string): number {
  const version = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(version)) return version;
  throw new InvalidArgumentError("It must be a whole number.");
}

async function list(flags: Flags): Promise<undefined> {
  const log = logOf(flags);
  using client = await connect(flags);
  const rows: (string | number)[][] = [];
  let after = "";
  do {
    const { cursors, next } = await client.rpc.cursors.list({ log, after });
    for (const cursor of cursors) {
      if (flags.json) await print(jsonLine(toPlainJson(CursorSchema, cursor)));
      else rows.push(row(cursor));
    }
    after = next;
  } while (after !== "");
  if (flags.json) return;
  await print(table(["name", "offset", "lag", "last commit", "metadata"], rows));
}

const row = ({ name, offset, lag, committedMs, metadata }: Cursor): (string | number)[] => [
  name,
  Number(offset),
  Number(lag),
  timeText(Number(committedMs)),
  metadata,
];

async function get(given: string, flags: Flags): Promise<undefined> {
  const name = checkedCursor(given);
  using client = await connect(flags);
  const { cursor } = await client.rpc.cursors.get({ log: logOf(flags), name });
  if (cursor === undefined) throw new Fault("unimplemented", { message: "the node did not send the cursor" });
  await print(jsonLine(toPlainJson(CursorSchema, cursor)));
}

async function move(given: string, flags: MoveFlags): Promise<undefined> {
  const name = checkedCursor(given);
  const start = startOf(flags.to, "--to");
  using client = await connect(flags);
  const log = client.log(logOf(flags));
  const cursor = log.cursor(name);
  const offset = "offset" in start ? start.offset : await log.seek(start);
  // A commit replaces the metadata. With the version that was read, it cannot replace that of another client.
  const present = flags.metadata === undefined ? await cursor.get() : undefined;
  const version = flags.ifVersion ?? (flags.metadata === undefined ? (present?.version ?? 0) : undefined);
  const metadata = flags.metadata ?? present?.metadata ?? "";
  const moved = await cursor.commit(offset, { version, metadata });
  await print(jsonLine({ name, offset, version: moved.version }));
}

async function remove(given: string, flags: DeleteFlags): Promise<number> {
  const name = checkedCursor(given);
  using client = await connect(flags);
  await client.log(logOf(flags)).cursor(name).delete({ version: flags.ifVersion });
  await print(jsonLine({ deleted: name }));
  return exitStatus.done;
}
