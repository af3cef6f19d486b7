/**
 * Streams numbered records through one node of a cluster of processes, and checks the log afterwards.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { ClusterNode, TestCluster } from "../support/process/cluster.ts";
import { startCommand } from "../support/process/process.ts";

export interface StreamEnd {
  readonly status: number | null;
  readonly err: string;
  /** The offsets that were acknowledged, in order. */
  readonly offsets: readonly number[];
  /** Lines that were written to the standard input. */
  readonly sent: number;
}

/** Runs `tailrace produce --addr NODE` and writes `name 0`, `name 1`, … to it until stop(). */
export class LineStream {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<StreamEnd>;
  #sent = 0;
  #out = "";
  #err = "";
  #acknowledged = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(cluster: TestCluster, node: ClusterNode, name: string, linesPerSecond: number) {
    this.name = name;
    const child = startCommand(["produce", ...cluster.clientFlags(node)]);
    this.#child = child;
    child.stdin?.on("error", () => this.stop());
    child.stdout?.on("data", (chunk: Buffer) => {
      this.#out += chunk.toString("utf8");
      for (const byte of chunk) if (byte === 0x0a) this.#acknowledged++;
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#err += chunk.toString("utf8");
    });
    const began = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - began) / 1000) * linesPerSecond);
      let lines = "";
      for (; this.#sent < due; this.#sent++) lines += `${name} ${this.#sent}\n`;
      if (lines !== "") child.stdin?.write(lines);
    }, 5);
    this.#ended = once(child, "close").then(([status]) => {
      this.stop();
      const offsets = this.#out
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => (JSON.parse(line) as { offset: number }).offset);
      return { status: status as number | null, err: this.#err, offsets, sent: this.#sent };
    });
  }

  /** Number of acknowledged lines so far. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Stops writing and ends the standard input. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#child.stdin?.writableEnded === false) this.#child.stdin.end();
  }

  ended(): Promise<StreamEnd> {
    return this.#ended;
  }
}

/** Returns the values of the log by offset. */
export async function valuesOf(cluster: TestCluster, node: ClusterNode): Promise<readonly string[]> {
  const values: string[] = [];
  using client = cluster.connect(node);
  const until = "end";
  for await (const { offset, value } of client.consume({ from: { offset: 0 }, until })) {
    values[offset] = Buffer.from(value).toString("utf8");
  }
  return values;
}

/**
 * Returns what is wrong with a stream in the log, undefined if nothing is. Each acknowledged line must be at its offset,
 * no line twice, and the lines in the order in which they were sent.
 */
export function flawOf(
  values: readonly string[],
  name: string,
  { offsets }: Pick<StreamEnd, "offsets">,
): string | undefined {
  for (const [line, offset] of offsets.entries()) {
    if (values[offset] !== `${name} ${line}`) {
      return `line ${line} was acknowledged at ${offset}, where the log has "${values[offset]}"`;
    }
  }
  let last = -1;
  for (const [offset, value] of values.entries()) {
    if (value?.startsWith(`${name} `) !== true) continue;
    const line = Number(value.slice(name.length + 1));
    if (line <= last) return `line ${line} is at ${offset}, after line ${last}`;
    last = line;
  }
  return undefined;
}
