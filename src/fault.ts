/**
 * Fault: every failure that is expected, in one closed table. A fault says what was expected, what was found and
 * whether the write happened. What must never happen is an assertion instead (lib/assert).
 *
 * Never: knows a protocol's codes (the service maps kinds to codes, exhaustively), is subclassed.
 */
import type { Written } from "./types.ts";

/** Kind of fault → may the same call be repeated as it is, and what it means when nothing else is said. */
const kinds = {
  "bad-request": { retry: false, sentence: "the request is malformed" },
  "bad-record": { retry: false, sentence: "a record is malformed" },
  "unexpected-compression": { retry: false, sentence: "a message is compressed, and no encoding was named" },
  "too-large": { retry: false, sentence: "larger than the limit" },
  "out-of-range": { retry: false, sentence: "the offset is not in the log" },
  "offset-mismatch": { retry: false, sentence: "the log does not end at the expected offset" },
  "out-of-sequence": { retry: false, sentence: "the producer's sequence does not follow its last" },
  "sequence-too-old": {
    retry: false,
    sentence: "the producer's sequence is older than the results that are kept",
  },
  "producer-fenced": { retry: false, sentence: "a newer epoch of this producer exists" },
  "unknown-producer": { retry: false, sentence: "the producer is not known, or was forgotten" },
  "too-many-producers": { retry: false, sentence: "no room for another producer" },
  unauthenticated: { retry: false, sentence: "a client certificate is required" },
  "permission-denied": { retry: false, sentence: "not allowed" },
  "not-found": { retry: false, sentence: "there is no such thing" },
  "failed-precondition": { retry: false, sentence: "the state does not allow it" },
  unimplemented: { retry: false, sentence: "not supported" },
  "not-leader": { retry: true, sentence: "this node is not the leader" },
  unavailable: { retry: true, sentence: "the log is not available now" },
  unreachable: { retry: false, sentence: "no node could be reached" },
  overloaded: { retry: true, sentence: "a limit is reached" },
  "disk-full": { retry: true, sentence: "the disk is full" },
  "disk-busy": { retry: true, sentence: "the disk takes no writes now" },
  deadline: { retry: false, sentence: "the deadline has passed" },
  canceled: { retry: false, sentence: "the caller went away" },
  interrupted: { retry: false, sentence: "the leader changed before the outcome was known" },
  unknown: { retry: false, sentence: "the outcome is not known" },
  "disk-failed": { retry: false, sentence: "a write could not be made durable" },
  corrupt: { retry: false, sentence: "stored bytes are damaged" },
  "foreign-directory": { retry: false, sentence: "the data directory is not this node's" },
  "unsupported-version": { retry: false, sentence: "written by another version" },
  locked: { retry: false, sentence: "another process holds it" },
  config: { retry: false, sentence: "the configuration is not valid" },
} as const satisfies Record<string, { retry: boolean; sentence: string }>;

export type FaultKind = keyof typeof kinds;

/** Does this kind invite clients to repeat the call? Of such a fault nothing may have been written. */
export const invitesRetry = (kind: FaultKind): boolean => kinds[kind].retry;

export type Facts = Readonly<Record<string, string | number | boolean>>;

export interface FaultOptions {
  /** The sentence people read, without the characters : / ? # , ; = + & @ $ (some clients garble them). */
  readonly message?: string;
  readonly facts?: Facts;
  /** Default "no". */
  readonly written?: Written;
  /** For the log only; never sent. */
  readonly cause?: unknown;
  /** Something was thrown that is no fault: a bug. Default false. */
  readonly unexpected?: boolean;
}

/** Messages and facts hold what a caller sent: an answer must not grow with it. */
const textCharsMax = 2000;

/** The text, cut when it is too long, and without half characters: encodeURIComponent refuses these. */
function bounded(text: string): string {
  return (text.length <= textCharsMax ? text : `${text.slice(0, textCharsMax)}…`).toWellFormed();
}

function boundedFacts(facts: Facts): Facts {
  const entries = Object.entries(facts);
  if (entries.every(([, value]) => typeof value !== "string" || value === bounded(value))) return facts;
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === "string" ? bounded(value) : value]),
  );
}

/** An expected failure. Throw one rather than any other Error. */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly kind: FaultKind;
  readonly facts: Facts;
  readonly written: Written;
  readonly unexpected: boolean;

  constructor(kind: FaultKind, options: FaultOptions = {}) {
    super(
      bounded(options.message ?? kinds[kind].sentence),
      options.cause === undefined ? {} : { cause: options.cause },
    );
    this.kind = kind;
    this.facts = boundedFacts(options.facts ?? {});
    this.written = options.written ?? "no";
    this.unexpected = options.unexpected ?? false;
  }

  /** May the same call be repeated as it is? Only ever true when nothing was written. */
  get retry(): boolean {
    return invitesRetry(this.kind) && this.written === "no";
  }

  /** The fault itself, or what was thrown wrapped as "unknown" with the cause kept for the log. */
  static from(reason: unknown): Fault {
    if (reason instanceof Fault) return reason;
    return new Fault("unknown", { written: "unknown", unexpected: true, cause: reason });
  }
}

/** All kinds, for exhaustive tests. */
export const faultKinds = Object.keys(kinds) as readonly FaultKind[];
