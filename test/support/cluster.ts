/**
 * A cluster of real processes for tests: nodes on fixed ports of loopback whose directories outlive them. They can be
 * started, stopped, paused, wiped, and asked how they see the cluster.
 *
 * Never: signals a process that it did not start.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { openClient, type TailraceClient } from "../../src/client/mod.ts";
import type { Server, StatusResponse } from "../../src/gen/log/v1/log_pb.js";
import { testAuthority, writeTlsFiles } from "./certificates.ts";
import { curl } from "./curl.ts";
import { freePort } from "./free-port.ts";
import { startCommand } from "./process.ts";

export interface TestContext {
  after(work: () => unknown): void;
}

export interface ClusterNode {
  readonly name: string;
  readonly directory: string;
  addr: string;
  readonly ops: string;
  url: string;
  /** Those of its command line; a test may change them before it starts the node. */
  flags: string[];
  /** Undefined while it is down. */
  child: ChildProcess | undefined;
  /** What it has logged in all its lives. */
  log: string;
}

export interface ClusterOptions {
  /** Default 3. */
  readonly nodes?: number;
  /** What their names begin with. Default "n". */
  readonly prefix?: string;
  /** Certificates for nodes and for the client `root`. */
  readonly tls?: boolean;
  /** More flags for every node. */
  readonly flags?: readonly string[];
  /** How they become a cluster. Default "expect": all begin it together. */
  readonly begin?: "expect" | "join";
}

interface ClientFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const limitMs = 120_000;

/** Waits until something holds, within a generous limit. */
export async function eventually(
  what: string,
  holds: () => unknown,
  otherwise: () => string = () => "",
): Promise<void> {
  const started = performance.now();
  for (;;) {
    let last: unknown;
    try {
      if (await holds()) return;
    } catch (reason) {
      last = reason;
    }
    if (performance.now() - started > limitMs)
      throw new Error(`waited too long until ${what}${otherwise()}`, { cause: last });
    await pause(50);
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class TestCluster {
  readonly nodes: ClusterNode[] = [];
  readonly client: ClientFiles | undefined;
  readonly #directory: string;
  readonly #options: ClusterOptions;
  readonly #tlsFlags: readonly string[];

  private constructor(
    directory: string,
    options: ClusterOptions,
    tls: { readonly flags: readonly string[]; readonly client: ClientFiles } | undefined,
  ) {
    this.#directory = directory;
    this.#options = options;
    this.#tlsFlags = tls?.flags ?? [];
    this.client = tls?.client;
  }

  /** Nodes n1, n2, … (see prefix) with empty directories below `directory`, not started. They end with the test at the latest. */
  static async make(t: TestContext, directory: string, options: ClusterOptions = {}): Promise<TestCluster> {
    const tls = options.tls === true ? await makeTls(directory) : undefined;
    const cluster = new TestCluster(directory, options, tls);
    t.after(() => cluster.end());
    for (let n = 1; n <= (options.nodes ?? 3); n++) await cluster.add(`${options.prefix ?? "n"}${n}`);
    for (const node of cluster.nodes) node.flags = cluster.#flagsOf(node);
    return cluster;
  }

  /** The same, started, and ready. */
  static async open(t: TestContext, directory: string, options: ClusterOptions = {}): Promise<TestCluster> {
    const cluster = await TestCluster.make(t, directory, options);
    for (const node of cluster.nodes) cluster.start(node);
    await cluster.whole();
    return cluster;
  }

  /** One more node, with an empty directory, not started; its flags are for joining the others. */
  async add(name: string, directory = join(this.#directory, name)): Promise<ClusterNode> {
    const [port, ops] = [await freePort(), await freePort()];
    const node: ClusterNode = {
      name,
      directory,
      addr: `127.0.0.1:${port}`,
      ops: `127.0.0.1:${ops}`,
      url: `${this.client === undefined ? "http" : "https"}://127.0.0.1:${port}`,
      flags: [],
      child: undefined,
      log: "",
    };
    this.nodes.push(node);
    const others = this.nodes.filter((other) => other !== node).map(({ addr }) => addr);
    node.flags = others.length === 0 ? [] : ["--start-join-addrs", others.join(",")];
    return node;
  }

  /** From its next start on it serves elsewhere. */
  async move(node: ClusterNode): Promise<void> {
    node.addr = `127.0.0.1:${await freePort()}`;
    node.url = node.url.replace(/[^/]+$/, node.addr);
  }

  /** Starts its process. It need not be ready when this returns: see ready(). */
  start(node: ClusterNode): void {
    const { name, directory, addr, ops } = node;
    const child = startCommand([
      "serve",
      ...["--addr", addr, "--ops-addr", ops, "--node-name", name, "--data-dir", directory],
      ...this.#tlsFlags,
      ...(this.#options.flags ?? []),
      ...node.flags,
    ]);
    node.child = child;
    child.stderr?.on("data", (chunk: Buffer) => {
      node.log += chunk.toString("utf8");
    });
    child.stdout?.resume();
    child.once("exit", () => {
      if (node.child === child) node.child = undefined;
    });
  }

  /** Ends its process; answers the exit status. */
  async stop(node: ClusterNode, signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const { child } = node;
    if (child === undefined) return null;
    const closed = once(child, "close") as Promise<[number | null]>;
    child.kill(signal);
    // A stopped process hears of it only when it goes on.
    child.kill("SIGCONT");
    const [status] = await closed;
    node.child = undefined;
    return status;
  }

  pauseNode(node: ClusterNode): void {
    node.child?.kill("SIGSTOP");
  }

  resumeNode(node: ClusterNode): void {
    node.child?.kill("SIGCONT");
  }

  /** Its disk is lost. It must be down. */
  wipe(node: ClusterNode): void {
    rmSync(node.directory, { recursive: true, force: true });
  }

  /** All processes end at once. */
  async end(): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.stop(node, "SIGKILL")));
  }

  node(name: string): ClusterNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`there is no node ${name}`);
    return found;
  }

  get running(): ClusterNode[] {
    return this.nodes.filter(({ child }) => child !== undefined);
  }

  /** A client of one node, or of all; the caller disposes of it. */
  connect(node?: ClusterNode, options: { readonly subject?: ClientFiles } = {}): TailraceClient {
    const tls = options.subject ?? this.client;
    return openClient({
      addrs: node === undefined ? this.nodes.map(({ addr }) => addr) : [node.addr],
      tls,
      ...(node === undefined ? {} : { discover: false, limits: { attemptsMax: 1 } }),
    });
  }

  /** The flags by which a command line's client reaches this node. */
  clientFlags(node: ClusterNode): string[] {
    return ["--addr", node.addr, ...(this.client === undefined ? [] : this.#clientFiles())];
  }

  async servers(node: ClusterNode): Promise<Server[]> {
    using client = this.connect(node);
    return (await client.log.getServers({}, { timeoutMs: 3_000 })).servers;
  }

  async status(node: ClusterNode): Promise<StatusResponse> {
    using client = this.connect(node);
    return await client.cluster.status({}, { timeoutMs: 3_000 });
  }

  /** What /readyz says: undefined when it is ready. */
  async unready(node: ClusterNode): Promise<string | undefined> {
    const { status, text } = await curl(`http://${node.ops}/readyz`);
    return status === 200 ? undefined : text;
  }

  async ready(node: ClusterNode): Promise<void> {
    await eventually(`${node.name} is ready`, async () => (await this.unready(node)) === undefined);
  }

  /** The node that leads, once the running ones agree who that is. */
  async leader(): Promise<ClusterNode> {
    let leader: ClusterNode | undefined;
    await eventually("the nodes agree on a leader", async () => {
      const said = await Promise.all(this.running.map(async (node) => (await this.status(node)).leader));
      leader = this.running.find(({ name }) => name === said[0]);
      return leader !== undefined && said.every((name) => name === said[0]);
    });
    return leader!;
  }

  async followers(): Promise<ClusterNode[]> {
    const leader = await this.leader();
    return this.running.filter((node) => node !== leader);
  }

  /** Waits until exactly these are voters, as each of the running ones sees it, and all of those are ready. */
  async whole(names: readonly string[] = this.nodes.map(({ name }) => name)): Promise<void> {
    const wanted = [...names].sort().join();
    const isWhole = async (): Promise<boolean> => {
      for (const node of this.running) {
        const { voters, learners, ready } = await this.status(node);
        if (!ready || learners.length > 0 || [...voters].sort().join() !== wanted) return false;
      }
      return true;
    };
    await eventually(`the voters are ${wanted}`, isWhole, () => this.#lastWords());
  }

  /** What each node is and said last, for whoever wonders why something did not happen. */
  #lastWords(): string {
    const words = this.nodes.map(({ name, child, log }) => {
      const lines = log.trim().split("\n").slice(-5);
      return `\n${name} ${child === undefined ? "has ended" : "runs"}\n${lines.join("\n")}`;
    });
    return `;${words.join("")}`;
  }

  #flagsOf(node: ClusterNode): string[] {
    const others = this.nodes.filter((other) => other !== node).map(({ addr }) => addr);
    const joins = others.length === 0 ? [] : ["--start-join-addrs", others.join(",")];
    if (this.#options.begin === "join") return node === this.nodes[0] ? ["--bootstrap", ...joins] : joins;
    return this.nodes.length === 1 ? [] : ["--bootstrap-expect", String(this.nodes.length), ...joins];
  }

  #clientFiles(): string[] {
    const at = (name: string): string => join(this.#directory, "certs", name);
    return [
      ...["--tls-ca-file", at("root-ca.pem"), "--tls-cert-file", at("root.pem")],
      ...["--tls-key-file", at("root-key.pem")],
    ];
  }
}

async function makeTls(
  directory: string,
): Promise<{ readonly flags: readonly string[]; readonly client: ClientFiles }> {
  const { mkdirSync } = await import("node:fs");
  const certs = join(directory, "certs");
  mkdirSync(certs);
  const authority = await testAuthority();
  const node = writeTlsFiles(certs, "server", await authority.node(), authority.issued);
  const root = await authority.client("root");
  writeTlsFiles(certs, "root", root, authority.issued);
  return {
    flags: [
      ...["--server-tls-cert-file", node.certFile, "--server-tls-key-file", node.keyFile],
      ...["--server-tls-ca-file", node.caFile],
    ],
    client: { ca: authority.issued.certificatePem, cert: root.certificatePem, key: root.keyPem },
  };
}
