/** A server in a process of its own, started from the command line, with its processor time and memory from /proc. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
/** The program of the command line. */
export const command = join(root, "src/cli/bin.cjs");

export interface ServerProcess {
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  /** Milliseconds from spawn to the ready line. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

/** Starts `tailrace serve` on a free port with an empty data directory, and waits for its ready line. */
export async function startServer(flags: readonly string[] = []): Promise<ServerProcess> {
  const dataDir = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  const started = performance.now();
  const words = [
    "serve",
    "--addr",
    "127.0.0.1:0",
    "--ops-addr",
    "127.0.0.1:0",
    "--data-dir",
    dataDir,
    ...flags,
  ];
  const child = spawn(process.execPath, [command, ...words], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const line = await readyLine(child, /^tailrace ready /);
  const port = Number(/ addr=\S*:(\d+) /.exec(line)?.[1]);
  return {
    port,
    pid: child.pid as number,
    dataDir,
    readyMs: performance.now() - started,
    stop: async () => {
      await stopped(child);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Creates a CA, a node certificate and a client certificate with the command itself. */
export function makeCertificates() {
  const folder = mkdtempSync(join(tmpdir(), "tailrace-certs-"));
  execFileSync(process.execPath, [command, "certs", "--out", folder], {
    stdio: "ignore",
  });
  const file = (name: string): string => join(folder, name);
  const files = { ca: file("ca.pem"), cert: file("root-client.pem"), key: file("root-client-key.pem") };
  return {
    flags: [
      ...["--server-tls-cert-file", file("server.pem"), "--server-tls-key-file", file("server-key.pem")],
      ...["--server-tls-ca-file", files.ca],
    ],
    tls: { ca: readFileSync(files.ca), cert: readFileSync(files.cert), key: readFileSync(files.key) },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Compiles the command, so that it does not run from source. */
export function compile(): void {
  execFileSync(process.execPath, [join(root, "src/build.mjs")], { stdio: "inherit" });
}

/** Starts a script of test/bench/limits, which prints its port. */
export async function startScript(
  file: string,
  ...args: readonly string[]
): Promise<{ port: number; pid: number; stop(): Promise<void> }> {
  const program = [join(root, "test/bench/limits", file), ...args];
  const child = spawn(process.execPath, program, { stdio: ["ignore", "pipe", "inherit"] });
  const port = Number(await readyLine(child, /^\d+$/));
  return { port, pid: child.pid as number, stop: () => stopped(child) };
}

function readyLine(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (chunk) => {
      text += chunk;
      const line = text.split("\n").find((one) => pattern.test(one));
      if (line !== undefined && text.includes("\n")) resolve(line);
    });
    child.once("exit", (code) => reject(new Error(`the server exited with ${code} before it was ready`)));
  });
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 5000).unref();
  });
}

/** Returns the seconds of processor time that a process has used. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Returns the resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}
