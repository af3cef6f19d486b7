/** Tailrace in the suite `logs`: one connection of gRPC over HTTP/2, and for tails one for each 1,000 of them. */
import { join } from "node:path";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { version } from "../../../src/agent/version.ts";
import { messageCounter } from "../../../src/cli/bench/message-counter.ts";
import {
  ConsumeRequestSchema,
  CreateLogRequestSchema,
  DescribeRequestSchema,
  ProduceRequestSchema,
} from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { freePort } from "../../support/process/free-port.ts";
import { grpcHeaders, H2Client } from "../load/h2-client.ts";
import { paths } from "../load/messages.ts";
import { command } from "../load/server-process.ts";
import { type LogClient, type LogServer, nameOf, payload } from "./log-server.ts";
import { type Program, startProgram } from "./program.ts";

const tailsPerConnection = 1_000;
const headers = {
  create: grpcHeaders("/log.v1.Logs/CreateLog"),
  produce: grpcHeaders(paths.produce),
  consume: grpcHeaders(paths.consumeStream),
  describe: grpcHeaders("/log.v1.Log/Describe"),
  consumeOne: grpcHeaders("/log.v1.Log/Consume"),
};

/** The request that appends to each log, once it is encoded. */
const appendOne: Uint8Array[] = [];

function encode<S extends DescMessage>(schema: S, init: MessageInitShape<S>): Uint8Array {
  return encodeEnvelope(toBinary(schema, create(schema, init)));
}

export async function tailrace(directory: string): Promise<LogServer> {
  const port = await freePort();
  let program: Program;
  return {
    name: "Tailrace",
    version,
    directory,
    get program() {
      return program;
    },
    start: (durability = "always") => {
      const address = ["--addr", `127.0.0.1:${port}`, "--ops-addr", "127.0.0.1:0"];
      const flags = ["--data-dir", join(directory, "data"), "--sync", durability, "--log-level", "warn"];
      program = startProgram(process.execPath, [...profiling(), command, "serve", ...address, ...flags]);
    },
    connect: async () => new TailraceClient(port, await H2Client.open({ port })),
  };
}

/** Flags for Node from BENCH_NODE_FLAGS, such as --cpu-prof. */
const profiling = (): string[] => (process.env["BENCH_NODE_FLAGS"] ?? "").split(" ").filter(Boolean);

class TailraceClient implements LogClient {
  readonly #port: number;
  readonly #client: H2Client;
  readonly #tails: H2Client[] = [];

  constructor(port: number, client: H2Client) {
    this.#port = port;
    this.#client = client;
  }

  readonly create = (log: number): Promise<void> =>
    call(this.#client, headers.create, encode(CreateLogRequestSchema, { name: nameOf(log) }), 1);

  append(log: number): Promise<void> {
    appendOne[log] ??= encode(ProduceRequestSchema, { record: { value: payload }, log: nameOf(log) });
    return call(this.#client, headers.produce, appendOne[log], 1);
  }

  read(log: number, records: number): Promise<void> {
    const request = { offset: 0n, maxRecords: BigInt(records), stopAtEnd: true, log: nameOf(log) };
    return call(this.#client, headers.consume, encode(ConsumeRequestSchema, request), records);
  }

  async tail(logs: number, onRecord: () => void): Promise<void> {
    for (let log = 0; log < logs; log++) {
      if (log % tailsPerConnection === 0) this.#tails.push(await H2Client.open({ port: this.#port }));
      const request = encode(ConsumeRequestSchema, {
        start: { case: "fromEnd", value: true },
        log: nameOf(log),
      });
      const count = messageCounter();
      this.#tails.at(-1)?.request(headers.consume, request, {
        onData: (chunk) => {
          for (let left = count(chunk); left > 0; left--) onRecord();
        },
        onEnd: () => undefined,
      });
    }
    // The server begins the requests of a connection in their order.
    const one = encode(ConsumeRequestSchema, { log: nameOf(0) });
    await Promise.all(this.#tails.map((client) => call(client, headers.consumeOne, one, 1)));
  }

  ping(): Promise<void> {
    return call(this.#client, headers.describe, encode(DescribeRequestSchema, {}), 1);
  }

  close(): void {
    for (const client of [this.#client, ...this.#tails]) client.close();
  }
}

/** Rejects if the response has fewer messages: an error has none. */
function call(client: H2Client, head: Buffer, body: Uint8Array, messages: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const count = messages === 1 ? (chunk: Buffer) => (chunk.length > 0 ? 1 : 0) : messageCounter();
    let left = messages;
    client.request(head, body, {
      onData: (chunk) => {
        left -= count(chunk);
      },
      onEnd: (reset) => (reset || left > 0 ? reject(new Error("the server refused")) : resolve()),
    });
  });
}
