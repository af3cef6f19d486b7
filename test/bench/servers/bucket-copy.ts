/**
 * Copies files into a bucket and back, as the limit of a backup and its restore: `rclone copy` with its defaults, or without the
 * program plain requests, three at a time, with presigned URLs, unchecked.
 */
import { execFile } from "node:child_process";
import { createReadStream, createWriteStream, mkdirSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { AwsV4Signer } from "aws4fetch";
import type { S3Server } from "../../support/objects/s3-server.ts";
import { findProgram } from "./program.ts";

/** As many as an upload of ours has. */
const requestsInFlight = 3;
const bucket = "logs";
const run = promisify(execFile);

export interface CopiedFile {
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
}

export interface BucketCopy {
  /** For the table of figures. */
  readonly name: string;
  /** Copies files of one directory into the bucket. */
  put(directory: string, files: readonly CopiedFile[]): Promise<void>;
  /** Copies them back into a directory. */
  get(files: readonly CopiedFile[], to: string): Promise<void>;
  /** Deletes them from the bucket. */
  delete(files: readonly CopiedFile[]): Promise<void>;
}

export function bucketCopy(server: S3Server): BucketCopy {
  const program = findProgram("rclone");
  return program === undefined ? plainCopy(server) : rcloneCopy(program, server);
}

function rcloneCopy(program: string, { endpoint, environment }: S3Server): BucketCopy {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = environment;
  // Variables of AWS could change what it does.
  const env = {
    HOME: "/nonexistent",
    RCLONE_CONFIG: "/dev/null",
    RCLONE_CONFIG_SERVER_TYPE: "s3",
    RCLONE_CONFIG_SERVER_PROVIDER: "Other",
    RCLONE_CONFIG_SERVER_ENDPOINT: endpoint,
    RCLONE_CONFIG_SERVER_ACCESS_KEY_ID: AWS_ACCESS_KEY_ID,
    RCLONE_CONFIG_SERVER_SECRET_ACCESS_KEY: AWS_SECRET_ACCESS_KEY,
    RCLONE_CONFIG_SERVER_NO_CHECK_BUCKET: "true",
  };
  const place = `server:${bucket}/copy`;
  const rclone = async (...args: readonly string[]): Promise<void> => {
    await run(program, [...args], { env });
  };
  return {
    name: "rclone copy",
    put: (directory) => rclone("copy", "--include", "*.store", directory, place),
    get: (_, to) => rclone("copy", place, to),
    delete: () => rclone("delete", place),
  };
}

function plainCopy(server: S3Server): BucketCopy {
  const each = async (
    files: readonly CopiedFile[],
    work: (plain: Plain, file: CopiedFile) => Promise<void>,
  ): Promise<void> => {
    using plain = new Plain(server);
    const waiting = Iterator.from(files);
    const next = async (): Promise<void> => {
      for (const file of waiting) await work(plain, file);
    };
    await Promise.all(Array.from({ length: requestsInFlight }, next));
  };
  return {
    name: "plain requests",
    put: (_, files) => each(files, (plain, file) => plain.put(file)),
    get: async (files, to) => {
      mkdirSync(to, { recursive: true });
      await each(files, (plain, { name }) => plain.get(name, join(to, name)));
    },
    delete: (files) => each(files, (plain, { name }) => plain.delete(name)),
  };
}

/** Requests with presigned URLs over kept connections. */
class Plain implements Disposable {
  readonly #server: S3Server;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: requestsInFlight });

  constructor(server: S3Server) {
    this.#server = server;
  }

  async put({ path, name, bytes }: CopiedFile): Promise<void> {
    const sent = await this.#open("PUT", name, { "content-length": bytes });
    const answer = this.#answer(sent);
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), sent);
    (await answer).resume();
  }

  async get(name: string, to: string): Promise<void> {
    const sent = await this.#open("GET", name, {});
    sent.end();
    await pipeline(await this.#answer(sent), createWriteStream(to, { highWaterMark: 1 << 20 }));
  }

  async delete(name: string): Promise<void> {
    const sent = await this.#open("DELETE", name, {});
    sent.end();
    (await this.#answer(sent)).resume();
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #open(
    method: string,
    name: string,
    headers: Record<string, number>,
  ): Promise<ReturnType<typeof request>> {
    const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "" } =
      this.#server.environment;
    const url = `${this.#server.endpoint}/${bucket}/copy/${name}`;
    const signer = new AwsV4Signer({
      ...{ method, url, accessKeyId, secretAccessKey },
      ...{ region: "us-east-1", service: "s3", signQuery: true },
    });
    const { url: signed } = await signer.sign();
    return request(signed, { method, headers, agent: this.#agent });
  }

  #answer(sent: ReturnType<typeof request>): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      sent.on("error", reject);
      sent.on("response", (found) => {
        const { statusCode = 0 } = found;
        if (statusCode < 300) return resolve(found);
        reject(new Error(`${sent.method} ${sent.path}: ${statusCode}`));
      });
    });
  }
}
