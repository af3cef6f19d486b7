/**
 * The agent room: a node put together out of all the others, its settings and its one port.
 */
export { startAgent } from "./agent.ts";
export { printConfig, printFlags } from "./config/print-config.ts";
export { readConfig } from "./config/read-config.ts";
export { serveFlags } from "./config/settings.ts";
export { collectSeldom } from "./memory/gc-flags.ts";
export { derivedSettings, machineMemory } from "./memory/machine-memory.ts";
