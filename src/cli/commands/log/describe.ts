/**
 * `tailrace describe`: the offsets of a log on one node, and the settings of a named log. Segments hold many logs, so only
 * `default` has some.
 */
import type { Command } from "commander";
import type { TailraceClient } from "../../../client/mod.ts";
import {
  type DescribeResponse,
  DescribeResponseSchema,
  type LogInfo,
  LogInfoSchema,
  type SpaceUse,
} from "../../../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { type LogFlag, logOf, logOption } from "../../log-names.ts";
import { settingsText } from "../../log-settings.ts";
import { print } from "../../output/standard-output.ts";
import { bytesText, table, timeText } from "../../output/table.ts";
import { jsonLine, printable } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { runCommand } from "../../run-command.ts";

interface Flags extends ConnectFlags, LogFlag {}

export function register(program: Command): void {
  const command = program
    .command("describe")
    .description("print the offsets of a log, and its settings or segments");
  connectOptions(logOption(command)).action((flags: Flags) => runCommand("describe", () => describe(flags)));
}

async function describe(flags: Flags): Promise<undefined> {
  const log = logOf(flags);
  using client = await connect(flags);
  // A node of a version without named logs does not know the field, and would describe `default`.
  const found = await client.rpc.log.describe(await client.log(log).pinned());
  const info = found.logId === undefined ? undefined : await infoOf(client, log, found.logId);
  if (flags.json) {
    await print(jsonLine({ ...toPlainJson(DescribeResponseSchema, found), ...jsonOf(info) }));
    return;
  }
  const { lowestOffset, nextOffset, bytes, diskFreeBytes } = found;
  const named = found.logId === undefined ? "" : `"${printable(log)}" (id ${found.logId}), `;
  await print(
    `log      ${named}offsets ${lowestOffset} to ${nextOffset} (the next), ${bytesText(Number(bytes))}, ${bytesText(Number(diskFreeBytes))} free\n` +
      `node     ${found.nodeId} of cluster ${found.clusterId}, version ${found.version}, sync ${found.sync}\n`,
  );
  if (found.space !== undefined && found.space.removedBytes > 0n) await print(spaceText(found.space));
  if (info !== undefined) {
    const last = timeText(Number(info.lastTimestampMs));
    const state = info.closed ? "closed" : "open";
    await print(
      `state    ${state}, created ${timeText(Number(info.createdMs))}, last record ${last}\n` +
        `settings ${settingsText(info)}\n`,
    );
  }
  await print(readersText(found));
  if (found.segments.length === 0) return;
  const rows = found.segments.map((segment) => [
    Number(segment.baseOffset),
    Number(segment.nextOffset),
    bytesText(Number(segment.bytes)),
    Number(segment.indexEntries),
    segment.sealed ? "sealed" : "active",
    timeText(Number(segment.firstTimestampMs)),
    timeText(Number(segment.lastTimestampMs)),
  ]);
  await print("\n");
  await print(table(["base", "next", "size", "batches", "state", "first", "last"], rows));
}

/** What removed records of all logs hold, and what an operator needs to get it back. */
function spaceText({ bytes, removedBytes, reclaimableBytes, removed, keeping, ...space }: SpaceUse): string {
  const size = (count: bigint): string => bytesText(Number(count));
  const list = (logs: SpaceUse["removed"]): string[] =>
    logs.map((log) => `${printable(log.name)} ${size(log.bytes)}`);
  const deleted = space.deletedBytes === 0n ? [] : [`deleted logs ${size(space.deletedBytes)}`];
  const of = [...list(removed), ...deleted].join(", ");
  const by = list(keeping).join(", ");
  return (
    `removed  ${size(removedBytes)} of ${size(bytes)}, settling can give ${size(reclaimableBytes)} back` +
    `${of === "" ? "" : `: ${of}`}\n${by === "" ? "" : `kept by  ${by}\n`}`
  );
}

/** The cursors of a log, and the tails that the node serves. */
function readersText({ cursors, cursorCount, tails, tailCount }: DescribeResponse): string {
  const cursorRows = cursors.map(({ name, offset, lag, committedMs }) => [
    ...[name, Number(offset), Number(lag), timeText(Number(committedMs))],
  ]);
  const tailRows = tails.map(({ subject, method, position, lag, runningMs }) => [
    ...[subject, method, position === undefined ? "several logs" : Number(position)],
    ...[lag === undefined ? "" : Number(lag), `${Math.round(Number(runningMs) / 1_000)} s`],
  ]);
  const parts = [
    { count: cursorCount, rows: cursorRows, heads: ["cursor", "offset", "lag", "committed"] },
    { count: tailCount, rows: tailRows, heads: ["tail of", "by", "offset", "lag", "for"] },
  ];
  return parts
    .filter(({ rows }) => rows.length > 0)
    .map(({ count, rows, heads }) => {
      const more = Number(count) - rows.length;
      return `\n${table(heads, rows)}${more > 0 ? `… and ${more} more\n` : ""}`;
    })
    .join("");
}

async function infoOf(client: TailraceClient, name: string, logId: string): Promise<LogInfo | undefined> {
  return (await client.rpc.logs.getLog({ name, logId })).log;
}

/** What Describe does not say of a log. `version` is that of the program there, and left out here. */
function jsonOf(info: LogInfo | undefined): Record<string, unknown> {
  if (info === undefined) return {};
  const { settings, created_ms, last_timestamp_ms, closed, owner } = toPlainJson(LogInfoSchema, info);
  return { settings, created_ms, last_timestamp_ms, closed, owner };
}
