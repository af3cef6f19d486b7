/** What a message promises about the log of its sender: it leaves only once that is durable there. Pure. */
import type { Message, RaftIndex, Term } from "../core/mod.ts";

/** The log is durable up to `index`, as the leader of `term` has it; with index 0 the term and the vote alone. */
export interface Promised {
  readonly term: Term;
  readonly index: RaftIndex;
}

/** An acknowledgment, a vote and a request for votes promise something. */
export function promiseIn({ type, reject, term, index }: Message): Promised | undefined {
  if (reject) return undefined;
  if (type === "append-response") return { term, index };
  return type === "vote" || type === "vote-response" ? { term, index: 0 } : undefined;
}
