/**
 * A backup in a bucket and its restore, next to a copy of the same store files to the same server and back: by `rclone copy`, or by
 * plain requests without the program. Both alternate, with a cold page cache each time. The node is killed before the restore, and
 * each restored log is compared with the one that was backed up, by log.
 *
 *   npm run bench -- buckets          10 GiB: about 15 minutes, and 41 GiB of disk
 *   npm run bench -- buckets 1 3      1 GiB, in three rounds
 *
 * The server is versitygw on the same machine; without the program, a stub that holds objects in memory, for at most 1 GiB.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openClient } from "../../src/client/mod.ts";
import { openS3Server, type S3Server, serverKinds } from "../support/objects/s3-server.ts";
import { freePort } from "../support/process/free-port.ts";
import { ended, startCommand } from "../support/process/process.ts";
import { until } from "../support/until.ts";
import { command, compile, cpuSeconds } from "./load/server-process.ts";
import { report } from "./report.ts";
import { bucketCopy, type CopiedFile } from "./servers/bucket-copy.ts";
import { pipelined } from "./servers/log-server.ts";
import { dropFromPageCache, type Program, startProgram } from "./servers/program.ts";

const [GiB, MB] = [2 ** 30, 1e6];
const logs = 10;
const valueBytes = 128 * 1024;
const recordsInFlight = 64;
const bar = 0.7;
/** Of /proc. */
const ticksPerSecond = 100;

interface Taken {
  readonly seconds: number;
  /** Processor time of all processes that take part. */
  readonly cpu: number;
}

/** Returns what the work takes: `pids` are processes that take part, besides those that it starts and ends. */
async function timed(pids: readonly (number | undefined)[], work: () => Promise<unknown>): Promise<Taken> {
  const used = (): number =>
    childSeconds() + pids.reduce<number>((sum, pid) => sum + (pid === undefined ? 0 : cpuSeconds(pid)), 0);
  const [began, before] = [performance.now(), used()];
  await work();
  return { seconds: (performance.now() - began) / 1_000, cpu: used() - before };
}

/** Processor time of the children of this process that have ended. */
function childSeconds(): number {
  const fields = readFileSync("/proc/self/stat", "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
}

/** Runs a command of tailrace. @throws Error with what it says if it fails */
async function runCommand(args: readonly string[], server: S3Server): Promise<string> {
  const { status, out, err } = await ended(startCommand(args, { ...server.environment }, command));
  if (status !== 0) throw new Error(`tailrace ${args.join(" ")}: ${out}${err}`);
  return out;
}

/** Starts a node with this directory. */
async function startNode(directory: string): Promise<{ readonly program: Program; readonly addr: string }> {
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
  return { program, addr };
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

const storesIn = (directory: string): CopiedFile[] =>
  readdirSync(join(directory, "log"))
    .filter((name) => name.endsWith(".store"))
    .map((name) => {
      const path = join(directory, "log", name);
      return { path, name, bytes: statSync(path).size };
    });

/** The work and the copy take turns, the copy first and, in a single round, also last. */
async function alternate(
  rounds: number,
  work: (round: number) => Promise<Taken>,
  copy: () => Promise<Taken>,
): Promise<{ readonly ours: readonly Taken[]; readonly copies: readonly Taken[] }> {
  const [ours, copies]: [Taken[], Taken[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    copies.push(await copy());
    ours.push(await work(round));
  }
  if (rounds === 1) copies.push(await copy());
  return { ours, copies };
}

function figures(
  name: string,
  copyName: string,
  bytes: number,
  { ours, copies }: Awaited<ReturnType<typeof alternate>>,
): void {
  const mean = (taken: readonly Taken[], what: keyof Taken): number =>
    taken.reduce((sum, one) => sum + one[what], 0) / taken.length;
  const rate = (taken: readonly Taken[]): number => bytes / MB / mean(taken, "seconds");
  const note = (taken: readonly Taken[]): string =>
    `${taken.map(({ seconds }) => `${seconds.toFixed(1)} s`).join(", ")}; processor time ${mean(taken, "cpu").toFixed(1)} s`;
  report({ name: copyName, value: rate(copies), unit: "MB/s", note: note(copies) });
  const ratio = { to: copyName, value: rate(ours) / rate(copies) };
  report({ name, value: rate(ours), unit: "MB/s", bar: String(bar), ratio, note: note(ours) });
}

function checkSpace(bytes: number, rounds: number): void {
  const { bavail, bsize } = statfsSync(tmpdir());
  const needed = (3.1 + rounds) * bytes + GiB;
  if (bavail * bsize < needed)
    throw new Error(`${tmpdir()} needs ${Math.ceil(needed / GiB)} GiB: give a smaller number of GiB`);
  if (serverKinds[0] === "stub" && bytes > GiB) throw new Error("without versitygw, give at most 1 GiB");
}

export async function run([gibibytes = "10", times = "1"]: readonly string[]): Promise<void> {
  const bytes = Number(gibibytes) * GiB;
  const rounds = Number(times);
  checkSpace(bytes, rounds);
  compile();
  const home = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  await using server = await openS3Server();
  const copy = bucketCopy(server);
  const [source, restored, copied] = [join(home, "source"), join(home, "restored"), join(home, "copied")];
  const url = (round: number): string => `s3://logs/backup-${round}`;
  const { program, addr } = await startNode(source);
  try {
    await fill(addr, bytes);
    const stores = storesIn(source);
    const stored = stores.reduce((sum, one) => sum + one.bytes, 0);
    report({ name: "store files", value: stored / MB, unit: "MB", note: `${logs} named logs` });
    const backups = await alternate(
      rounds,
      (round) => {
        dropFromPageCache(source);
        return timed([server.pid, program.pid], () =>
          runCommand(["backup", url(round), "--addr", addr], server),
        );
      },
      async () => {
        await copy.delete(stores);
        dropFromPageCache(source);
        return await timed([server.pid], () => copy.put(join(source, "log"), stores));
      },
    );
    figures("backup", `${copy.name}, into the bucket`, stored, backups);
    await program.end("SIGKILL");
    let comparing: Taken | undefined;
    const restores = await alternate(
      rounds,
      async (round) => {
        const taken = await timed([server.pid], () =>
          runCommand(["restore", url(round), "--data-dir", restored], server),
        );
        comparing = await timed([], () => runCommand(["verify", "--compare", source, restored], server));
        rmSync(restored, { recursive: true, force: true });
        return taken;
      },
      async () => {
        const taken = await timed([server.pid], () => copy.get(stores, copied));
        rmSync(copied, { recursive: true, force: true });
        return taken;
      },
    );
    figures("restore, checked and synced", `${copy.name}, out of the bucket`, stored, restores);
    report({ name: "both logs are equal, compared by log", value: comparing?.seconds ?? 0, unit: "s" });
  } finally {
    if (!program.hasExited()) await program.end("SIGKILL");
    rmSync(home, { recursive: true, force: true });
  }
}
