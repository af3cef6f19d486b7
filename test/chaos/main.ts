/**
 * Runs chaos with real processes. Prints each fault when it ends, and a report at the end. Exits 1 if a rule is violated;
 * then the history and the logs of the nodes are kept.
 *
 *   npm run chaos -- --minutes 60 --nodes 5 --seed 1
 *     --tempo 2                     every fault lasts twice as long
 *     --rate 60                     appends per second of one writer
 *     --faults 20 --acked 10000     continues until this has happened, for at most three times as long
 *     --every                       continues until every fault has happened, for at most three times as long
 *     --only "kill,paused leader"   only these faults
 *     --tls                         mutual TLS
 *     --keep DIR                    keeps history, logs and data in this directory
 */
import { parseArgs } from "node:util";
import { runChaos } from "./chaos.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    nodes: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
    tempo: { type: "string", default: "1" },
    rate: { type: "string", default: "60" },
    faults: { type: "string", default: "0" },
    acked: { type: "string", default: "0" },
    every: { type: "boolean", default: false },
    only: { type: "string" },
    tls: { type: "boolean", default: false },
    keep: { type: "string" },
  },
});
// On exit the fleet kills its nodes.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

const report = await runChaos({
  nodes: Number(values.nodes),
  ms: Number(values.minutes) * 60_000,
  seed: values.seed,
  tempo: Number(values.tempo),
  rate: Number(values.rate),
  tls: values.tls,
  atLeast: { faults: Number(values.faults), acked: Number(values.acked), everyFault: values.every },
  report: (line) => console.log(line),
  ...(values.only === undefined ? {} : { only: values.only.split(",") }),
  ...(values.keep === undefined ? {} : { directory: values.keep }),
});
console.log(JSON.stringify(report, undefined, 2));
if (report.violations.length > 0) process.exitCode = 1;
process.exit();
