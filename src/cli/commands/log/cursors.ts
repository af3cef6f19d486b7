/** `tailrace cursors list|move|delete`: how far the readers of a log have got. */
import type { Command } from "commander";
import { type Cursor, CursorSchema } from "../../../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { exitStatus } from "../../exit-status.ts";
import { checkedCursor, type LogFlag, logOf, logOption } from "../../log-names.ts";
import { print } from "../../output/standard-output.ts";
import { table, timeText } from "../../output/table.ts";
import { jsonLine } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { fromHelp, rangeOf } from "../../records/read-range.ts";
import { runCommand } from "../../run-command.ts";

interface Flags extends ConnectFlags, LogFlag {}

interface MoveFlags extends Flags {
  readonly to: string;
}

const nameHelp = "the name of the cursor";

export function register(program: Command): void {
  const cursors = program.command("cursors").description("list, move and delete cursors");
  connectOptions(
    logOption(
      cursors
        .command("list", { isDefault: true })
        .description("list the cursors of a log, and how far each is behind"),
    ),
  ).action((flags: Flags) => runCommand("cursors list", () => list(flags)));
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
    .requiredOption("--to <start>", fromHelp)
    .action((name: string, flags: MoveFlags) => runCommand("cursors move", () => move(name, flags), "write"));
  connectOptions(
    logOption(cursors.command("delete").description("delete a cursor").argument("<name>", nameHelp)),
  ).action((name: string, flags: Flags) => runCommand("cursors delete", () => remove(name, flags), "write"));
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

async function move(given: string, flags: MoveFlags): Promise<undefined> {
  const name = checkedCursor(given);
  const { start } = rangeOf({ from: flags.to }, "start", 0);
  using client = await connect(flags);
  const log = client.log(logOf(flags));
  const offset = "offset" in start ? start.offset : await log.seek(start);
  const { version } = await log.cursor(name).commit(offset);
  await print(jsonLine({ name, offset, version }));
}

async function remove(given: string, flags: Flags): Promise<number> {
  const name = checkedCursor(given);
  using client = await connect(flags);
  await client.log(logOf(flags)).cursor(name).delete();
  await print(jsonLine({ deleted: name }));
  return exitStatus.done;
}
