/** The Raft core: pure, synchronous, deterministic. */
export * from "./config.ts";
export * from "./configuration.ts";
export * from "./core.ts";
export * from "./events.ts";
export * from "./quorum.ts";
export type { Ready } from "./ready.ts";
export * from "./storage.ts";
export * from "./types.ts";
