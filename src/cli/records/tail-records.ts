/**
 * Prints the records of several logs as they are appended. If the connection is lost, it continues after the last record. A log
 * that was named and is deleted is a line on stderr.
 */
import { parseResumeToken } from "../../api/methods/tails/resume-token.ts";
import { systemClock } from "../../lib/time/clock.ts";
import { connect } from "../connect.ts";
import { exitStatus, usageFault } from "../exit-status.ts";
import { PrintBuffer } from "../output/print-buffer.ts";
import { print } from "../output/standard-output.ts";
import { printable } from "../output/terminal.ts";
import { countOf, printerOf, type ReadFlags } from "./read-records.ts";

export async function tailRecords(
  flags: Omit<ReadFlags, "log">,
  logs: readonly string[] | { readonly prefix: string },
): Promise<number> {
  const printRecord = printerOf(flags);
  let left = countOf(flags);
  const resume = startOf(flags.from ?? "end");
  using client = await connect(flags);
  const stated = "prefix" in logs ? { prefix: logs.prefix } : { names: logs };
  const onDeleted = ({ log }: { readonly log: string }): void =>
    void process.stderr.write(`log "${printable(log)}" was deleted\n`);
  const out = new PrintBuffer();
  let blocked: Promise<void> | undefined;
  const write = (): void => {
    blocked = print(out.take()) ?? blocked;
  };
  let isDue = false;
  /** Writes after the records that have arrived already, so that they share a write. */
  const writeSoon = (): void => {
    if (isDue) return;
    isDue = true;
    systemClock.soon(() => {
      isDue = false;
      write();
    });
  };
  for await (const record of client.logs.tail({ ...stated, resume, filter: flags.filter, onDeleted })) {
    printRecord(record, out);
    if (--left === 0) break;
    if (out.isFull) write();
    else writeSoon();
    if (blocked === undefined) continue;
    await blocked;
    blocked = undefined;
  }
  await print(out.take());
  if (left === 0) return exitStatus.done;
  process.stderr.write("all logs are closed or deleted, there are no more records\n");
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
