/**
 * The agent module: assembles a node from the other modules, and reads its settings.
 */
export { type Agent, startAgent } from "./agent.ts";
export { printConfig, printFlags } from "./config/print-config.ts";
export { readConfig } from "./config/read-config.ts";
export { serveFlags } from "./config/settings.ts";
export { setGcFlags } from "./memory/gc-flags.ts";
export { IdleCollection } from "./memory/idle-collection.ts";
export { derivedSettings, machineMemory } from "./memory/machine-memory.ts";
