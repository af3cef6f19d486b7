/** A real server in a process of its own, on a port that stays the same over restarts. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const bin = join(dirname(fileURLToPath(import.meta.url)), "../../../src/cli/bin.cjs");
const readyMs = 30_000;

export class RealNode implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "tailrace-browser-"));
  /** Additional flags of serve. They can be changed until start(). */
  readonly flags: string[];
  #process: ChildProcess | undefined;
  #address = "127.0.0.1:0";
  #url = "";

  constructor(flags: readonly string[] = []) {
    this.flags = [...flags];
  }

  /** `http://127.0.0.1:…` or `https://…`. */
  get origin(): string {
    return this.#url;
  }
  get address(): string {
    return this.#address;
  }
  get port(): number {
    return Number(new URL(this.#url).port);
  }
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts, or starts again on the same port with the same data. */
  async start(): Promise<this> {
    const data = join(this.directory, "data");
    // The server refuses variables that it does not know.
    const { TAILRACE_SCREENSHOTS: _, ...env } = process.env;
    const child = spawn(
      process.execPath,
      [bin, "serve", "--addr", this.#address, "--data-dir", data, ...this.flags],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...env, NODE_OPTIONS: "" } },
    );
    this.#process = child;
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), readyMs);
    try {
      for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
        const ready = /^tailrace ready .*addr=(\S+) .*url=(\S+)/.exec(line);
        if (ready === null) continue;
        [this.#address, this.#url] = [ready[1] as string, ready[2] as string];
        return this;
      }
    } finally {
      clearTimeout(timer);
      child.stdout?.resume();
    }
    throw new Error(`the server did not become ready: ${said}`);
  }

  /** Ends the process with a signal. SIGKILL is like a crash. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
