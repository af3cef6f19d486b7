/** What the suite `logs` asks of each server: many logs, appends of one record of 100 bytes, reads and tails. */
import type { Program } from "./program.ts";

/** When an acknowledged append is on disk. `never` is only for filling a server before a read. */
export type Durability = "always" | "never";

export interface LogServer {
  readonly name: string;
  readonly version: string;
  readonly directory: string;
  readonly program: Program;
  /** Starts the program on the same directory. It may not answer yet. */
  start(durability?: Durability): void;
  connect(): Promise<LogClient>;
}

/** One connection, or for tails as many as the server needs. Every call rejects when the server refuses. */
export interface LogClient {
  /** Undefined: the first append creates a log. */
  readonly create: ((log: number) => Promise<void>) | undefined;
  /** Appends one record. Resolves when the server acknowledges it. */
  append(log: number): Promise<void>;
  /** Reads the first `records` records of a log. */
  read(log: number, records: number): Promise<void>;
  /** Opens a tail at the end of each log from 0 to `logs` - 1. Resolves when all of them are open. */
  tail(logs: number, onRecord: () => void): Promise<void>;
  /** Resolves when the server answers anything. */
  ping(): Promise<void>;
  close(): void;
}

export const payload = Buffer.alloc(100, "tailrace ");

export const nameOf = (log: number): string => `log-${String(log).padStart(6, "0")}`;

/** Runs `work` for 0 to `count` - 1, with at most `window` in progress. */
export async function pipelined(
  count: number,
  window: number,
  work: (at: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(window, count) }, worker));
}
