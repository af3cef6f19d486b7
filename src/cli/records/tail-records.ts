/**
 * Prints the records of several logs as they are appended. If the connection is lost, it continues after the last record. A log
 * that was named and is deleted is a line on stderr.
 */
import { parseResumeToken } from "../../api/methods/tails/resume-token.ts";
import { connect } from "../connect.ts";
import { exitStatus, usageFault } from "../exit-status.ts";
import { print } from "../output/standard-output.ts";
import { countOf, type ReadFlags } from "./read-records.ts";
import { recordPrinter } from "./record-format.ts";

export async function tailRecords(
  flags: Omit<ReadFlags, "log">,
  logs: readonly string[] | { readonly prefix: string },
): Promise<number> {
  const toText = recordPrinter(flags.format, process.stdout.isTTY && flags.unsafeRaw !== true);
  let left = countOf(flags);
  const resume = startOf(flags.from ?? "end");
  using client = await connect(flags);
  const stated = "prefix" in logs ? { prefix: logs.prefix } : { names: logs };
  const onDeleted = ({ log }: { readonly log: string }): void =>
    void process.stderr.write(`log "${log}" was deleted\n`);
  for await (const record of client.logs.tail({ ...stated, resume, onDeleted })) {
    await print(toText(record));
    if (--left === 0) break;
  }
  return exitStatus.done;
}

function startOf(from: string): string {
  if (from === "start" || from === "end") return from;
  try {
    parseResumeToken(from);
  } catch {
    throw usageFault(
      `--from must be start, end or a token such as r7.12.3 for several logs, not ${JSON.stringify(from.slice(0, 64))}`,
    );
  }
  return from;
}
