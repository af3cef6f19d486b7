/** NATS JetStream in the suite `logs`: a stream in a file for each log. A tail is a push consumer without acknowledgments. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../support/process/free-port.ts";
import { type LogClient, type LogServer, nameOf, payload, pipelined } from "./log-server.ts";
import { NatsClient } from "./nats-client.ts";
import { type Program, startProgram } from "./program.ts";

const subjectOf = (log: number): string => `l.${nameOf(log)}`;
const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));

export async function nats(path: string, directory: string): Promise<LogServer> {
  const port = await freePort();
  let program: Program;
  return {
    name: "NATS JetStream",
    version: execFileSync(path, ["--version"], { encoding: "utf8" }).trim().replace("nats-server: v", ""),
    directory,
    get program() {
      return program;
    },
    start: (durability = "always") => {
      const config = join(directory, "nats.conf");
      const sync = durability === "always" ? "sync_interval: always" : "";
      writeFileSync(
        config,
        `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${join(directory, "data")}"\n${sync} }\n`,
      );
      program = startProgram(path, ["--config", config, "--log", "/dev/null"]);
    },
    connect: async () => new NatsLogClient(await NatsClient.open(port)),
  };
}

class NatsLogClient implements LogClient {
  readonly #client: NatsClient;

  constructor(client: NatsClient) {
    this.#client = client;
  }

  readonly create = (log: number): Promise<void> => {
    const stream = { name: nameOf(log), subjects: [subjectOf(log)], storage: "file", allow_direct: true };
    return this.#client.request(`$JS.API.STREAM.CREATE.${stream.name}`, json(stream));
  };

  append(log: number): Promise<void> {
    return this.#client.request(subjectOf(log), payload);
  }

  /** A direct get of a batch: the server sends the messages, and then a status without a payload. */
  read(log: number, records: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let seen = 0;
      const request = json({ seq: 1, batch: records });
      this.#client.requestMany(`$JS.API.DIRECT.GET.${nameOf(log)}`, request, ({ payload: record }) => {
        if (record.length > 0) {
          seen++;
          return false;
        }
        if (seen < records) reject(new Error(`${seen} of ${records} records`));
        else resolve();
        return true;
      });
    });
  }

  async tail(logs: number, onRecord: () => void): Promise<void> {
    await pipelined(logs, 64, async (log) => {
      const stream = nameOf(log);
      const inbox = `_T.${stream}`;
      // The consumer delivers only to a subscription of exactly this subject.
      this.#client.subscribe(inbox, onRecord);
      const config = { deliver_subject: inbox, deliver_policy: "new", ack_policy: "none", mem_storage: true };
      const subject = `$JS.API.CONSUMER.CREATE.${stream}`;
      await this.#client.request(subject, json({ stream_name: stream, config }));
    });
  }

  ping(): Promise<void> {
    return this.#client.request("$JS.API.INFO", Buffer.alloc(0));
  }

  close(): void {
    this.#client.close();
  }
}
