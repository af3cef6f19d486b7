/**
 * P6: the leader of three is killed, and both survivors are asked every 20 ms whether they take a record. How long
 * until one does, again and again.
 *
 * Never: waits for one answer before it asks again; an answer that hangs would else hide the first that comes.
 */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Log } from "../../src/gen/log/v1/log_pb.js";
import type { Fleet, FleetNode } from "../support/chaos/fleet.ts";
import type { Operator } from "../support/chaos/operator.ts";
import { median, report } from "./report.ts";

const everyMs = 20;
const giveUpMs = 30_000;

/** Kills the leader so often; reports from the kill to the first record that is taken again, milliseconds. */
export async function failover(fleet: Fleet, operator: Operator, times: number): Promise<void> {
  const took: number[] = [];
  while (took.length < times) {
    await whole(operator);
    const leader = await operator.leader();
    if (leader === undefined) continue;
    const survivors = fleet.nodes.filter((node) => node !== leader);
    const asking = probes(survivors);
    const killedAt = performance.now();
    await fleet.end(leader, "SIGKILL");
    took.push((await asking.taken) - killedAt);
    await fleet.start(leader);
  }
  const sorted = took.toSorted((a, b) => a - b);
  report({
    name: `P6 failover: SIGKILL to the next accepted write, ${times} times`,
    value: median(took),
    unit: "ms",
    bar: "median 1,000, worst 2,000 (aim 300)",
    note: `worst ${Math.round(sorted.at(-1)!)} ms, best ${Math.round(sorted[0]!)} ms`,
  });
}

/** Asks these nodes from when the leader is gone; connections are there before. */
function probes(nodes: readonly FleetNode[]): { readonly taken: Promise<number> } {
  const logs = nodes.map(({ addr }) => createClient(Log, createGrpcTransport({ baseUrl: `http://${addr}` })));
  const record = { value: Buffer.from("probe") };
  const began = performance.now();
  const taken = new Promise<number>((resolve, reject) => {
    const timer = setInterval(() => {
      if (performance.now() - began > giveUpMs) {
        clearInterval(timer);
        reject(new Error(`no node took a record within ${giveUpMs} ms`));
      }
      for (const log of logs) {
        log.produce({ record }, { timeoutMs: 5_000 }).then(
          () => {
            clearInterval(timer);
            resolve(performance.now());
          },
          () => undefined, // not yet
        );
      }
    }, everyMs);
  });
  return { taken };
}

export async function whole(operator: Operator): Promise<void> {
  for (const last = performance.now() + 60_000; !(await operator.isWhole()); ) {
    if (performance.now() > last) throw new Error("the cluster does not become whole");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
