/** What a message promises about its sender's log: it is sent only once that is durable there. */
import type { Message, RaftIndex, Term } from "../core/mod.ts";

/** The log is durable up to `index`, as the leader of `term` has it. With index 0, only the term and the vote are. */
export interface Promised {
  readonly term: Term;
  readonly index: RaftIndex;
  /** The term of the entry at `index`. Undefined: not known. */
  readonly entryTerm?: Term | undefined;
}

/** With the term of the entry, where the log has it. */
export const withEntryTerm = (made: Promised, entryTerm: Term | undefined): Promised =>
  entryTerm === undefined || made.index === 0 ? made : { ...made, entryTerm };

/** What an acknowledgment, a vote or a request for votes promises; undefined for other messages. */
export function promiseIn({ type, reject, term, index }: Message): Promised | undefined {
  if (reject) return undefined;
  if (type === "append-response") return { term, index };
  return type === "vote" || type === "vote-response" ? { term, index: 0 } : undefined;
}

/** The furthest promise that this node has made since it was started. */
export class PromiseBook {
  #furthest: Promised = { term: 0, index: 0 };

  get furthest(): Promised {
    return this.#furthest;
  }

  /** Notes what a message promises that is sent now. `termAt` is the term of an entry in the log of the node. */
  sent(message: Message, termAt: (index: RaftIndex) => Term | undefined): void {
    const made = promiseIn(message);
    const { term, index } = this.#furthest;
    if (made === undefined || made.term < term) return;
    if (made.term > term || made.index > index) this.#furthest = withEntryTerm(made, termAt(made.index));
  }
}
