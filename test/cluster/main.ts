/**
 * `npm run chaos -- --minutes 60 --nodes 5 --seed 1 [--tempo 2] [--rate 60] [--keep DIR]`: one long run of chaos with
 * real processes. Prints each fault as it ends and the report at the end; exits 1 when anything was wrong.
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
    keep: { type: "string" },
  },
});
const report = await runChaos({
  nodes: Number(values.nodes),
  ms: Number(values.minutes) * 60_000,
  seed: values.seed,
  tempo: Number(values.tempo),
  rate: Number(values.rate),
  told: (line) => console.log(line),
  ...(values.keep === undefined ? {} : { directory: values.keep }),
});
console.log(JSON.stringify(report, undefined, 2));
if (report.violations.length > 0) process.exitCode = 1;
process.exit();
