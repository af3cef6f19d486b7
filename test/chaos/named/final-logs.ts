/** The named logs as the nodes show them at the end of a run, and their records. */
import { createClient } from "@connectrpc/connect";
import { Log, type LogInfo, Logs, ReadMode } from "../../../src/gen/log/v1/log_pb.js";
import type { Violation } from "../checker.ts";
import type { NodeConnections } from "../clients/node-connections.ts";
import { nameIn } from "../clients/values.ts";
import type { Fleet, FleetNode } from "../fleet.ts";
import type { CommittedLogs } from "./committed-logs.ts";
import { numberOf } from "./known-logs.ts";

const timeoutMs = 5_000;

/** All logs that a node lists. */
async function logsOn(connections: NodeConnections, { addr }: FleetNode): Promise<readonly LogInfo[]> {
  const client = createClient(Logs, connections.transport(addr, "grpc"));
  const found: LogInfo[] = [];
  for (let after = ""; ; ) {
    const { logs, next } = await client.listLogs({ after, limit: 10 }, { timeoutMs });
    found.push(...logs);
    if (next === "") return found;
    after = next;
  }
}

const stateOf = ({ name, logId, lowestOffset, nextOffset, closed, version }: LogInfo): string =>
  [name, logId, lowestOffset, nextOffset, closed, version].join(" ");

/** Whether all nodes list the same logs in the same state; the logs, or undefined if they differ or a node does not answer. */
export async function equalLogs(
  connections: NodeConnections,
  fleet: Fleet,
): Promise<readonly LogInfo[] | undefined> {
  try {
    const listed = await Promise.all(fleet.nodes.map((node) => logsOn(connections, node)));
    const [first, ...others] = listed.map((logs) => logs.map(stateOf).join("\n"));
    return others.every((other) => other === first) ? listed[0] : undefined;
  } catch {
    return undefined;
  }
}

/** The records of these logs as each of the nodes in turn serves them, by the id of the log. */
export async function namedRecordsOn(
  connections: NodeConnections,
  fleet: Fleet,
  logs: readonly LogInfo[],
): Promise<ReadonlyMap<number, readonly string[]>> {
  const found = new Map<number, readonly string[]>();
  for (const [place, { name, logId, lowestOffset }] of logs.entries()) {
    const node = fleet.nodes[place % fleet.nodes.length]!;
    const client = createClient(Log, connections.transport(node.addr, "grpc"));
    const request = { log: name, logId, offset: lowestOffset, stopAtEnd: true, readMode: ReadMode.ANY };
    const values: string[] = [];
    for await (const { record } of client.consumeStream(request, { timeoutMs: 30_000 }))
      if (record !== undefined) values.push(nameIn(Buffer.from(record.value).toString()));
    found.set(numberOf(logId), values);
  }
  return found;
}

/** Compares what the nodes showed with what the frames make. */
export function* differences(
  shown: readonly LogInfo[],
  records: ReadonlyMap<number, readonly string[]>,
  { logs }: CommittedLogs,
): Generator<Violation> {
  const live = [...logs.values()].filter(({ deleted }) => !deleted);
  const names = live.map(({ name }) => name).sort();
  const listed = shown.map(({ name }) => name).sort();
  if (names.join() !== listed.join())
    yield { rule: "listed", text: `${listed} are listed, the frames make ${names}` };
  for (const { name, logId, lowestOffset, nextOffset, closed } of shown) {
    const id = numberOf(logId);
    const log = logs.get(id);
    if (log === undefined) continue;
    const expected = `${log.name} ${log.lowest} ${log.records.length} ${log.closed}`;
    const found = `${name} ${lowestOffset} ${nextOffset} ${closed}`;
    if (expected !== found) yield { rule: "row", text: `${id} is ${found}, the frames make ${expected}` };
    const values = log.records.slice(log.lowest).map(({ value }) => value);
    if (values.join() !== records.get(id)?.join())
      yield { rule: "served", text: `${name} ${id} is not served as its frames are` };
  }
}
