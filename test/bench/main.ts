/**
 * `npm run bench [-- NAME…]`: runs benchmarks and prints their figures, each beside a limit measured in the same run.
 *
 * Never: asserts anything; a figure is for reading.
 */
import { parseArgs } from "node:util";
import { setGcFlags } from "../../src/agent/memory/gc-flags.ts";
import { machineMemory } from "../../src/agent/memory/machine-memory.ts";

interface Suite {
  run(only: readonly string[]): Promise<void>;
}

const suites: Readonly<Record<string, () => Promise<Suite>>> = {
  access: () => import("./access.ts"),
  log: () => import("./log.ts"),
  replicated: () => import("./replicated.ts"),
  cluster: () => import("./cluster.ts"),
  service: () => import("./service.ts"),
};

// As every node does: a log that is measured in this process would else be measured with another collector.
setGcFlags(machineMemory());
const { positionals } = parseArgs({ allowPositionals: true });
const [name, ...only] = positionals;
for (const [suite, load] of Object.entries(suites)) {
  if (name !== undefined && name !== suite) continue;
  console.log(`== ${suite}`);
  await (await load()).run(only);
}
