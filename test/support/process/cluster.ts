/**
 * A cluster of real processes for tests, on fixed ports of loopback. A test can start, stop, pause and wipe the nodes, and
 * read how they see the cluster. The directories outlive the processes.
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openClient, type TailraceClient } from "../../../src/client/mod.ts";
import type { Server, StatusResponse } from "../../../src/gen/log/v1/log_pb.js";
import { curl } from "../http/curl.ts";
import { until } from "../until.ts";
import { testAuthority, writeTlsFiles } from "./certificates.ts";
import { freePort } from "./free-port.ts";
import { endProcess, serveArguments, startCommand } from "./process.ts";

export interface TestContext {
  after(work: () => unknown): void;
}

export interface ClusterNode {
  readonly name: string;
  readonly directory: string;
  addr: string;
  readonly ops: string;
  url: string;
  /** Additional flags. A test may change them before it starts the node. */
  flags: string[];
  /** The command of another release. Undefined: the sources here. A test may change it before it starts the node. */
  command?: string | undefined;
  /** Undefined while it is down. */
  child: ChildProcess | undefined;
  /** The log of all its processes. */
  log: string;
}

export interface ClusterOptions {
  /** Default 3. */
  readonly nodes?: number;
  /** Prefix of the names. Default "n". */
  readonly prefix?: string;
  /** Certificates for nodes and for the client `root`. */
  readonly tls?: boolean;
  /** Additional flags for every node. */
  readonly flags?: readonly string[];
  /** How they become a cluster: all with --bootstrap-expect, or the first bootstraps and the others join. Default "expect". */
  readonly begin?: "expect" | "join";
}

interface ClientFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** For until(), where real processes have to do something. */
export const processWait = { limitMs: 120_000, everyMs: 50 } as const;

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

  /** Nodes n1, n2, … with empty directories below `directory`, not started. They end with the test at the latest. */
  static async make(t: TestContext, directory: string, options: ClusterOptions = {}): Promise<TestCluster> {
    const tls = options.tls === true ? await makeTls(directory) : undefined;
    const cluster = new TestCluster(directory, options, tls);
    t.after(() => cluster.end());
    for (let n = 1; n <= (options.nodes ?? 3); n++) await cluster.add(`${options.prefix ?? "n"}${n}`);
    for (const node of cluster.nodes) node.flags = cluster.#flagsOf(node);
    return cluster;
  }

  /** The same, started and ready. */
  static async open(t: TestContext, directory: string, options: ClusterOptions = {}): Promise<TestCluster> {
    const cluster = await TestCluster.make(t, directory, options);
    for (const node of cluster.nodes) cluster.start(node);
    await cluster.whole();
    return cluster;
  }

  /** An additional node with an empty directory, not started. It joins the others. */
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
    node.flags = this.#joinFlags(node);
    return node;
  }

  /** Gives the node another port from its next start on. */
  async move(node: ClusterNode): Promise<void> {
    node.addr = `127.0.0.1:${await freePort()}`;
    node.url = node.url.replace(/[^/]+$/, node.addr);
  }

  /** Starts its process. It may not be ready when this returns: see ready(). */
  start(node: ClusterNode): void {
    const args = [
      ...serveArguments({ ...node, joins: [] }),
      ...this.#tlsFlags,
      ...(this.#options.flags ?? []),
      ...node.flags,
    ];
    const child = startCommand(args, {}, node.command);
    node.child = child;
    child.stderr?.on("data", (chunk: Buffer) => {
      node.log += chunk.toString("utf8");
    });
    child.stdout?.resume();
    child.once("exit", () => {
      if (node.child === child) node.child = undefined;
    });
  }

  /** Ends its process, also a paused one; resolves to the exit status. */
  async stop(node: ClusterNode, signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const { child } = node;
    if (child === undefined) return null;
    const { status } = await endProcess(child, signal);
    node.child = undefined;
    return status;
  }

  pauseNode(node: ClusterNode): void {
    node.child?.kill("SIGSTOP");
  }

  resumeNode(node: ClusterNode): void {
    node.child?.kill("SIGCONT");
  }

  /** Removes the directory of a node that is down. */
  wipe(node: ClusterNode): void {
    rmSync(node.directory, { recursive: true, force: true });
  }

  /** Kills all processes. */
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

  /** A client of one node, or of all. The caller disposes it. */
  connect(node?: ClusterNode, options: { readonly subject?: ClientFiles } = {}): TailraceClient {
    const tls = options.subject ?? this.client;
    return openClient({
      addrs: node === undefined ? this.nodes.map(({ addr }) => addr) : [node.addr],
      tls,
      ...(node === undefined ? {} : { discover: false, limits: { attemptsMax: 1 } }),
    });
  }

  /** The flags of a client command for this node. */
  clientFlags(node: ClusterNode): string[] {
    return ["--addr", node.addr, ...(this.client === undefined ? [] : this.#clientFiles())];
  }

  async servers(node: ClusterNode): Promise<Server[]> {
    using client = this.connect(node);
    return (await client.rpc.log.getServers({}, { timeoutMs: 3_000 })).servers;
  }

  async status(node: ClusterNode): Promise<StatusResponse> {
    using client = this.connect(node);
    return await client.rpc.cluster.status({}, { timeoutMs: 3_000 });
  }

  /** The text of /readyz; undefined if the node is ready. */
  async unready(node: ClusterNode): Promise<string | undefined> {
    const { status, text } = await curl(`http://${node.ops}/readyz`);
    return status === 200 ? undefined : text;
  }

  async ready(node: ClusterNode): Promise<void> {
    await until(`${node.name} is ready`, async () => (await this.unready(node)) === undefined, processWait);
  }

  /** Waits until all running nodes know the same leader, and resolves to it. */
  leader(): Promise<ClusterNode> {
    const agreed = async (): Promise<ClusterNode | undefined> => {
      const leaders = await Promise.all(this.running.map(async (node) => (await this.status(node)).leader));
      if (leaders.some((name) => name !== leaders[0])) return undefined;
      return this.running.find(({ name }) => name === leaders[0]);
    };
    return until("the nodes agree on a leader", agreed, processWait);
  }

  async followers(): Promise<ClusterNode[]> {
    const leader = await this.leader();
    return this.running.filter((node) => node !== leader);
  }

  /** Waits until every running node is ready, except those of `unready`, and has exactly these voters in its status. */
  async whole(
    names: readonly string[] = this.nodes.map(({ name }) => name),
    unready: readonly ClusterNode[] = [],
  ): Promise<void> {
    const wanted = [...names].sort().join();
    const isWhole = async (): Promise<boolean> => {
      for (const node of this.running) {
        const { voters, learners, ready } = await this.status(node);
        if (!ready && !unready.includes(node)) return false;
        if (learners.length > 0 || [...voters].sort().join() !== wanted) return false;
      }
      return true;
    };
    await until(`the voters are ${wanted}`, isWhole, { ...processWait, explain: () => this.#lastLines() });
  }

  /** The state and last log lines of each node, for the message of a failure. */
  #lastLines(): string {
    const parts = this.nodes.map(({ name, child, log }) => {
      const lines = log.trim().split("\n").slice(-5);
      return `\n${name} ${child === undefined ? "has ended" : "runs"}\n${lines.join("\n")}`;
    });
    return parts.join("");
  }

  #joinFlags(node: ClusterNode): string[] {
    const others = this.nodes.filter((other) => other !== node).map(({ addr }) => addr);
    return others.length === 0 ? [] : ["--start-join-addrs", others.join(",")];
  }

  #flagsOf(node: ClusterNode): string[] {
    const joins = this.#joinFlags(node);
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
