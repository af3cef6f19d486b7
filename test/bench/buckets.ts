/**
 * A backup in a bucket and its restore, next to the same bytes sent to the same server by plain requests: a PUT of each store file
 * and a GET of each into a file, three at a time, with presigned URLs, unchecked and unsynced. (`rclone copy` does about that.)
 * Then the restored log is compared with the one that was backed up.
 *
 *   npm run bench -- buckets          10 GiB: about 15 minutes, and 31 GiB of disk
 *   npm run bench -- buckets 1        1 GiB
 *
 * The server is versitygw on the same machine; without the program, a stub that holds objects in memory, for at most 1 GiB.
 */
import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { AwsV4Signer } from "aws4fetch";
import { openClient } from "../../src/client/mod.ts";
import { openS3Server, type S3Server, serverKinds } from "../support/objects/s3-server.ts";
import { freePort } from "../support/process/free-port.ts";
import { ended, startCommand } from "../support/process/process.ts";
import { until } from "../support/until.ts";
import { command, compile } from "./load/server-process.ts";
import { report } from "./report.ts";
import { pipelined } from "./servers/log-server.ts";
import { dropFromPageCache, startProgram } from "./servers/program.ts";

const [GiB, MB] = [2 ** 30, 1e6];
const logs = 10;
const valueBytes = 16 * 1024;
const recordsInFlight = 512;
/** As many as an upload of ours has. */
const requestsInFlight = 3;
const bar = 0.7;
const bucket = "logs";

interface Timed {
  readonly bytes: number;
  readonly seconds: number;
}

const timed = async (bytes: number, work: () => Promise<unknown>): Promise<Timed> => {
  const began = performance.now();
  await work();
  return { bytes, seconds: (performance.now() - began) / 1_000 };
};

const rateOf = ({ bytes, seconds }: Timed): number => bytes / MB / seconds;

/** Runs a command of tailrace. @throws Error with what it says if it fails */
async function runCommand(args: readonly string[], server: S3Server): Promise<string> {
  const { status, out, err } = await ended(startCommand(args, { ...server.environment }, command));
  if (status !== 0) throw new Error(`tailrace ${args.join(" ")}: ${out}${err}`);
  return out;
}

/** Fills the log of a node, makes a backup of it, and ends the node. */
async function filledAndBackedUp(
  directory: string,
  bytes: number,
  server: S3Server,
  url: string,
): Promise<Timed> {
  const [port, opsPort] = [await freePort(), await freePort()];
  const [addr, ops] = [`127.0.0.1:${port}`, `127.0.0.1:${opsPort}`];
  const program = startProgram(process.execPath, [
    ...[command, "serve", "--addr", addr, "--ops-addr", ops, "--data-dir", directory, "--log-level", "warn"],
  ]);
  await until("the node is ready", async () => {
    if (program.hasExited()) throw new Error(program.errors());
    return await fetch(`http://${ops}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  });
  await fill(addr, bytes);
  const stored = storesIn(directory).reduce((sum, { bytes: size }) => sum + size, 0);
  const backup = await timed(stored, () => runCommand(["backup", url, "--addr", addr], server));
  await program.end("SIGTERM");
  return backup;
}

/** Random values: neither disks nor servers can compress them. */
async function fill(addr: string, bytes: number): Promise<void> {
  await using client = openClient({ addr });
  const names = Array.from({ length: logs }, (_, n) => `bench/${n}`);
  for (const name of names) await client.logs.create(name, {});
  const producers = names.map((name) => client.log(name).producer({ lingerMs: 2, deliveryMs: 120_000 }));
  const noise = Buffer.alloc(1 << 20);
  crypto.getRandomValues(noise.subarray(0, 65_536));
  for (let at = 65_536; at < noise.length; at += 65_536)
    crypto.getRandomValues(noise.subarray(at, at + 65_536));
  await pipelined(Math.ceil(bytes / valueBytes), recordsInFlight, async (n) => {
    const from = (n * 4_099) % (noise.length - valueBytes);
    await producers[n % logs]!.send({ value: noise.subarray(from, from + valueBytes) });
  });
}

interface Store {
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
}

const storesIn = (directory: string): Store[] =>
  readdirSync(join(directory, "log"))
    .filter((name) => name.endsWith(".store"))
    .map((name) => {
      const path = join(directory, "log", name);
      return { path, name, bytes: statSync(path).size };
    });

/** Requests with presigned URLs over kept connections. */
class Plain {
  readonly #server: S3Server;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: requestsInFlight });

  constructor(server: S3Server) {
    this.#server = server;
  }

  async put({ path, name, bytes }: Store): Promise<void> {
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

  close(): void {
    this.#agent.destroy();
  }

  async #open(
    method: string,
    name: string,
    headers: Record<string, number>,
  ): Promise<ReturnType<typeof request>> {
    const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "" } =
      this.#server.environment;
    const url = `${this.#server.endpoint}/${bucket}/plain/${name}`;
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

/** Sends the store files to the server and back. */
async function plainCopies(
  directory: string,
  home: string,
  server: S3Server,
): Promise<{ readonly put: Timed; readonly get: Timed }> {
  const stores = storesIn(directory);
  const bytes = stores.reduce((sum, { bytes: size }) => sum + size, 0);
  const plain = new Plain(server);
  const to = join(home, "plain");
  mkdirSync(to);
  const each = (work: (store: Store) => Promise<void>) => () =>
    pipelined(stores.length, requestsInFlight, (n) => work(stores[n]!));
  try {
    dropFromPageCache(directory);
    const put = await timed(
      bytes,
      each((store) => plain.put(store)),
    );
    const get = await timed(
      bytes,
      each(({ name }) => plain.get(name, join(to, name))),
    );
    await each(({ name }) => plain.delete(name))();
    return { put, get };
  } finally {
    plain.close();
    rmSync(to, { recursive: true, force: true });
  }
}

function figure(name: string, of: Timed, plain: Timed): void {
  const ratio = { to: "plain requests", value: rateOf(of) / rateOf(plain) };
  report({ name, value: rateOf(of), unit: "MB/s", bar: `${bar} of them`, ratio });
}

function checkSpace(bytes: number): void {
  const { bavail, bsize } = statfsSync(tmpdir());
  const needed = 3.1 * bytes + GiB;
  if (bavail * bsize < needed)
    throw new Error(`${tmpdir()} needs ${Math.ceil(needed / GiB)} GiB: give a smaller number of GiB`);
  if (serverKinds[0] === "stub" && bytes > GiB) throw new Error("without versitygw, give at most 1 GiB");
}

export async function run([gibibytes = "10"]: readonly string[]): Promise<void> {
  const bytes = Number(gibibytes) * GiB;
  checkSpace(bytes);
  compile();
  const home = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  await using server = await openS3Server();
  try {
    const [source, restored] = [join(home, "source"), join(home, "restored")];
    const url = `s3://${bucket}/backup`;
    const backup = await filledAndBackedUp(source, bytes, server, url);
    report({ name: "store files", value: backup.bytes / MB, unit: "MB", note: `${logs} named logs` });
    const restore = await timed(backup.bytes, () =>
      runCommand(["restore", url, "--data-dir", restored], server),
    );
    const compared = await timed(2 * backup.bytes, () =>
      runCommand(["verify", "--compare", source, restored], server),
    );
    rmSync(restored, { recursive: true, force: true });
    const { put, get } = await plainCopies(source, home, server);
    report({ name: "plain PUT", value: rateOf(put), unit: "MB/s" });
    figure("backup", backup, put);
    report({ name: "plain GET into files", value: rateOf(get), unit: "MB/s" });
    figure("restore, checked and synced", restore, get);
    report({ name: "both logs are equal, compared by log", value: compared.seconds, unit: "s" });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
