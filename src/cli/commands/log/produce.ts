/**
 * `tailrace produce [FILE…]`: appends one record for each line of standard input, or for each file. It prints the offset of
 * each record, in order. Many appends are in flight. It does not retry; every printed offset is in the log.
 */
import { readFileSync } from "node:fs";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { Fault } from "../../../fault.ts";
import type { RecordSchema } from "../../../gen/log/v1/log_pb.js";
import { errorText } from "../../../lib/disk/disk.ts";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { argumentFault, exitStatus } from "../../exit-status.ts";
import { type LogFlag, logOf, logOption } from "../../log-names.ts";
import { print } from "../../output/standard-output.ts";
import { linesOf } from "../../records/lines.ts";
import { runCommand } from "../../run-command.ts";

interface Flags extends ConnectFlags, LogFlag {
  readonly key?: string;
  readonly header: readonly string[];
  readonly batch?: string;
}

type RecordInit = MessageInitShape<typeof RecordSchema>;

/** A record cannot be larger than this. */
const lineBytesMax = 4 * 1024 * 1024;

export function register(program: Command): void {
  const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
  const command = program
    .command("produce")
    .description("append a record for each line of standard input, or for each file")
    .argument("[files...]", "files, one record for each; - is all of standard input");
  connectOptions(logOption(command))
    .option("--key <text>", "the key of every record")
    .option("--header <k=v>", "a header of every record (repeatable)", collect, [])
    .option("--batch <n>", "send N records as one atomic batch")
    .action((files: readonly string[], flags: Flags) =>
      runCommand("produce", () => produce(files, flags), "write"),
    );
}

async function produce(files: readonly string[], flags: Flags): Promise<number> {
  const batch = flags.batch === undefined ? 0 : Number(flags.batch);
  if (flags.batch !== undefined && !(Number.isInteger(batch) && batch >= 1 && batch <= 65_536)) {
    throw argumentFault("--batch must be a whole number from 1 to 65536", flags.batch);
  }
  const records = recordsOf(files, templateOf(flags));
  const name = logOf(flags);
  using client = await connect(flags);
  const log = await client.log(name).pinned(); // so that all records go to the same log
  if (batch > 0) {
    for await (const group of groupsOf(records, batch)) {
      const { firstOffset, count } = await client.rpc.log.produceBatch({ ...log, records: group });
      for (let at = 0; at < count; at++) await print(`{"offset":${Number(firstOffset) + at}}\n`);
    }
    return exitStatus.done;
  }
  // If the input fails, the stream ends normally, so that the records before it are acknowledged and printed.
  let failure: Fault | undefined;
  const requests = async function* () {
    try {
      for await (const record of records) yield { ...log, record };
    } catch (reason) {
      failure = Fault.from(reason);
    }
  };
  for await (const { offset } of client.rpc.log.produceStream(requests()))
    await print(`{"offset":${offset}}\n`);
  if (failure !== undefined) throw failure;
  return exitStatus.done;
}

/** Returns the parts that all records share. */
function templateOf({ key, header }: Flags): RecordInit {
  const headers = header.map((text) => {
    const at = text.indexOf("=");
    if (at < 1) throw argumentFault("--header must be NAME=VALUE", text);
    return { key: text.slice(0, at), value: Buffer.from(text.slice(at + 1)) };
  });
  return { headers, ...(key === undefined ? {} : { key: Buffer.from(key) }) };
}

async function* recordsOf(files: readonly string[], template: RecordInit): AsyncGenerator<RecordInit> {
  if (files.length === 0) {
    for await (const value of linesOf(process.stdin, lineBytesMax)) yield { ...template, value };
    return;
  }
  for (const file of files)
    yield { ...template, value: file === "-" ? await all(process.stdin) : readWhole(file) };
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
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* groupsOf<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let group: T[] = [];
  for await (const item of items) {
    group.push(item);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
