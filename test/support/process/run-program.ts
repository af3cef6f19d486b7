/** Runs another program to its end in a test, for at most a minute. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { root } from "./process.ts";

export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the program of this name on the PATH, or `buf` of the development dependencies. Resolves for every exit status. */
export function runProgram(program: string, args: readonly string[], input = ""): Promise<Ran> {
  const path = program === "buf" ? join(root, "node_modules/.bin/buf") : program;
  return new Promise((resolve) => {
    const child = execFile(path, args, { timeout: 60_000, maxBuffer: 1 << 26 }, (error, out, err) => {
      const status = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ status, out, err });
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

/** Parses concatenated JSON objects, as gRPC command-line clients print them. */
export function jsonValues(text: string): Record<string, unknown>[] {
  const values: Record<string, unknown>[] = [];
  let depth = 0;
  let from = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at];
    if (letter === '"' && text[at - 1] !== "\\") quoted = !quoted;
    if (quoted) continue;
    if (letter === "{" && depth++ === 0) from = at;
    if (letter === "}" && --depth === 0)
      values.push(JSON.parse(text.slice(from, at + 1)) as Record<string, unknown>);
  }
  return values;
}
