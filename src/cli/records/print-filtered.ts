/** Prints the records that match a filter, and on a terminal how far the server is. */
import type { FilterPosition, LogRecord } from "../../client/mod.ts";
import { systemClock } from "../../lib/time/clock.ts";
import { PrintBuffer } from "../output/print-buffer.ts";
import { print } from "../output/standard-output.ts";
import type { RecordPrinter } from "./record-format.ts";

let shown = "";
let skipped = 0;

/** Replaces the line on standard error, if it is a terminal. */
export function showPosition(position: FilterPosition): void {
  skipped = position.skipped;
  if (process.stderr.isTTY !== true) return;
  const text = `searched to ${position.next} of ${position.end}`;
  process.stderr.write(`\r${text.padEnd(shown.length)}`);
  shown = text;
}

function hidePosition(): void {
  if (shown !== "") process.stderr.write(`\r${" ".repeat(shown.length)}\r`);
  shown = "";
}

/** Returns true if there were `count` records. */
export async function printFiltered(
  records: AsyncIterable<LogRecord>,
  printRecord: RecordPrinter,
  count: number,
): Promise<boolean> {
  let left = count;
  const out = new PrintBuffer();
  let isDue = false;
  /** Writes after the records that have arrived already, so that they share a write. */
  const writeSoon = (): void => {
    if (isDue) return;
    isDue = true;
    systemClock.soon(() => {
      isDue = false;
      void print(out.take());
    });
  };
  for await (const record of records) {
    hidePosition();
    printRecord(record, out);
    if (--left === 0) break;
    if (out.isFull) await print(out.take());
    else writeSoon();
  }
  hidePosition();
  await print(out.take());
  if (skipped > 0)
    process.stderr.write(`${skipped} records were passed over: their evaluation would cost too much\n`);
  return left === 0;
}
