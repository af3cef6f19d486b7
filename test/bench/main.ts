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
const { positionals } = parseArgs({ allowPositionals: true });
const [name, ...only] = positionals;
if (name !== undefined && !(name in suites)) {
  console.error(
    `unknown suite "${name}"; the suites are ${Object.keys(suites).join(", ")}\nExample: npm run bench -- cluster P5 P6`,
  );
  process.exit(2);
}
for (const [suite, load] of Object.entries(suites)) {
  if (name !== undefined && name !== suite) continue;
  console.log(`== ${suite}`);
  await (await load()).run(only);
}
