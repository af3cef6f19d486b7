/**
 * The agent room: a node put together out of all the others, its settings and its one port.
 */
export { type Agent, type AgentOptions, startAgent } from "./agent.ts";
export { collectSeldom } from "./collector.ts";
export { printConfig, printFlags } from "./config/print-config.ts";
export { type ConfigInput, readConfig, type SourcedConfig } from "./config/read-config.ts";
export type { Config } from "./config/settings.ts";
export { serveFlags } from "./config/settings.ts";
export { hint } from "./config/suggest.ts";
export { derivedSettings, machineMemory } from "./machine-memory.ts";
export { version } from "./version.ts";
