/**
 * One run of chaos with real processes: prints each fault as it ends and the report at the end; exits 1 when anything
 * was wrong.
 *
 *   npm run chaos -- --minutes 60 --nodes 5 --seed 1
 *     --tempo 2                     every fault lasts twice as long
 *     --rate 60                     appends a second of one writer
 *     --faults 20 --acked 10000     goes on until so much has happened, for three times as long at most
 *     --every                       goes on until each fault has happened, likewise
 *     --only "kill,frozen leader"   these faults and no others
 *     --tls                         everybody shows a certificate
 *     --keep DIR                    history, logs and data stay there in any case
 *
 * Never: removes what it found wrong: history and logs of the nodes stay where it says.
 */
import { parseArgs } from "node:util";
import { runChaos } from "../support/chaos/chaos.ts";

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
// An orderly exit takes the nodes along.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

const report = await runChaos({
  nodes: Number(values.nodes),
  ms: Number(values.minutes) * 60_000,
  seed: values.seed,
  tempo: Number(values.tempo),
  rate: Number(values.rate),
  tls: values.tls,
  atLeast: { faults: Number(values.faults), acked: Number(values.acked), everyFault: values.every },
  told: (line) => console.log(line),
  ...(values.only === undefined ? {} : { only: values.only.split(",") }),
  ...(values.keep === undefined ? {} : { directory: values.keep }),
});
console.log(JSON.stringify(report, undefined, 2));
if (report.violations.length > 0) process.exitCode = 1;
process.exit();
