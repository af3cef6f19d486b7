/**
 * Fault: every failure that is expected, in one closed table. A fault says what was expected, what was found and
 * whether the write happened. A broken invariant is an assertion instead (lib/assert).
 *
 * Faults are independent of protocols: api/calls/error-mapping.ts maps each kind to a code and a status.
 */
import type { CommonFactName, FactName, FactsNamed } from "./fault-facts.ts";
import type { Written } from "./types.ts";

interface KindRow {
  /** True: the same call may be repeated as it is. */
  readonly retry: boolean;
  /** The message of a fault without one of its own. */
  readonly sentence: string;
  /** Facts that only some kinds carry, besides the common ones. */
  readonly facts: readonly FactName[];
}

const kinds = {
  "bad-request": {
    retry: false,
    sentence: "the request is malformed",
    facts: ["field", "character", "limit", "tag", "expression", "text", "why", "found", "nowMs"],
  },
  "bad-record": { retry: false, sentence: "a record is malformed", facts: ["field", "record", "position"] },
  "unexpected-compression": {
    retry: false,
    sentence: "a message is compressed, and no encoding was named",
    facts: ["limit"],
  },
  "too-large": {
    retry: false,
    sentence: "larger than the limit",
    facts: [
      "limit",
      "found",
      "record",
      "records",
      "bytes",
      "recordsMax",
      "bytesMax",
      "foundBytes",
      "kind",
      "head",
      "body",
      "headMax",
      "bodyMax",
    ],
  },
  "out-of-range": {
    retry: false,
    sentence: "the offset is not in the log",
    facts: ["offset", "index", "lowest", "next"],
  },
  "offset-mismatch": {
    retry: false,
    sentence: "the log does not end at the expected offset",
    facts: ["expected", "next"],
  },
  "out-of-sequence": {
    retry: false,
    sentence: "the producer's sequence does not follow its last",
    facts: ["expected", "sequence"],
  },
  "sequence-too-old": {
    retry: false,
    sentence: "the producer's sequence is older than the results that are kept",
    facts: ["sequence", "expected", "oldest", "last_sequence", "last_offset"],
  },
  "producer-fenced": { retry: false, sentence: "a newer epoch of this producer exists", facts: ["epoch"] },
  "unknown-producer": {
    retry: false,
    sentence: "the producer is not known, or its state has expired",
    facts: ["sequence"],
  },
  "too-many-producers": { retry: false, sentence: "the limit of producers is reached", facts: ["limit"] },
  unauthenticated: { retry: false, sentence: "a client certificate is required", facts: [] },
  "permission-denied": { retry: false, sentence: "not allowed", facts: ["subject", "object", "action"] },
  "not-found": { retry: false, sentence: "not found", facts: ["service", "directory", "name"] },
  "already-exists": { retry: false, sentence: "it exists already", facts: ["name"] },
  "failed-precondition": {
    retry: false,
    sentence: "the state does not allow it",
    facts: [
      "name",
      "cluster",
      "ownCluster",
      "next",
      "records",
      "last",
      "lowest",
      "expected",
      "found",
      "foundBytes",
      "needed",
      "bytesMax",
      "offset",
    ],
  },
  unimplemented: { retry: false, sentence: "not supported", facts: ["limit"] },
  "not-leader": { retry: true, sentence: "this node is not the leader", facts: [] },
  unavailable: { retry: true, sentence: "the log is not available now", facts: ["host", "port"] },
  unreachable: { retry: false, sentence: "no node could be reached", facts: [] },
  overloaded: {
    retry: true,
    sentence: "a limit is reached",
    facts: ["limit", "found", "subject", "waitingBytes", "waitingAppends", "max"],
  },
  "quota-exceeded": {
    retry: false,
    sentence: "a quota is used up",
    facts: ["limit", "found", "subject", "name"],
  },
  "disk-full": {
    retry: true,
    sentence: "the disk is full",
    facts: ["reserveBytes", "freeBytes", "volumeBytes", "needed", "errno"],
  },
  "disk-busy": { retry: true, sentence: "the disk takes no writes now", facts: ["errno"] },
  deadline: { retry: false, sentence: "the deadline has passed", facts: ["limit", "timeoutMs"] },
  canceled: { retry: false, sentence: "the client disconnected", facts: ["limit"] },
  interrupted: { retry: false, sentence: "the leader changed before the outcome was known", facts: [] },
  unknown: { retry: false, sentence: "the outcome is not known", facts: [] },
  "disk-failed": { retry: false, sentence: "a write could not be made durable", facts: ["path", "errno"] },
  corrupt: {
    retry: false,
    sentence: "stored bytes are damaged",
    facts: ["file", "position", "why", "key", "part", "index", "offset", "expected", "found"],
  },
  "foreign-directory": {
    retry: false,
    sentence: "the data directory belongs to another node",
    facts: ["file"],
  },
  "unsupported-version": {
    retry: false,
    sentence: "written by another version",
    facts: ["file", "found", "expected"],
  },
  locked: { retry: false, sentence: "another process holds it", facts: ["directory", "pid"] },
  config: {
    retry: false,
    sentence: "the configuration is not valid",
    facts: [
      "line",
      "lines",
      "linesMax",
      "text",
      "known",
      "file",
      "field",
      "directory",
      "path",
      "name",
      "usage",
      "setting",
      "value",
      "low",
      "high",
      "foundBytes",
    ],
  },
} as const satisfies Record<string, KindRow>;

export type FaultKind = keyof typeof kinds;

/** Returns whether clients repeat a call that fails with this kind. Such a fault is thrown only if nothing was written. */
export const invitesRetry = (kind: FaultKind): boolean => kinds[kind].retry;

/** The facts that a fault of this kind can carry. */
export type Facts<Kind extends FaultKind = FaultKind> = FactsNamed<
  CommonFactName | (typeof kinds)[Kind]["facts"][number]
>;

export interface FaultOptions<Kind extends FaultKind = FaultKind> {
  /**
   * The sentence that people read. Default: the sentence of the kind. Some clients garble the characters
   * : / ? # , ; = + & @ $ in it.
   */
  readonly message?: string;
  readonly facts?: Facts<Kind>;
  /** Default "no". */
  readonly written?: Written;
  /** For the log. It is not sent to clients. */
  readonly cause?: unknown;
  /** True if something other than a Fault was thrown, which is a bug. Default false. */
  readonly unexpected?: boolean;
}

/** Messages and facts repeat what a client sent. A response must not grow with it. */
const textCharsMax = 2000;

/** The text, cut if it is too long, without unpaired surrogates, which encodeURIComponent refuses. */
function bounded(text: string): string {
  return (text.length <= textCharsMax ? text : `${text.slice(0, textCharsMax)}…`).toWellFormed();
}

function boundedFacts<Kind extends FaultKind>(facts: Facts<Kind>): Facts<Kind> {
  const entries = Object.entries(facts);
  if (entries.every(([, value]) => typeof value !== "string" || value === bounded(value))) return facts;
  const cut = entries.map(([name, value]) => [name, typeof value === "string" ? bounded(value) : value]);
  return Object.fromEntries(cut) as Facts<Kind>;
}

/** An expected failure. Code throws a Fault for every failure that is not a bug. */
export class Fault<Kind extends FaultKind = FaultKind> extends Error {
  /** Types only: without it, `instanceof` would narrow to Fault<any>. */
  declare static readonly [Symbol.hasInstance]: (value: unknown) => value is Fault;

  override readonly name = "Fault";
  readonly kind: Kind;
  readonly facts: Facts<Kind>;
  readonly written: Written;
  readonly unexpected: boolean;

  constructor(kind: Kind, options: FaultOptions<Kind> = {}) {
    super(
      bounded(options.message ?? kinds[kind].sentence),
      options.cause === undefined ? {} : { cause: options.cause },
    );
    this.kind = kind;
    this.facts = boundedFacts(options.facts ?? {});
    this.written = options.written ?? "no";
    this.unexpected = options.unexpected ?? false;
  }

  /** True if the same call may be repeated as it is: the kind invites it, and nothing was written. */
  get retry(): boolean {
    return invitesRetry(this.kind) && this.written === "no";
  }

  /** Returns the fault itself, or a Fault "unknown" whose cause is what was thrown. */
  static from(reason: unknown): Fault {
    if (reason instanceof Fault) return reason;
    return new Fault("unknown", { written: "unknown", unexpected: true, cause: reason });
  }
}

/** All kinds. */
export const faultKinds = Object.keys(kinds) as readonly FaultKind[];
