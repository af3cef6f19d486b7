/**
 * P6: kills the leader of three nodes and sends a record to both survivors every 20 ms, without waiting for responses.
 * Measures the time until the first acknowledgment.
 */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Log } from "../../src/gen/log/v1/log_pb.js";
import type { Fleet, FleetNode } from "../chaos/fleet.ts";
import type { Operator } from "../chaos/operator.ts";
import { median, report } from "./report.ts";

const everyMs = 20;
const giveUpMs = 30_000;

/** Kills the leader `times` times. Reports the milliseconds from the kill to the next accepted record. */
export async function failover(fleet: Fleet, operator: Operator, times: number): Promise<void> {
  const took: number[] = [];
  while (took.length < times) {
    await waitUntilWhole(operator);
    const leader = await operator.leader();
    if (leader === undefined) continue;
    const survivors = fleet.nodes.filter((node) => node !== leader);
    const probing = probes(survivors);
    const killedAt = performance.now();
    await fleet.end(leader, "SIGKILL");
    took.push((await probing.accepted) - killedAt);
    await fleet.start(leader);
  }
  const sorted = took.toSorted((a, b) => a - b);
  report({
    name: `P6 failover: SIGKILL to the next accepted write, ${times} times`,
    value: median(took),
    unit: "ms",
    bar: "median 1,000, worst 2,000 (goal 300)",
    note: `worst ${Math.round(sorted.at(-1)!)} ms, best ${Math.round(sorted[0]!)} ms`,
  });
}

/** Sends records to these nodes until one is accepted. The connections are opened before. */
function probes(nodes: readonly FleetNode[]): { readonly accepted: Promise<number> } {
  const logs = nodes.map(({ addr }) => createClient(Log, createGrpcTransport({ baseUrl: `http://${addr}` })));
  const record = { value: Buffer.from("probe") };
  const began = performance.now();
  const accepted = new Promise<number>((resolve, reject) => {
    const timer = setInterval(() => {
      if (performance.now() - began > giveUpMs) {
        clearInterval(timer);
        reject(new Error(`no node accepted a record within ${giveUpMs} ms`));
      }
      for (const log of logs) {
        log.produce({ record }, { timeoutMs: 5_000 }).then(
          () => {
            clearInterval(timer);
            resolve(performance.now());
          },
          () => undefined, // try again
        );
      }
    }, everyMs);
  });
  return { accepted };
}

export async function waitUntilWhole(operator: Operator): Promise<void> {
  for (const last = performance.now() + 60_000; !(await operator.isWhole()); ) {
    if (performance.now() > last) throw new Error("not all nodes are up and in sync after 60 s");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
