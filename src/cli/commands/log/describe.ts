/** `tailrace describe`: the offsets and the segments of the log on one node. */
import type { Command } from "commander";
import { DescribeResponseSchema } from "../../../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { bytesText, table } from "../../output/table.ts";
import { jsonLine } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(
    program.command("describe").description("print the offsets and the segments of the log"),
  ).action((flags: ConnectFlags) => runCommand("describe", () => describe(flags)));
}

async function describe(flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  const found = await client.rpc.log.describe({});
  if (flags.json) {
    await print(jsonLine(toPlainJson(DescribeResponseSchema, found)));
    return;
  }
  const { lowestOffset, nextOffset, bytes, diskFreeBytes } = found;
  await print(
    `log      offsets ${lowestOffset} to ${nextOffset} (the next), ${bytesText(Number(bytes))}, ${bytesText(Number(diskFreeBytes))} free\n` +
      `node     ${found.nodeId} of cluster ${found.clusterId}, version ${found.version}, sync ${found.sync}\n\n`,
  );
  const rows = found.segments.map((segment) => [
    Number(segment.baseOffset),
    Number(segment.nextOffset),
    bytesText(Number(segment.bytes)),
    Number(segment.indexEntries),
    segment.sealed ? "sealed" : "active",
    timeText(Number(segment.firstTimestampMs)),
    timeText(Number(segment.lastTimestampMs)),
  ]);
  await print(table(["base", "next", "size", "batches", "state", "first", "last"], rows));
}

/** A time beyond the range of Date is printed as a number: the log's limit is 2^53. */
export function timeText(milliseconds: number): string {
  if (milliseconds === 0) return "-";
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? `${milliseconds} ms` : time.toISOString();
}
