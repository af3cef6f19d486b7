/**
 * What `consume` and `tail` share: a stream of records from a start, printed one by one.
 *
 * Never: decides where to start by itself.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Command } from "commander";
import type { ConsumeRequestSchema } from "../gen/log/v1/log_pb.js";
import { parseFrom } from "../service/tail-request.ts";
import type { ReadStart } from "../vocabulary.ts";
import { type ConnectFlags, connect } from "./connect.ts";
import { exitStatus, print } from "./exit.ts";
import { recordPrinter } from "./record-format.ts";

export interface ReadFlags extends ConnectFlags {
  readonly from: string;
  readonly follow?: boolean;
  readonly count?: string;
  readonly format: string;
}

/** Adds --count and --format. */
export function readOptions(command: Command): Command {
  return command
    .option("--count <n>", "stop after N records")
    .option(
      "--format <format>",
      "json, raw (value and a line end), hex, or text with %o %t %k %v %s %% \\n",
      "json",
    );
}

/** Where to start, on the command line: an offset, start, end, -N, @milliseconds or a time. */
export const fromHelp =
  "an offset, start, end, -N for the last N, @milliseconds, or a time such as 2026-01-31T12:00:00Z";

export async function readRecords(flags: ReadFlags): Promise<number> {
  const toText = recordPrinter(flags.format);
  const count = flags.count === undefined ? 0 : Number(flags.count);
  if (flags.count !== undefined && !(Number.isSafeInteger(count) && count >= 1)) {
    console.error(`tailrace: --count takes a whole number from 1 on, not ${flags.count}`);
    return exitStatus.usage;
  }
  const request = {
    ...startOf(parseFrom(flags.from)),
    maxRecords: BigInt(count),
    stopAtEnd: flags.follow !== true,
  };
  using client = await connect(flags);
  for await (const { record } of client.log.consumeStream(request)) {
    if (record === undefined) continue;
    const { value, key, headers } = record;
    const placed = {
      value,
      key,
      headers,
      offset: Number(record.offset),
      timestampMs: Number(record.timestampMs),
    };
    await print(toText(placed));
  }
  return exitStatus.done;
}

function startOf(start: ReadStart): MessageInitShape<typeof ConsumeRequestSchema> {
  if ("offset" in start) return { offset: BigInt(start.offset) };
  if ("last" in start) return { start: { case: "last", value: BigInt(start.last) } };
  if ("end" in start) return { start: { case: "fromEnd", value: true } };
  return { start: { case: "fromTimeMs", value: BigInt(start.fromTimeMs) } };
}
