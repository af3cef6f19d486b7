/**
 * The place of backups of a run: an S3 server behind a proxy that can fail. The leader makes backups in it while faults happen; at
 * the end one more is made, restored, and compared with a node.
 */
import { join } from "node:path";
import { FaultyProxy } from "../support/objects/faulty-proxy.ts";
import { openS3Server } from "../support/objects/s3-server.ts";
import { tailrace } from "../support/process/process.ts";
import { pause } from "./clients/client-context.ts";

const url = "s3://logs/chaos";
const everySeconds = 15;
const attemptsMax = 8;

export class BackupPlace implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly proxy: FaultyProxy;
  readonly #before: Readonly<Record<string, string | undefined>>;

  private constructor(
    stack: AsyncDisposableStack,
    proxy: FaultyProxy,
    environment: Readonly<Record<string, string>>,
  ) {
    this.#stack = stack;
    this.proxy = proxy;
    this.#before = Object.fromEntries(Object.keys(environment).map((name) => [name, process.env[name]]));
    // Nodes and commands inherit it.
    Object.assign(process.env, environment);
  }

  static async open(): Promise<BackupPlace> {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await openS3Server());
    const proxy = stack.use(await FaultyProxy.open(server.endpoint));
    const environment = { ...server.environment, AWS_ENDPOINT_URL_S3: proxy.endpoint };
    return new BackupPlace(stack.move(), proxy, environment);
  }

  /** The flags of a node. */
  get flags(): readonly string[] {
    return ["--backup-to", url, "--backup-every", `${everySeconds}s`, "--backup-keep", "3"];
  }

  /** Makes a backup of a node, with flags of a client. Returns why it failed, or undefined. */
  async backup(flags: readonly string[]): Promise<string | undefined> {
    let last = "";
    for (let attempts = 0; attempts < attemptsMax; attempts++) {
      const { status, err } = await tailrace(["backup", url, "--keep", "3", ...flags]);
      if (status === 0) return undefined;
      last = err;
      // Another writer can be at work.
      await pause(3_000, new AbortController().signal);
    }
    return last;
  }

  /** Restores the newest backup beside the data directory of a node, and compares both. Returns what is wrong. */
  async problems(directory: string, node: string): Promise<readonly string[]> {
    const restored = join(directory, "restored");
    const steps: readonly (readonly string[])[] = [
      ["verify", url],
      ["restore", url, "--data-dir", restored],
      ["verify", restored],
      ["verify", "--compare", restored, node],
    ];
    for (const step of steps) {
      const { status, out, err } = await tailrace(step);
      if (status !== 0) return [`${step.join(" ")}: ${out}${err}`];
    }
    return [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [name, value] of Object.entries(this.#before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await this.#stack.disposeAsync();
  }
}
