/** The Raft room, with what only the simulator may look at besides. */
export * from "../../src/raft/core/mod.ts";
export * from "../../src/raft/mod.ts";
export type { RaftIndex, Term } from "../../src/types.ts";
