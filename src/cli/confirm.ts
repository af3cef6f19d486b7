/** Asks a person on the terminal before a command deletes something. */
import { createInterface } from "node:readline/promises";
import { usageFault } from "./exit-status.ts";

/**
 * Checks that a person can be asked.
 * @throws Fault "config" if standard input is not a terminal: then only --yes confirms
 */
export function checkTerminal(): void {
  if (!process.stdin.isTTY) throw usageFault("standard input is not a terminal; confirm with --yes");
}

/** Where the person reads and types. */
interface Terminal {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
}

/**
 * Resolves to true if the person types `expected` after `question`. Default terminal: standard input, and standard error
 * for the question.
 */
export async function confirmed(
  question: string,
  expected: string,
  terminal: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  const lines = createInterface(terminal);
  const ended = new Promise<undefined>((resolve) => lines.once("close", () => resolve(undefined)));
  lines.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    const answer = lines.question(question).catch(() => undefined);
    return (await Promise.race([answer, ended])) === expected;
  } finally {
    lines.close();
  }
}
