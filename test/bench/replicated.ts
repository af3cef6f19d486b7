/**
 * The replicated log of three nodes over sockets in one process, compared with the log of one node: the cost of
 * replication, including three disks and both ends of every socket. Rounds alternate on the same disk.
 */
import { join } from "node:path";
import type { CommitLog } from "../../src/types.ts";
import { run as makeRun } from "../support/log/logs.ts";
import { openOneNode } from "../support/log/one-node-log.ts";
import { SocketCluster } from "../support/peer/socket-cluster.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { median, report } from "./report.ts";

const rounds = 7;
const roundMs = 300;

export async function run(): Promise<void> {
  using scratch = scratchDirectory();
  await using alone = await openOneNode(join(scratch.path, "alone"));
  await using cluster = await SocketCluster.open(3, {
    directory: join(scratch.path, "three"),
    replica: { raft: {} },
  });
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  for (const [records, inFlight] of [
    [1, 1],
    [64, 1],
    [1, 64],
    [64, 64],
  ] as const) {
    const batch = makeRun(...Array.from({ length: records }, () => "x".repeat(100)));
    const [one, three, forwarded]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < rounds; round++) {
      one.push(await appends(alone.replica.log, batch, inFlight));
      three.push(await appends(leader.up!.replica.log, batch, inFlight));
      forwarded.push(await appends(follower!.up!.replica.log, batch, inFlight));
    }
    report({
      name: `replicated alone: append ×${records} of 100 B, ${inFlight} in flight, synced`,
      value: median(one) * records,
      unit: "records/s",
    });
    for (const [where, rates] of [
      ["at the leader", three],
      ["at a follower", forwarded],
    ] as const) {
      report({
        name: `replicated by three, ${where}: append ×${records} of 100 B, ${inFlight} in flight`,
        value: median(rates) * records,
        unit: "records/s",
        ratio: { to: "alone", value: median(rates) / median(one) },
      });
    }
  }
}

async function appends(log: CommitLog, batch: ReturnType<typeof makeRun>, inFlight: number): Promise<number> {
  const started = performance.now();
  let count = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - started < roundMs) {
      await log.append(batch);
      count++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return count / ((performance.now() - started) / 1000);
}
