/**
 * npm run bench -- [SUITE [NAME…]]: runs benchmarks and prints their figures, each next to a limit measured in the same
 * run. It asserts nothing.
 */
import { parseArgs } from "node:util";
import { setGcFlags } from "../../src/agent/memory/gc-flags.ts";
import { machineMemory } from "../../src/agent/memory/machine-memory.ts";

interface Suite {
  run(only: readonly string[]): Promise<void>;
}

const suites: Readonly<Record<string, () => Promise<Suite>>> = {
  access: () => import("./access.ts"),
  buckets: () => import("./buckets.ts"),
  log: () => import("./log.ts"),
  logs: () => import("./logs.ts"),
  "many-logs": () => import("./many-logs.ts"),
  merging: () => import("./merging.ts"),
  peers: () => import("./peers.ts"),
  replicated: () => import("./replicated.ts"),
  settling: () => import("./settling.ts"),
  cluster: () => import("./cluster.ts"),
  service: () => import("./service.ts"),
  web: () => import("./web.ts"),
};

// The garbage collector settings of a node, for the logs that run in this process.
setGcFlags(machineMemory());
const usage = `npm run bench -- [SUITE [NAME…]]; the suites are ${Object.keys(suites).join(", ")}
Example: npm run bench -- cluster P5 P6`;
const { positionals, values } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: { help: { type: "boolean", short: "h" } },
});
const unknown = Object.keys(values).find((option) => option !== "help");
const [name, ...only] = positionals;
if (values["help"] === true) {
  console.log(usage);
  process.exit(0);
}
if (unknown !== undefined || (name !== undefined && !(name in suites))) {
  console.error(`unknown ${unknown === undefined ? `suite "${name}"` : `option --${unknown}`}: ${usage}`);
  process.exit(2);
}
for (const [suite, load] of Object.entries(suites)) {
  if (name !== undefined && name !== suite) continue;
  console.log(`== ${suite}`);
  await (await load()).run(only);
}
