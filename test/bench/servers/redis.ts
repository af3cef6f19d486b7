/**
 * Redis Streams in the suite `logs`: a key for each log, and the append-only file. Redis keeps all records in memory. A
 * tail is an XREAD that waits for 1,000 keys: a connection for each of 10,000 keys would need more descriptors than usual.
 */
import { execFileSync } from "node:child_process";
import { freePort } from "../../support/process/free-port.ts";
import { type LogClient, type LogServer, nameOf, payload } from "./log-server.ts";
import { type Program, startProgram } from "./program.ts";
import { encodeCommand, RespClient } from "./resp-client.ts";

const keysPerRead = 1_000;

export async function redis(path: string, directory: string): Promise<LogServer> {
  const port = await freePort();
  let program: Program;
  return {
    name: "Redis Streams",
    version: / v=(\S+)/.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1] ?? "?",
    directory,
    get program() {
      return program;
    },
    start: (durability = "always") => {
      const address = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory];
      const sync = durability === "always" ? "always" : "no";
      program = startProgram(path, [...address, "--appendonly", "yes", "--appendfsync", sync, "--save", ""]);
    },
    connect: async () => new RedisClient(port, await RespClient.open(port)),
  };
}

/** The command that appends to each log, once it is encoded. */
const appendOne: Buffer[] = [];

class RedisClient implements LogClient {
  readonly create = undefined;
  readonly #port: number;
  readonly #client: RespClient;
  readonly #tails: RespClient[] = [];

  constructor(port: number, client: RespClient) {
    this.#port = port;
    this.#client = client;
  }

  async append(log: number): Promise<void> {
    appendOne[log] ??= encodeCommand("XADD", nameOf(log), "*", "v", payload);
    await this.#client.send(appendOne[log]);
  }

  async read(log: number, records: number): Promise<void> {
    const reply = await this.#client.send(
      encodeCommand("XRANGE", nameOf(log), "-", "+", "COUNT", String(records)),
    );
    if (!Array.isArray(reply) || reply.length < records) throw new Error(`too few records in ${nameOf(log)}`);
  }

  async tail(logs: number, onRecord: () => void): Promise<void> {
    for (let first = 0; first < logs; first += keysPerRead) {
      const keys = Array.from({ length: Math.min(keysPerRead, logs - first) }, (_, at) => nameOf(first + at));
      const client = await RespClient.open(this.#port);
      this.#tails.push(client);
      await new Promise<void>((resolve) => {
        follow(client, keys, resolve, onRecord).catch(() => client.close());
      });
    }
  }

  async ping(): Promise<void> {
    await this.#client.send(encodeCommand("PING"));
  }

  close(): void {
    for (const client of [this.#client, ...this.#tails]) client.close();
  }
}

/** Waits for new entries of the keys again and again, until the connection closes. */
async function follow(
  client: RespClient,
  keys: readonly string[],
  onOpen: () => void,
  onRecord: () => void,
): Promise<void> {
  const after = new Map<string, string>();
  for (const key of keys) {
    const last = await client.send(encodeCommand("XREVRANGE", key, "+", "-", "COUNT", "1"));
    after.set(key, (last as readonly [string][])[0]?.[0] ?? "0");
  }
  onOpen();
  for (;;) {
    const words = ["XREAD", "BLOCK", "0", "STREAMS", ...keys, ...after.values()];
    const reply = await client.send(encodeCommand(...words));
    for (const [key, entries] of reply as readonly [string, readonly [string][]][]) {
      for (const [id] of entries) {
        after.set(key, id);
        onRecord();
      }
    }
  }
}
