/**
 * Runs `tailrace` as a process of its own, for tests: commands that end, and nodes that are killed at the end of the test
 * at the latest.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
export const bin = join(root, "src/cli/bin.cjs");
const bugLoader = pathToFileURL(join(root, "test/support/bug-loader.mjs")).href;

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

let compiled: boolean | undefined;

/** Returns whether dist/ has the present sources. Programs then run the compiled command, which starts faster. */
export function isCompiled(): boolean {
  if (compiled !== undefined) return compiled;
  const { stampOf } = createRequire(import.meta.url)("../../../src/cli/stamp.cjs") as Stamp;
  const stamp = join(root, "dist/stamp");
  compiled = existsSync(stamp) && readFileSync(stamp, "utf8") === stampOf(root);
  return compiled;
}

interface Stamp {
  stampOf(root: string): string;
}

/** The environment without the variables of a node, and without the user's profiles. A bug that a test injects into the sources is kept. */
export const environment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(TAILRACE|NODE_OPTIONS|NODE_TEST)/.test(name)),
  ),
  XDG_CONFIG_HOME: "/nonexistent",
  // Otherwise each command compares dist/ with the sources, which takes a tenth of its start.
  ...(isCompiled() ? { NODE_TAILRACE_FRESH: root } : {}),
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

/** Sends the signal, also to a paused process, and waits for the end. Sends SIGKILL after `limitMs`, default 90 s. */
export async function endProcess(
  child: ChildProcess,
  signal: NodeJS.Signals,
  limitMs = 90_000,
): Promise<Pick<Ended, "status" | "signal">> {
  if (child.exitCode !== null || child.signalCode !== null)
    return { status: child.exitCode, signal: child.signalCode };
  const closed = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  child.kill(signal);
  child.kill("SIGCONT");
  const force = setTimeout(() => child.kill("SIGKILL"), limitMs);
  const [status, by] = await closed;
  clearTimeout(force);
  return { status, signal: by };
}

/** A node of a cluster, as its command line names it. */
export interface NodeAddresses {
  readonly name: string;
  readonly directory: string;
  readonly addr: string;
  /** Default: `addr`. */
  readonly advertised?: string;
  readonly ops: string;
  /** Addresses of other nodes. */
  readonly joins: readonly string[];
  /** The value of --bootstrap-expect. Default: none. */
  readonly expect?: number | undefined;
}

/** `serve` and the flags for a node of a cluster. */
export const serveArguments = (node: NodeAddresses): string[] => [
  "serve",
  ...["--addr", node.addr, "--ops-addr", node.ops, "--node-name", node.name, "--data-dir", node.directory],
  ...(node.advertised === undefined ? [] : ["--advertise-addr", node.advertised]),
  ...(node.joins.length === 0 ? [] : ["--start-join-addrs", node.joins.join(",")]),
  ...(node.expect === undefined ? [] : ["--bootstrap-expect", String(node.expect)]),
];

/**
 * Resolves to the lines that `tailrace serve` prints when it is ready.
 * @throws Error if the process ends before
 */
export function readyLines(child: ChildProcess): Promise<string[]> {
  let out = "";
  return new Promise((resolve, reject) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString("utf8");
      const lines = out.split("\n");
      if (lines.length > 3) resolve(lines);
    });
    child.once("close", () => reject(new Error(`the node ended before it was ready: ${out}`)));
  });
}

/** The value of `name` in a ready line. */
export const factIn = (readyLine: string, name: string): string =>
  new RegExp(`\\b${name}=(\\S+)`).exec(readyLine)?.[1] ?? "";

/** Collects the output of a process until it ends. */
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

/** Runs `tailrace ARGS` until it ends. */
export function tailrace(
  args: readonly string[],
  options: { readonly input?: string | Uint8Array; readonly env?: Record<string, string> } = {},
): Promise<Ended> {
  return ended(startCommand(args, options.env), options.input);
}

export interface NodeProcess {
  readonly child: ChildProcess;
  readonly readyLine: string;
  /** The lines below the ready line: the dashboard and a command to try. */
  readonly nextSteps: string;
  /** `host:port`. */
  readonly addr: string;
  readonly ops: string;
  readonly url: string;
  readonly pid: number;
  /** Its log so far. */
  log(): string;
  /** Sends a signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<Ended>;
}

/**
 * Starts `tailrace serve` on a free port and waits for its ready line. `command` is the path of the command, `descriptors`
 * its `ulimit -n`.
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
  child.stdout?.on("data", (chunk: Buffer) => {
    out += chunk.toString("utf8");
  });
  const [readyLine = "", ...steps] = await readyLines(child).catch((cause: unknown) => {
    throw new Error(`the node ended before it was ready: ${err}`, { cause });
  });
  const fact = (name: string): string => factIn(readyLine, name);
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
