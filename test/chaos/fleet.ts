/**
 * The nodes of a run: processes of `tailrace serve`, each behind a proxy. Their directories outlive the processes. The log
 * of a node goes to a file next to its directory.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { freePort } from "../support/process/free-port.ts";
import { MovedClock } from "../support/process/moved-clock.ts";
import { bin, endProcess, environment, root, serveArguments } from "../support/process/process.ts";
import type { Addresses } from "./clients/client-context.ts";
import { Links } from "./network/links.ts";

export interface FleetNode {
  readonly name: string;
  readonly directory: string;
  /** The address on which it listens. */
  readonly addr: string;
  /** The address of its proxy. */
  readonly advertised: string;
  /** The wall clock of its processes. */
  readonly clock: MovedClock;
  child: ChildProcess | undefined;
  isPaused: boolean;
}

export interface FleetOptions {
  readonly directory: string;
  readonly names: readonly string[];
  /** Data directories of nodes that are not below `directory`, by node. */
  readonly places?: ReadonlyMap<string, string>;
  readonly flags?: readonly string[];
  /** False: nodes reach each other without proxies. */
  readonly proxied?: false;
  /** True: each node's `clock` moves the wall clock of its processes. */
  readonly movesClocks?: true;
}

export class Fleet implements Addresses, AsyncDisposable {
  readonly nodes: FleetNode[] = [];
  readonly links = new Links();
  /** Unexpected exits of nodes, and other failures that faults found. */
  readonly failures: string[] = [];
  readonly #options: FleetOptions;

  /** Second processes of members; see startCopy(). */
  readonly #copies = new Set<FleetNode>();

  /** No node outlives this process. */
  readonly #killAll = (): void => {
    for (const { child } of [...this.nodes, ...this.#copies]) child?.kill("SIGKILL");
  };

  private constructor(options: FleetOptions) {
    this.#options = options;
    process.once("exit", this.#killAll);
  }

  /** Starts all nodes with empty directories as one cluster. */
  static async open(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options);
    for (const name of options.names) await fleet.add(name);
    for (const node of fleet.nodes) await fleet.start(node);
    return fleet;
  }

  direct(): readonly string[] {
    return this.nodes.map(({ addr }) => addr);
  }

  advertised(): readonly string[] {
    return this.nodes.map(({ advertised }) => advertised);
  }

  get running(): readonly FleetNode[] {
    return this.nodes.filter(({ child, isPaused }) => child !== undefined && !isPaused);
  }

  /** A node that is not started yet. */
  async add(name: string): Promise<FleetNode> {
    const [port, proxyPort] = [await freePort(), await freePort()];
    const addr = `127.0.0.1:${port}`;
    const node: FleetNode = {
      name,
      directory: this.#options.places?.get(name) ?? join(this.#options.directory, name),
      addr,
      advertised: this.#isProxied ? await this.links.add(name, port, proxyPort) : addr,
      clock: new MovedClock(join(this.#options.directory, `${name}.clock`)),
      child: undefined,
      isPaused: false,
    };
    this.nodes.push(node);
    return node;
  }

  /** Starts its process. It may not be ready when this resolves. */
  async start(node: FleetNode): Promise<void> {
    mkdirSync(node.directory, { recursive: true });
    const child = this.#spawn(node, node.name);
    node.child = child;
    child.once("exit", (status, signal) => {
      if (node.child !== child) return;
      node.child = undefined;
      this.#down(node);
      this.failures.push(`${node.name} ended with ${signal ?? status}`);
    });
    if (this.#isProxied) await this.links.up(node.name, child.pid!);
  }

  /** Ends its process; resolves when the process has exited. */
  async end(node: FleetNode, signal: NodeJS.Signals): Promise<void> {
    const { child } = node;
    if (child === undefined) return;
    node.child = undefined;
    node.isPaused = false;
    const { status, signal: by } = await endProcess(child, signal);
    // A process that just started may have no handler for SIGTERM yet.
    if (signal === "SIGTERM" && status !== 0 && by !== "SIGTERM")
      this.failures.push(`${node.name} got SIGTERM and ended with ${by ?? status}`);
    this.#down(node);
  }

  pause(node: FleetNode): void {
    if (node.child?.kill("SIGSTOP")) node.isPaused = true;
  }

  resume(node: FleetNode): void {
    node.child?.kill("SIGCONT");
    node.isPaused = false;
  }

  /** Its disk is lost. The process must have ended. */
  wipe(node: FleetNode): void {
    for (const part of ["log", "meta"]) rmSync(join(node.directory, part), { recursive: true, force: true });
    rmSync(node.directory, { recursive: true, force: true });
  }

  /** Copies the node's directory; returns the path of the copy. The process is paused meanwhile. */
  copy(node: FleetNode): string {
    const copy = join(this.#options.directory, `${node.name}-copy`);
    const runs = !node.isPaused;
    this.pause(node);
    rmSync(copy, { recursive: true, force: true });
    cpSync(node.directory, copy, { recursive: true, filter: (path) => !path.endsWith("lock.socket") });
    if (runs) this.resume(node);
    return copy;
  }

  /** Replaces the directory by a copy. The process must have ended. */
  putBack(node: FleetNode, copy: string): void {
    this.wipe(node);
    cpSync(copy, node.directory, { recursive: true });
    rmSync(copy, { recursive: true });
  }

  discard(copy: string): void {
    rmSync(copy, { recursive: true, force: true });
  }

  /** Starts a second process of the same member, on a copy of its directory. It is not in `nodes`. */
  async startCopy(node: FleetNode, copy: string): Promise<FleetNode> {
    const addr = `127.0.0.1:${await freePort()}`;
    const made: FleetNode = { ...node, directory: copy, addr, advertised: addr, child: undefined };
    made.child = this.#spawn(made, `${node.name}-copy`);
    this.#copies.add(made);
    return made;
  }

  /** Kills a second process. Resolves to its exit status or signal, if it had ended before. */
  async endCopy(copy: FleetNode): Promise<string | undefined> {
    const { child } = copy;
    this.#copies.delete(copy);
    if (child === undefined) return undefined;
    const { exitCode, signalCode } = child;
    if (exitCode !== null || signalCode !== null) return String(exitCode ?? signalCode);
    await endProcess(child, "SIGKILL");
    return undefined;
  }

  /** How often a text is in the logs of all nodes that ever were. */
  countLogged(text: string): number {
    const files = readdirSync(this.#options.directory).filter((name) =>
      /^(n|guest)\d+(-copy)?\.log$/.test(name),
    );
    const texts = files.map((name) => readFileSync(join(this.#options.directory, name), "utf8"));
    return texts.reduce((sum, logged) => sum + logged.split(text).length - 1, 0);
  }

  /** The size of the log of a node, or of `NAME-copy`, in bytes. */
  logged(name: string): number {
    return existsSync(this.#logOf(name)) ? statSync(this.#logOf(name)).size : 0;
  }

  /** The log of a node after the first `bytes`. */
  logSince(name: string, bytes: number): string {
    return existsSync(this.#logOf(name)) ? readFileSync(this.#logOf(name)).subarray(bytes).toString() : "";
  }

  #logOf(name: string): string {
    return join(this.#options.directory, `${name}.log`);
  }

  /** Kills the node and removes it from the run. */
  async retire(node: FleetNode): Promise<void> {
    await this.end(node, "SIGKILL");
    this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const copy of [...this.#copies]) await this.endCopy(copy);
    for (const node of this.nodes) await this.end(node, "SIGKILL");
    process.off("exit", this.#killAll);
    await this.links[Symbol.asyncDispose]();
  }

  get #isProxied(): boolean {
    return this.#options.proxied !== false;
  }

  #down({ name }: FleetNode): void {
    if (this.#isProxied) this.links.down(name);
  }

  #spawn(started: FleetNode, logName: string): ChildProcess {
    const { name, directory, addr, advertised, clock } = started;
    const { names, flags = [], movesClocks } = this.#options;
    const joins = this.nodes.map((node) => node.advertised).filter((other) => other !== advertised);
    const expect = names.includes(name) && names.length > 1 ? names.length : undefined;
    const node = { name, directory, addr, advertised, ops: "127.0.0.1:0", joins, expect };
    const output = openSync(this.#logOf(logName), "a");
    return spawn(process.execPath, [bin, ...serveArguments(node), ...flags], {
      env: { ...environment(), ...(movesClocks === true ? clock.environment : {}) },
      cwd: root,
      stdio: ["ignore", output, output],
    });
  }
}
