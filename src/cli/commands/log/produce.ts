/**
 * `tailrace produce [FILE…]`: appends one record for each line of standard input, or for each file. It prints the offset of
 * each record, in order. Records that arrive together share a request. Every printed offset is in the log.
 */
import { fstatSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { Fault } from "../../../fault.ts";
import { errorText } from "../../../lib/disk/disk.ts";
import { prng, systemSeed } from "../../../lib/prng.ts";
import { systemClock } from "../../../lib/time/clock.ts";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { argumentFault, exitStatus } from "../../exit-status.ts";
import { type LogFlag, logOf, logOption } from "../../log-names.ts";
import { offsetLines } from "../../output/offset-lines.ts";
import { print } from "../../output/standard-output.ts";
import type { RecordTemplate } from "../../produce/run-builder.ts";
import { runCommand, systemFault } from "../../run-command.ts";

interface Flags extends ConnectFlags, LogFlag {
  readonly key?: string;
  readonly header: readonly string[];
  readonly batch?: string;
  readonly quiet?: true;
}

/** A record cannot be larger than this, in bytes. */
const recordBytesMax = 4 * 1024 * 1024;
/** The limits of a run that is not a batch of the user. */
const usualRun = { recordsMax: 10_000, bytesMax: 1024 * 1024 };

export function register(program: Command): void {
  const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
  const command = program
    .command("produce")
    .description("append a record for each line of standard input, or for each file")
    .argument("[files...]", "files, one record for each; - is all of standard input");
  connectOptions(logOption(command))
    .option("--key <text>", "the key of every record")
    .option("--header <k=v>", "a header of every record (repeatable)", collect, [])
    .option("--batch <n>", "append N records as one atomic batch, and wait for N")
    .option("-q, --quiet", "do not print the offsets")
    .action((files: readonly string[], flags: Flags) =>
      runCommand("produce", () => produce(files, flags), "write"),
    );
}

async function produce(files: readonly string[], flags: Flags): Promise<number> {
  const batch = flags.batch === undefined ? 0 : Number(flags.batch);
  if (flags.batch !== undefined && !(Number.isInteger(batch) && batch >= 1 && batch <= 65_536)) {
    throw argumentFault("--batch must be a whole number from 1 to 65536", flags.batch);
  }
  const template = templateOf(flags);
  const name = logOf(flags);
  using client = await connect(flags);
  // These import the client library, so they are loaded after the flags are checked.
  const { RunAppender } = await import("../../produce/append-run.ts");
  const { RunBuilder } = await import("../../produce/run-builder.ts");
  const { RunQueue } = await import("../../produce/run-queue.ts");
  const limits = batch === 0 ? usualRun : { recordsMax: batch, bytesMax: recordBytesMax };
  const builder = new RunBuilder(template, limits);
  const log = await client.log(name).pinned(); // so that all records go to the same log
  const target = {
    log,
    send: client.rpc.log.produceBatch,
    onAppended: (firstOffset: bigint, count: number) =>
      flags.quiet ? undefined : print(offsetLines(Number(firstOffset), count)),
    clock: systemClock,
    chance: prng(systemSeed()),
  };
  const appender = new RunAppender(target, batch > 0);
  const queue = new RunQueue(
    builder,
    Math.max(1, batch),
    (run) => appender.append(run),
    () => process.stdin.destroy(), // ends the wait for a line that may never come
  );
  // If the input fails, the records before it are appended and printed.
  let failure: Fault | undefined;
  try {
    await (files.length === 0 ? addLines(queue) : addFiles(files, queue));
  } catch (reason) {
    failure = reason instanceof Fault ? reason : (unreadable(reason) ?? Fault.from(reason));
  }
  await queue.end(failure === undefined);
  if (failure !== undefined) throw failure.kind === "config" ? failure : appender.withProgress(failure);
  return exitStatus.done;
}

/** The fault of a standard input that cannot be read. Undefined if `reason` is a bug. */
function unreadable(reason: unknown): Fault | undefined {
  const fault = systemFault(reason);
  if (fault === undefined) return undefined;
  return new Fault("unknown", { message: `cannot read standard input: ${errorText(reason)}`, cause: reason });
}

/** Returns the parts that all records share. */
function templateOf({ key, header }: Flags): RecordTemplate {
  const headers = header.map((text) => {
    const at = text.indexOf("=");
    if (at < 1) throw argumentFault("--header must be NAME=VALUE", text);
    return { key: text.slice(0, at), value: Buffer.from(text.slice(at + 1)) };
  });
  return { headers, ...(key === undefined ? {} : { key }) };
}

interface Queue {
  add(value: Uint8Array): Promise<void> | undefined;
  start(): void;
}

/** Adds a record for each line. What has arrived is appended before more is waited for. */
async function addLines(queue: Queue): Promise<void> {
  const { LineSplitter } = await import("../../produce/split-lines.ts");
  const lines = new LineSplitter(recordBytesMax);
  for await (const chunk of standardInput()) {
    lines.push(chunk);
    for (let line = lines.next(); line !== undefined; line = lines.next()) {
      const room = queue.add(line);
      if (room !== undefined) await room;
    }
    queue.start();
  }
  const last = lines.last();
  if (last !== undefined) await queue.add(last);
}

/** @throws Fault "config" for a directory, which Node.js reads as an empty input */
function standardInput(): AsyncIterable<Uint8Array> {
  if (fstatSync(0).isDirectory())
    throw new Fault("config", { message: "cannot read standard input: it is a directory" });
  return process.stdin;
}

async function addFiles(files: readonly string[], queue: Queue): Promise<void> {
  for (const file of files) {
    await queue.add(file === "-" ? await all(standardInput()) : readWhole(file));
    queue.start();
  }
}

function readWhole(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = `cannot read ${path}: ${errorText(cause)}. Arguments are files; --log names a log`;
    throw new Fault("config", { message: why, cause });
  }
}

async function all(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > recordBytesMax)
      throw new Fault("too-large", {
        message: `standard input has more than ${recordBytesMax} bytes, the most that a record can have`,
      });
  }
  return Buffer.concat(chunks);
}
