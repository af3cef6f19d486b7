/**
 * What `consume` and `tail` share: they print records from a start on. If the connection is lost, they continue with the
 * next record.
 */
import type { Command } from "commander";
import { parseFrom } from "../../api/http/tail-request.ts";
import { Fault } from "../../fault.ts";
import type { ReadStart } from "../../types.ts";
import { type ConnectFlags, connect } from "../connect.ts";
import { argumentFault, exitStatus, usageFault } from "../exit-status.ts";
import { type LogFlag, logOf } from "../log-names.ts";
import { print } from "../output/standard-output.ts";
import { recordPrinter } from "./record-format.ts";

export interface ReadFlags extends ConnectFlags, LogFlag {
  readonly from: string;
  readonly follow?: boolean;
  readonly count?: string;
  readonly format: string;
  readonly unsafeRaw?: true;
}

/** Adds --count and --format. */
export function readOptions(command: Command): Command {
  return command
    .option("--count <n>", "stop after n records")
    .option(
      "--format <format>",
      "json, raw (value and a line end), hex, or text with %o %t %k %v %s %% \\n",
      "json",
    )
    .option("--unsafe-raw", "print unescaped bytes on a terminal, too; records can contain escape sequences");
}

/** The help of --from. */
export const fromHelp =
  "an offset, start, end, -N for the last N, @milliseconds, or a time of RFC 3339 such as 2026-01-31T12:00:00Z";

export async function readRecords(flags: ReadFlags): Promise<number> {
  const toText = recordPrinter(flags.format, process.stdout.isTTY && flags.unsafeRaw !== true);
  const count = flags.count === undefined ? 0 : Number(flags.count);
  if (flags.count !== undefined && !(Number.isSafeInteger(count) && count >= 1)) {
    throw argumentFault("--count must be a whole number of at least 1", flags.count);
  }
  const start = startOf(flags.from);
  const name = logOf(flags);
  using client = await connect(flags);
  const log = client.log(name);
  const until = flags.follow === true ? {} : ({ until: "end" } as const);
  const from = await log.seek(start); // fails if the node is unreachable, unlike the tail, which waits
  let left = count;
  for await (const record of log.consume({ from: { offset: from }, ...until })) {
    await print(toText(record));
    if (--left === 0) break;
  }
  return exitStatus.done;
}

function startOf(from: string): ReadStart {
  try {
    return parseFrom(from);
  } catch (reason) {
    const { message } = Fault.from(reason);
    throw usageFault(message.startsWith("from ") ? `--${message}` : `--from: ${message}`);
  }
}
