/** The nodes of `tailrace dev`, as child processes. They end when this process ends, however it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const bin = fileURLToPath(new URL("../../src/cli/bin.cjs", import.meta.url));
/** A node that does not stop within this time is killed. */
const stopMs = 15_000;

export interface DevNodesOptions {
  readonly home: string;
  readonly nodes: number;
  readonly basePort: number;
  readonly certs: string | undefined;
}

export class DevNodes implements AsyncDisposable {
  /** Resolves when every node is ready. */
  readonly ready: Promise<void>;
  /** Is called with a message when a node ends by itself. While it is not set, such a node ends all others. */
  onNodeLost: ((message: string) => void) | undefined;
  readonly #options: DevNodesOptions;
  /** The ready line of each node, by its name. */
  readonly readyLines = new Map<string, string>();
  readonly #children = new Map<string, ChildProcess>();
  readonly #ended = Promise.withResolvers<string | undefined>();
  readonly #ready = Promise.withResolvers<void>();
  /** Runs when this process exits, so that no node keeps running. */
  readonly #killAll = (): void => {
    for (const child of this.#children.values()) child.kill("SIGKILL");
  };
  #failed: string | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: DevNodesOptions) {
    this.#options = options;
    this.ready = this.#ready.promise;
  }

  /** Starts the nodes. Resolves when all have ended, with the reason if it was not a stop. */
  start(): Promise<string | undefined> {
    process.once("exit", this.#killAll);
    for (let n = 1; n <= this.#options.nodes; n++) this.#startOne(n);
    return this.#ended.promise;
  }

  /** Stops all nodes and waits until they have ended. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    for (const child of this.#children.values()) child.kill("SIGTERM");
    const force = setTimeout(this.#killAll, stopMs);
    if (this.#children.size > 0) await this.#ended.promise;
    clearTimeout(force);
    process.off("exit", this.#killAll);
  }

  #startOne(n: number): void {
    const name = `n${n}`;
    const { home } = this.#options;
    const log = openSync(join(home, `${name}.log`), "a");
    const file = join(home, `${name}.yaml`);
    writeFileSync(file, this.#configOf(n));
    const child = spawn(process.execPath, [bin, "serve", "--config-file", file], {
      stdio: ["ignore", "pipe", log],
    });
    this.#children.set(name, child);
    let output = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      if (this.readyLines.has(name)) return;
      output += chunk.toString("utf8");
      const end = output.indexOf("\n");
      if (end < 0) return;
      this.readyLines.set(name, output.slice(0, end));
      if (this.readyLines.size === this.#options.nodes) this.#ready.resolve();
    });
    child.once("close", (status, signal) => {
      this.#children.delete(name);
      if (this.#stopping === undefined) this.#lost(n, `${name} ended with ${signal ?? status}`);
      if (this.#children.size === 0) this.#ended.resolve(this.#failed);
    });
  }

  #lost(n: number, how: string): void {
    const log = join(this.#options.home, `n${n}.log`);
    const said = lastError(log);
    const why = `${how}, see ${log}${said === undefined ? "" : `\n${said}`}`;
    if (this.onNodeLost === undefined || this.#children.size === 0) {
      this.#failed ??= why;
      void this[Symbol.asyncDispose]();
    } else {
      const file = shellWord(relative(".", join(this.#options.home, `n${n}.yaml`)));
      this.onNodeLost(
        `${why}; the others continue. Restart it with\nnpx tailrace serve --config-file ${file}`,
      );
    }
  }

  /** The file of settings of a node. JSON is YAML. */
  #configOf(n: number): string {
    const { home, nodes, basePort, certs } = this.#options;
    const addr = (at: number): string => `127.0.0.1:${basePort + at - 1}`;
    const others = Array.from({ length: nodes }, (_, at) => at + 1).filter((at) => at !== n);
    const config = {
      addr: addr(n),
      "node-name": `n${n}`,
      "data-dir": join(home, `n${n}`),
      ...(nodes > 1 && { "bootstrap-expect": nodes, "start-join-addrs": others.map(addr).join(",") }),
      ...(certs !== undefined && {
        "server-tls-cert-file": join(certs, "server.pem"),
        "server-tls-key-file": join(certs, "server-key.pem"),
        "server-tls-ca-file": join(certs, "ca.pem"),
        "acl-policy-file": join(certs, "policy.csv"),
      }),
    };
    return Object.entries(config)
      .map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
      .join("");
  }
}

const shellWord = (text: string): string =>
  /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** The last error that a node printed for people, from its log: the other lines are JSON. */
const lastError = (log: string): string | undefined =>
  readFileSync(log, "utf8")
    .split("\n")
    .findLast((line) => line.startsWith("tailrace serve: "));
