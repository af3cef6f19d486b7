/** Classifies failed calls: may they be retried, and which text is shown. One closed table. */

export type FailureKind =
  | "network" // no response: the node is down or unreachable
  | "unavailable" // the node answers, the log does not
  | "ended" // the server closed the stream without an error
  | "silent" // nothing was received for too long
  | "denied" // the policy forbids it
  | "unauthenticated" // no certificate, or an unknown one
  | "trimmed" // the position is before the lowest offset
  | "beyond" // the position is after the end: a node that is behind, or another log
  | "absent" // there is no log of this name
  | "replaced" // another log has the name now
  | "closed" // all records of a closed log were read
  | "refused"; // anything else: shown as received

export interface StreamFailure {
  readonly kind: FailureKind;
  /** The server's own sentence, or ours. */
  readonly message: string;
  /** Connect's name of the code, empty without an answer. */
  readonly code: string;
  readonly retry: boolean;
  /** For trimmed and beyond. */
  readonly lowest: number | undefined;
  readonly next: number | undefined;
  /** For a filter that is not valid: how many of its characters come before the error. */
  readonly character: number | undefined;
  /** When the server sent one, to find the call in its log. */
  readonly requestId: string | undefined;
}

/** An error as the transport reports it; facts are the metadata of google.rpc.ErrorInfo. */
export interface CallError {
  /** Connect's code, e.g. "out_of_range"; undefined when there was no answer. */
  readonly code: string | undefined;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly requestId?: string | undefined;
}

const kindOf: Readonly<Record<string, FailureKind>> = {
  permission_denied: "denied",
  unauthenticated: "unauthenticated",
  unavailable: "unavailable",
  deadline_exceeded: "unavailable",
  resource_exhausted: "unavailable",
  aborted: "unavailable",
  canceled: "network",
  not_found: "absent",
  failed_precondition: "replaced",
  internal: "unavailable",
  unknown: "unavailable",
};

/** Classifies an error of a read that asked for `position` (undefined when it asked for the end). */
export function classify(error: CallError, position: number | undefined): StreamFailure {
  const lowest = offsetOf(error.facts, "lowest", "lowest_offset");
  const next = offsetOf(error.facts, "next", "next_offset", "highest", "highest_offset");
  const kind = error.code === "out_of_range" ? rangeKind(position, lowest) : undefined;
  const found = kind ?? (error.code === undefined ? "network" : (kindOf[error.code] ?? "refused"));
  return {
    kind: found,
    message: error.message,
    code: error.code ?? "",
    retry: found === "network" || found === "unavailable" || found === "ended" || found === "silent",
    lowest,
    next,
    character: offsetOf(error.facts, "character"),
    requestId: error.requestId,
  };
}

/** A failure that no server sent. */
export function localFailure(
  kind: "ended" | "silent" | "network" | "closed" | "refused",
  message: string,
): StreamFailure {
  const retry = kind !== "closed" && kind !== "refused";
  const unknown = { lowest: undefined, next: undefined, character: undefined, requestId: undefined };
  return { kind, message, code: "", retry, ...unknown };
}

function rangeKind(position: number | undefined, lowest: number | undefined): FailureKind {
  if (position === undefined || lowest === undefined) return "refused";
  return position < lowest ? "trimmed" : "beyond";
}

function offsetOf(facts: Readonly<Record<string, string>>, ...names: string[]): number | undefined {
  for (const name of names) {
    const text = facts[name];
    if (text !== undefined && /^\d{1,16}$/.test(text)) return Number(text);
  }
  return undefined;
}
