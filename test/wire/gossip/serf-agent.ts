/** The real `serf` agent on loopback, and members of ours, for interoperability tests. Both end with the test. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  endpointText,
  type Membership,
  type MembershipEvent,
  openMembership,
} from "../../../src/membership/mod.ts";
import type { MembershipOptions } from "../../../src/membership/options.ts";
import { freePort } from "../../support/process/free-port.ts";
import { localTiming } from "../../support/time/local-timing.ts";
import { until } from "../../support/until.ts";

interface Context {
  after(work: () => void | Promise<void>): void;
}

export interface AgentOptions {
  readonly name: string;
  readonly directory: string;
  readonly port?: number;
  readonly advertise?: string;
  readonly key?: string;
  readonly compression?: boolean;
  readonly tags?: Readonly<Record<string, string>>;
  readonly join?: readonly string[];
}

export interface AgentMember {
  readonly name: string;
  readonly addr: string;
  readonly status: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** Starts `serf agent` and waits until it is ready. It is killed after the test. */
export async function startAgent(t: Context, options: AgentOptions): Promise<Agent> {
  const agent = new Agent(options, options.port ?? (await freePort()), await freePort());
  t.after(() => agent.kill("SIGKILL"));
  await agent.start();
  return agent;
}

export class Agent {
  readonly name: string;
  readonly addr: string;
  output = "";
  readonly #options: AgentOptions;
  readonly #rpc: string;
  /** The file to which the event handler writes. */
  readonly #eventFile: string;
  #process: ChildProcess | undefined;

  constructor(options: AgentOptions, port: number, rpcPort: number) {
    this.name = options.name;
    this.addr = `127.0.0.1:${port}`;
    this.#options = options;
    this.#rpc = `127.0.0.1:${rpcPort}`;
    this.#eventFile = join(options.directory, `${options.name}.events`);
  }

  async start(): Promise<void> {
    const { advertise, compression, directory, join: seeds, key, tags } = this.#options;
    const handler = join(directory, `${this.name}.sh`);
    writeFileSync(
      handler,
      `#!/bin/sh\nread -r line\necho "$SERF_EVENT $SERF_USER_EVENT$SERF_QUERY_NAME $line" >> ${this.#eventFile}\n` +
        `[ "$SERF_EVENT" != query ] || printf 'answer of ${this.name}'\n`,
    );
    chmodSync(handler, 0o755);
    const child = spawn(
      "serf",
      [
        "agent",
        ...["-node", this.name, "-bind", this.addr, "-rpc-addr", this.#rpc, "-event-handler", handler],
        ...(advertise === undefined ? [] : ["-advertise", advertise]),
        ...(compression === false ? ["-disable-compression"] : []),
        ...(key === undefined ? [] : ["-encrypt", key]),
        ...Object.entries(tags ?? {}).flatMap(([name, value]) => ["-tag", `${name}=${value}`]),
        ...(seeds ?? []).flatMap((seed) => ["-join", seed]),
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    this.#process = child;
    child.stdout.on("data", (text) => {
      this.output = `${this.output}${text}`.slice(-100_000);
    });
    child.stderr.on("data", (text) => {
      this.output = `${this.output}${text}`.slice(-100_000);
    });
    const isReady = (): boolean => this.output.includes("agent running") || child.exitCode !== null;
    await until("the agent is ready", isReady, { explain: () => this.output });
    if (child.exitCode !== null) throw new Error(`the agent did not start: ${this.output}`);
  }

  async kill(signal: "SIGKILL" | "SIGTERM" | "SIGINT"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  /** Runs one of serf's commands. Resolves to its output, or rejects if it fails. */
  async run(command: string, ...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)("serf", [command, `-rpc-addr=${this.#rpc}`, ...args], {
      timeout: 20_000,
    });
    return stdout;
  }

  async members(): Promise<AgentMember[]> {
    return (JSON.parse(await this.run("members", "-format=json")) as { members: AgentMember[] }).members;
  }

  async member(name: string): Promise<AgentMember | undefined> {
    return (await this.members()).find((member) => member.name === name);
  }

  /** Returns a line per event of the event handler: event, name, first line of the payload. */
  receivedEvents(): string[] {
    return existsSync(this.#eventFile) ? readFileSync(this.#eventFile, "utf8").trim().split("\n") : [];
  }
}

/** Starts a member of ours on loopback that answers queries and collects events. It is closed after the test. */
export async function startMember(
  t: Context,
  options: Pick<MembershipOptions, "name"> & Partial<MembershipOptions>,
): Promise<{ member: Membership; addr: string; events: MembershipEvent[] }> {
  const member = await openMembership({
    host: "127.0.0.1",
    port: 0,
    timing: options.timing ?? localTiming,
    ...options,
  });
  t.after(() => member[Symbol.asyncDispose]());
  const events: MembershipEvent[] = [];
  member.onEvent((event) => {
    events.push(event);
    if (event.kind === "query") event.query.respond(Buffer.from(`answer of ${options.name}`));
  });
  return { member, addr: endpointText(member.at), events };
}

/** Returns the status of a member as another sees it. */
export function statusOf(member: Membership, name: string): string | undefined {
  return member.members().find((other) => other.name === name)?.status;
}
