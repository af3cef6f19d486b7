/**
 * What clients did and were told: one operation a line of JSON, in the order in which they ended. All clients live in
 * one process, so one clock orders them. Values are unique.
 *
 * Never: judges (checker.ts does), sees more of a node than a client does.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { Written } from "../../../src/types.ts";

/** How an operation failed. */
export interface Failure {
  readonly kind: string;
  readonly written: Written;
  readonly message: string;
}

interface Spoken {
  /** Who, unique in the run; the first part is the kind of client. */
  readonly client: string;
  /** Milliseconds on the run's clock. */
  readonly start: number;
  readonly end: number;
}

/** Values that were to be appended at once. Neither offset nor failure: the client was cut off, as good as unknown. */
export interface Append extends Spoken {
  readonly op: "append";
  readonly values: readonly string[];
  readonly offset?: number;
  readonly failure?: Failure;
  /** The client numbers what it sends: nothing may be doubled, and the order is that of the calls. */
  readonly producer?: string;
  readonly expectedOffset?: number;
}

export type Mode = "linearizable" | "session" | "bounded" | "any";

/** One record was asked for. A miss is the failure "out-of-range". */
export interface Read extends Spoken {
  readonly op: "read";
  readonly mode: Mode;
  readonly offset: number;
  /** For session: the highest offset that the client knew of. */
  readonly seen?: number;
  readonly value?: string;
  readonly failure?: Failure;
}

/** The end of the log was asked for: one past the last record. */
export interface End extends Spoken {
  readonly op: "end";
  readonly mode: Mode;
  readonly seen?: number;
  readonly stalenessMs?: number;
  readonly next?: number;
  readonly failure?: Failure;
}

/** A tail was opened to show everything from here on. */
export interface Tailed extends Spoken {
  readonly op: "tail";
  readonly from: number;
}

/** A tail, the client's only one, showed these values at consecutive offsets. */
export interface Shown extends Spoken {
  readonly op: "shown";
  readonly offset: number;
  readonly values: readonly string[];
}

/** Something was done to the cluster: for whoever reads the file. */
export interface InjectedFault extends Spoken {
  readonly op: "fault";
  readonly what: string;
}

export type Operation = Append | Read | End | Tailed | Shown | InjectedFault;

export class History {
  readonly operations: Operation[] = [];
  readonly #file: number | undefined;
  /** One string for one value, however often it is shown. */
  readonly #interned = new Map<string, string>();
  readonly counts = { appends: 0, acked: 0, notWritten: 0, unknown: 0, reads: 0, shown: 0 };

  /** Writes to this file as well, if one is given. */
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

  /** The same string again, in the memory of the first. */
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
    const { counts } = this;
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
