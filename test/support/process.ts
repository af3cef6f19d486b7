/**
 * The command line as a process of its own, for tests: short commands run to their end, and nodes that are killed at
 * the end of the test at the latest.
 *
 * Never: signals a process that it did not start.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
export const bin = join(root, "src/cli/bin.cjs");
const bugLoader = pathToFileURL(join(root, "test/support/bug-loader.mjs")).href;

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** The environment without what would configure a node. A bug that was put in on purpose goes along. */
export const environment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(TAILRACE|NODE_OPTIONS|NODE_TEST)/.test(name)),
  ),
  ...(process.env["SOURCE_BUG"] === undefined ? {} : { NODE_OPTIONS: `--import=${bugLoader}` }),
});

export function startCommand(
  args: readonly string[],
  env: Record<string, string> = {},
  command: string = bin,
  descriptors?: number,
): ChildProcess {
  const options = { env: { ...environment(), ...env }, cwd: root };
  if (descriptors === undefined) return spawn(process.execPath, [command, ...args], options);
  const limited = `ulimit -n ${descriptors} && exec "$0" "$@"`;
  return spawn("sh", ["-c", limited, process.execPath, command, ...args], options);
}

/** Collects what a process prints until it ends. */
export async function ended(child: ChildProcess, input?: string | Uint8Array): Promise<Ended> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input);
  const [status, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return {
    status,
    signal,
    out: Buffer.concat(out).toString("utf8"),
    err: Buffer.concat(err).toString("utf8"),
  };
}

/** Runs `tailrace ARGS` to its end. */
export function tailrace(
  args: readonly string[],
  options: { readonly input?: string | Uint8Array; readonly env?: Record<string, string> } = {},
): Promise<Ended> {
  return ended(startCommand(args, options.env), options.input);
}

export interface NodeProcess {
  readonly child: ChildProcess;
  readonly readyLine: string;
  /** What it prints below: the dashboard and a command to try. */
  readonly nextSteps: string;
  /** `host:port`. */
  readonly addr: string;
  readonly ops: string;
  readonly url: string;
  readonly pid: number;
  /** What it logged so far. */
  log(): string;
  /** Sends a signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<Ended>;
}

/**
 * Starts `tailrace serve` on a free port and waits for its ready line; `command` is where the command lies,
 * `descriptors` its `ulimit -n`.
 */
export async function startNode(
  t: { after(work: () => unknown): void },
  flags: readonly string[],
  env: Record<string, string> = {},
  command?: string,
  descriptors?: number,
): Promise<NodeProcess> {
  const addr = flags.includes("--addr") ? [] : ["--addr", "127.0.0.1:0"];
  const ops = flags.includes("--ops-addr") ? [] : ["--ops-addr", "127.0.0.1:0"];
  const child = startCommand(["serve", ...addr, ...ops, ...flags], env, command, descriptors);
  let err = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    err += chunk.toString("utf8");
  });
  const end = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await end;
  });
  let out = "";
  const [readyLine = "", ...steps] = await new Promise<string[]>((resolve, reject) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString("utf8");
      const lines = out.split("\n");
      if (lines.length > 3) resolve(lines);
    });
    end.then(() => reject(new Error(`the node ended before it was ready: ${err}`)));
  });
  const fact = (name: string): string => new RegExp(`\\b${name}=(\\S+)`).exec(readyLine)?.[1] ?? "";
  return {
    child,
    readyLine,
    nextSteps: steps.join("\n").trimEnd(),
    addr: fact("addr"),
    ops: fact("ops"),
    url: fact("url"),
    pid: Number(fact("pid")),
    log: () => err,
    async kill(signal) {
      child.kill(signal);
      const [status, by] = await end;
      return { status, signal: by, out, err };
    },
  };
}
