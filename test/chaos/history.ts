/**
 * The operations of the clients and their results, one per line of JSON, in the order in which they ended. All clients run
 * in one process, so one clock orders them. Values are unique. checker.ts checks the history.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { Written } from "../../src/types.ts";

/** How an operation failed. */
export interface Failure {
  readonly kind: string;
  readonly written: Written;
  readonly message: string;
  /** The fixed word of the fault, if it has one. */
  readonly reason?: string;
  /** Of a refusal because of the version of a cursor: the present one; 0 if there is none. */
  readonly found?: number;
}

interface Timed {
  /** Name of the client, unique in the run. */
  readonly client: string;
  /** Milliseconds on the run's clock. */
  readonly start: number;
  readonly end: number;
  /** The named log that the request meant. Absent: `default`. */
  readonly log?: string;
  /** The id that the request stated, and that of the answer. */
  readonly statedId?: string;
  readonly logId?: string;
}

/** An append of values. Neither offset nor failure: the client was cut off, and the outcome is unknown. */
export interface Append extends Timed {
  readonly op: "append";
  readonly values: readonly string[];
  readonly offset?: number;
  readonly failure?: Failure;
  /** The client sends sequence numbers: no duplicates, and the order is that of the calls. */
  readonly producer?: string;
  readonly expectedOffset?: number;
}

export type Mode = "linearizable" | "session" | "bounded" | "any";

/** A read of one record. A missing record is the failure "out-of-range". */
export interface Read extends Timed {
  readonly op: "read";
  readonly mode: Mode;
  readonly offset: number;
  /** For session reads: the highest offset that the client knew. */
  readonly seen?: number;
  readonly value?: string;
  readonly failure?: Failure;
}

/** A read of the end of the log: one past the last record. */
export interface End extends Timed {
  readonly op: "end";
  readonly mode: Mode;
  readonly seen?: number;
  readonly stalenessMs?: number;
  readonly next?: number;
  readonly failure?: Failure;
}

/** A tail was opened at an offset. */
export interface Tailed extends Timed {
  readonly op: "tail";
  readonly from: number;
}

/** The client's tail showed these values at consecutive offsets. */
export interface Shown extends Timed {
  readonly op: "shown";
  readonly offset: number;
  readonly values: readonly string[];
}

export type ChangeKind = "create" | "fork" | "close" | "configure" | "delete" | "trim";

/** A change of a named log. */
export interface Change extends Timed {
  readonly op: "change";
  readonly change: ChangeKind;
  readonly log: string;
  /** Of a create or a fork: false if the log existed. */
  readonly created?: boolean;
  /** Of a fork: the name of the log that was forked, and the stated offset. Absent: at its end. */
  readonly source?: string;
  readonly at?: number;
  /** Of a trim: the first offset to keep, and the lowest offset of the answer. */
  readonly before?: number;
  readonly lowest?: number;
  readonly failure?: Failure;
}

/** A call about a cursor of a named log, or of `default`. */
export interface CursorCall extends Timed {
  readonly op: "cursor";
  readonly action: "commit" | "get" | "delete";
  readonly cursor: string;
  /** The version that it must have; 0: there must be none. Absent: any. */
  readonly expected?: number;
  /** Of a commit. No other one has this metadata. */
  readonly offset?: number;
  readonly metadata?: string;
  /** The version in the answer; 0 if there is no cursor. */
  readonly version?: number;
  /** The metadata in the answer. */
  readonly shown?: string;
  readonly failure?: Failure;
}

/** A fault was injected. For readers of the file. */
export interface InjectedFault extends Timed {
  readonly op: "fault";
  readonly what: string;
}

export type Operation = Append | Read | End | Tailed | Shown | Change | CursorCall | InjectedFault;

const emptyCounts = () => ({ appends: 0, acked: 0, notWritten: 0, unknown: 0, reads: 0, shown: 0 });

export class History {
  readonly operations: Operation[] = [];
  readonly #file: number | undefined;
  /** One string per value, to save memory. */
  readonly #interned = new Map<string, string>();
  readonly counts = emptyCounts();
  /** The same of the named logs, and changes of them that were acknowledged. */
  readonly named = { ...emptyCounts(), changes: 0, refused: 0 };
  /** Commits of cursors that were acknowledged, and refused because of the version. */
  readonly cursors = { committed: 0, refused: 0 };

  /** Also writes to the file at `path`, if given. */
  constructor(path?: string) {
    this.#file = path === undefined ? undefined : openSync(path, "w");
  }

  now(): number {
    return performance.now();
  }

  add(operation: Operation): void {
    this.#count(operation);
    this.operations.push(operation);
    if (this.#file !== undefined) writeSync(this.#file, `${JSON.stringify(operation)}\n`);
  }

  /** Returns the first string with the same text, to save memory. */
  intern(value: string): string {
    const known = this.#interned.get(value);
    if (known !== undefined) return known;
    this.#interned.set(value, value);
    return value;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  #count(operation: Operation): void {
    const counts = operation.log === undefined ? this.counts : this.named;
    if (operation.op === "change") {
      if (operation.failure === undefined) this.named.changes++;
      else if (operation.failure.written === "no") this.named.refused++;
    }
    if (operation.op === "cursor") {
      const { action, failure } = operation;
      if (action === "commit" && failure === undefined) this.cursors.committed++;
      if (failure?.reason === "CURSOR_VERSION_MISMATCH") this.cursors.refused++;
    }
    if (operation.op === "shown") counts.shown += operation.values.length;
    if (operation.op === "read" || operation.op === "end") counts.reads++;
    if (operation.op !== "append") return;
    const { length } = operation.values;
    counts.appends += length;
    if (operation.offset !== undefined) counts.acked += length;
    else if (operation.failure?.written === "no") counts.notWritten += length;
    else counts.unknown += length;
  }
}
