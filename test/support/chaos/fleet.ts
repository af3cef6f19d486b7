/**
 * The nodes of a run: processes started from the command line, each behind a proxy, each with a directory that
 * outlives it. Whatever one logs goes to a file beside its directory.
 *
 * Never: signals a process that it did not start.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import { MovedClock } from "../moved-clock.ts";
import { environment, root } from "../process.ts";
import { Links } from "./network/links.ts";
import type { Addresses } from "./clients/client-context.ts";

/** Long enough for a machine on which everything takes ten times as long; a node that hangs takes for ever. */
const endMs = 90_000;
const bin = join(root, "src/cli/bin.cjs");

export interface FleetNode {
  readonly name: string;
  readonly directory: string;
  /** Where it listens, and where it says that it does. */
  readonly addr: string;
  readonly advertised: string;
  /** The wall clock of its processes. */
  readonly clock: MovedClock;
  child: ChildProcess | undefined;
  isPaused: boolean;
}

export interface FleetOptions {
  readonly directory: string;
  readonly names: readonly string[];
  /** Where a node's data lies, if not below the directory. */
  readonly places?: ReadonlyMap<string, string>;
  readonly flags?: readonly string[];
  /** False: nodes reach each other without proxies between them. */
  readonly proxied?: false;
  /** True: each node's `clock` moves the wall clock of its processes. */
  readonly movesClocks?: true;
}

export class Fleet implements Addresses, AsyncDisposable {
  readonly nodes: FleetNode[] = [];
  readonly links = new Links();
  /** Nodes that ended although nobody ended them. */
  readonly deaths: string[] = [];
  readonly #options: FleetOptions;

  readonly #twins = new Set<FleetNode>();

  /** Whatever becomes of the run, no node outlives it. */
  readonly #last = (): void => {
    for (const { child } of [...this.nodes, ...this.#twins]) child?.kill("SIGKILL");
  };

  private constructor(options: FleetOptions) {
    this.#options = options;
    process.once("exit", this.#last);
  }

  /** Starts all nodes, empty as they are, as one cluster. */
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

  /** Starts its process; it need not be ready when this resolves. */
  async start(node: FleetNode): Promise<void> {
    mkdirSync(node.directory, { recursive: true });
    const output = openSync(join(this.#options.directory, `${node.name}.log`), "a");
    const child = spawn(process.execPath, [bin, "serve", ...this.#flagsOf(node)], {
      env: { ...environment(), ...(this.#options.movesClocks === true ? node.clock.environment : {}) },
      cwd: root,
      stdio: ["ignore", output, output],
    });
    node.child = child;
    child.once("exit", (status, signal) => {
      if (node.child !== child) return;
      node.child = undefined;
      this.#down(node);
      this.deaths.push(`${node.name} ended with ${signal ?? status}`);
    });
    if (this.#isProxied) await this.links.up(node.name, child.pid!);
  }

  /** Ends its process and waits until it is gone. */
  async end(node: FleetNode, signal: NodeJS.Signals): Promise<void> {
    const { child } = node;
    if (child === undefined) return;
    node.child = undefined;
    const gone = once(child, "exit");
    child.kill(signal);
    if (node.isPaused) child.kill("SIGCONT");
    node.isPaused = false;
    const force = setTimeout(() => child.kill("SIGKILL"), endMs);
    const [status, by] = (await gone) as [number | null, NodeJS.Signals | null];
    clearTimeout(force);
    // By SIGTERM itself: it was so young that it did not listen for it yet.
    if (signal === "SIGTERM" && status !== 0 && by !== "SIGTERM")
      this.deaths.push(
        `${node.name}, told to end at ${new Date().toISOString()}, ended with ${by ?? status} where an orderly stop was asked for`,
      );
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

  /** The node's directory as it is at one moment, beside. The process stands still meanwhile. */
  copy(node: FleetNode): string {
    const copy = join(this.#options.directory, `${node.name}-copy`);
    const runs = !node.isPaused;
    this.pause(node);
    rmSync(copy, { recursive: true, force: true });
    cpSync(node.directory, copy, { recursive: true, filter: (path) => !path.endsWith("lock.socket") });
    if (runs) this.resume(node);
    return copy;
  }

  /** Puts a copy in the place of the directory. The process must have ended. */
  putBack(node: FleetNode, copy: string): void {
    this.wipe(node);
    cpSync(copy, node.directory, { recursive: true });
    rmSync(copy, { recursive: true });
  }

  discard(copy: string): void {
    rmSync(copy, { recursive: true, force: true });
  }

  /** A second process for the same member, with this copy of its directory. It counts as no node of the run. */
  async twin(node: FleetNode, copy: string): Promise<FleetNode> {
    const addr = `127.0.0.1:${await freePort()}`;
    const made: FleetNode = { ...node, directory: copy, addr, advertised: addr, child: undefined };
    const output = openSync(this.#logOf(`${node.name}-twin`), "a");
    made.child = spawn(process.execPath, [bin, "serve", ...this.#flagsOf(made)], {
      env: environment(),
      cwd: root,
      stdio: ["ignore", output, output],
    });
    this.#twins.add(made);
    return made;
  }

  /** Ends a twin; answers how it ended by itself before, if it did. */
  async endTwin(twin: FleetNode): Promise<string | undefined> {
    const { child } = twin;
    this.#twins.delete(twin);
    if (child === undefined) return undefined;
    const { exitCode, signalCode } = child;
    if (exitCode !== null || signalCode !== null) return String(exitCode ?? signalCode);
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    return undefined;
  }

  /** How much a node, or its twin, has logged so far, in bytes. */
  logged(name: string): number {
    return existsSync(this.#logOf(name)) ? statSync(this.#logOf(name)).size : 0;
  }

  /** What it logged after that. */
  logSince(name: string, bytes: number): string {
    return existsSync(this.#logOf(name)) ? readFileSync(this.#logOf(name)).subarray(bytes).toString() : "";
  }

  #logOf(name: string): string {
    return join(this.#options.directory, `${name}.log`);
  }

  /** The node is no part of the run any more. */
  async retire(node: FleetNode): Promise<void> {
    await this.end(node, "SIGKILL");
    this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const twin of [...this.#twins]) await this.endTwin(twin);
    for (const node of this.nodes) await this.end(node, "SIGKILL");
    process.off("exit", this.#last);
    await this.links[Symbol.asyncDispose]();
  }

  get #isProxied(): boolean {
    return this.#options.proxied !== false;
  }

  #down({ name }: FleetNode): void {
    if (this.#isProxied) this.links.down(name);
  }

  #flagsOf({ name, directory, addr, advertised }: FleetNode): string[] {
    const { names, flags = [] } = this.#options;
    const others = this.nodes.map((node) => node.advertised).filter((other) => other !== advertised);
    const first = names.includes(name) && names.length > 1;
    return [
      ...["--addr", addr, "--advertise-addr", advertised, "--ops-addr", "127.0.0.1:0"],
      ...["--node-name", name, "--data-dir", directory],
      ...(others.length > 0 ? ["--start-join-addrs", others.join(",")] : []),
      ...(first ? ["--bootstrap-expect", String(names.length)] : []),
      ...flags,
    ];
  }
}
