/** A cluster of real processes whose nodes are all voters, for tests that use the parts of the chaos runs. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processWait } from "../support/process/cluster.ts";
import { until } from "../support/until.ts";
import { NodeConnections } from "./clients/node-connections.ts";
import { Fleet, type FleetOptions } from "./fleet.ts";
import { Operator } from "./operator.ts";

export interface StartedCluster {
  readonly fleet: Fleet;
  readonly operator: Operator;
  readonly directory: string;
}

interface Options extends Partial<Pick<FleetOptions, "flags" | "proxied" | "movesClocks">> {
  /** Resolves before the nodes have found each other. */
  readonly atOnce?: true;
}

/** Nodes n1, n2, …, all of them voters when this resolves. They end with the test. */
export async function startCluster(
  t: { after(work: () => unknown): void },
  nodes: number,
  options: Options = {},
): Promise<StartedCluster> {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-cluster-"));
  const names = Array.from({ length: nodes }, (_, n) => `n${n + 1}`);
  const fleet = await Fleet.open({ directory, names, proxied: false, ...options });
  t.after(async () => {
    await fleet[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });
  const connections = new NodeConnections();
  t.after(() => connections[Symbol.dispose]());
  const operator = new Operator(fleet, connections);
  if (options.atOnce !== true) await until("the cluster is whole", () => operator.isWhole(), processWait);
  return { fleet, operator, directory };
}
