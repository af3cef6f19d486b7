/** The exports of src/raft, with the internal ones that only the simulator uses. */
export * from "../../src/raft/core/mod.ts";
export * from "../../src/raft/mod.ts";
export type { RaftIndex, Term } from "../../src/types.ts";
