/** Standard output of a command. */
import { exitStatus } from "../exit-status.ts";

/**
 * Ends the process when standard output is closed: with status 0 if the reader has gone, as in `| head`, otherwise, for
 * example on a full disk, with status 1 and a line on standard error.
 */
export function exitWhenOutputCloses(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitStatus.done);
    console.error(`tailrace: standard output cannot be written: ${error.message}`);
    process.exit(exitStatus.failed);
  });
  // A closed standard error loses messages. The command still finishes its work.
  process.stderr.on("error", () => undefined);
}

/** Prints to standard output. Returns a promise if the reader is slow. `undefined` prints nothing. */
export function print(chunk: string | Uint8Array | undefined): Promise<void> | undefined {
  if (chunk === undefined || process.stdout.write(chunk)) return undefined;
  return new Promise((resolve) => process.stdout.once("drain", resolve));
}
