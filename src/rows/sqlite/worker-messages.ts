/** What the main thread and the worker send to each other. An error crosses with the properties that classify it. */

import { type Facts, Fault, type FaultKind } from "../../fault.ts";
import { DiskUncertain } from "../../lib/disk/disk.ts";
import type { RowsHead, RowsIdentity } from "../rows.ts";

/** A piece of work. The changes that were sent before belong to "write" and "merge". */
export type Work =
  | {
      readonly kind: "write";
      readonly path: string;
      readonly identity: RowsIdentity;
      readonly head: RowsHead;
    }
  /** Moves the write-ahead log into the database. */
  | { readonly kind: "checkpoint"; readonly path: string }
  /** Its result is that of RowDatabase.scrub(). */
  | {
      readonly kind: "scrub";
      readonly path: string;
      readonly identity: RowsIdentity;
      readonly after: number;
    }
  /** Closes the connection to a database. */
  | { readonly kind: "close"; readonly path: string }
  | {
      readonly kind: "build";
      readonly path: string;
      readonly identity: RowsIdentity;
      readonly from: string | RowsHead;
    }
  | {
      readonly kind: "merge";
      readonly from: string | undefined;
      readonly to: string;
      readonly head: RowsHead;
    }
  /** Removes the files of a database, of which there is no connection. */
  | { readonly kind: "remove"; readonly path: string }
  /** Drops the changes that were sent. */
  | { readonly kind: "forget" };

/** Packed changes, or work. */
export type ToWorker = { readonly changes: Uint8Array } | { readonly job: number; readonly work: Work };

export interface FromWorker {
  readonly job: number;
  /** Undefined: the work is done. */
  readonly failure: Failure | undefined;
  readonly result: number | undefined;
}

interface Failure {
  readonly message: string;
  readonly stack: string | undefined;
  readonly isUncertain: boolean;
  readonly fault: { readonly kind: FaultKind; readonly facts: Facts } | undefined;
  /** `code`, `errcode`, `errno`, `syscall` of an error of the disk or of SQLite. */
  readonly properties: Readonly<Record<string, unknown>>;
}

export function failureOf(reason: unknown): Failure {
  const error = reason instanceof Error ? reason : new Error(String(reason));
  const isUncertain = error instanceof DiskUncertain;
  const from = isUncertain && error.cause instanceof Error ? error.cause : error;
  const names = ["code", "errcode", "errno", "syscall"] as const;
  const found = names.map((name) => [name, (from as Error & Record<string, unknown>)[name]] as const);
  return {
    message: error.message,
    stack: error.stack,
    isUncertain,
    fault: error instanceof Fault ? { kind: error.kind, facts: error.facts } : undefined,
    properties: Object.fromEntries(found.filter(([, value]) => value !== undefined)),
  };
}

export function errorOf({ message, stack, isUncertain, fault, properties }: Failure): Error {
  if (fault !== undefined) return new Fault(fault.kind, { message, facts: fault.facts });
  const error = Object.assign(new Error(message), properties);
  if (stack !== undefined) error.stack = stack;
  return isUncertain ? new DiskUncertain(error) : error;
}
