/**
 * The final log: as a node serves it, and as it is in the directories after the nodes have stopped.
 */
import type { Transport } from "@connectrpc/connect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { Log, ReadMode } from "../../src/gen/log/v1/log_pb.js";
import { tailrace } from "../support/process/process.ts";
import type { StoredRecord } from "./checker.ts";
import { pause } from "./clients/client-context.ts";
import { nameIn } from "./clients/values.ts";

const attemptsMax = 20;

/**
 * Reads all records from a node, in the order in which it sends them. On a machine with too much other load, a node can fail to
 * confirm a read in time: then it is read again.
 */
export async function recordsOn(node: Transport): ReturnType<typeof readOn> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readOn(node);
    } catch (reason) {
      if (attempt === attemptsMax || ConnectError.from(reason).code !== Code.Unavailable) throw reason;
    }
    await pause(1_000, new AbortController().signal);
  }
}

async function readOn(node: Transport): Promise<(StoredRecord & { readonly timestampMs: number })[]> {
  const log = createClient(Log, node);
  const kept: (StoredRecord & { readonly timestampMs: number })[] = [];
  const request = { stopAtEnd: true, readMode: ReadMode.LINEARIZABLE };
  for await (const { record } of log.consumeStream(request))
    if (record !== undefined) {
      const value = nameIn(Buffer.from(record.value).toString());
      kept.push({ offset: Number(record.offset), value, timestampMs: Number(record.timestampMs) });
    }
  return kept;
}

interface Verified {
  readonly ok: boolean;
  readonly records: number;
  readonly lowest: number;
  readonly next: number;
  readonly findings: readonly unknown[];
}

/** Returns the problems of these directories and their differences. Each must have `records` records. */
export async function problemsIn(
  directories: readonly string[],
  records: number,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const directory of directories) {
    const { out, err } = await tailrace(["verify", "--json", directory]);
    const verified = parsed(out);
    if (verified?.ok !== true) wrong.push(`${directory}: ${out}${err}`);
    else if (verified.lowest !== 0 || verified.next !== records)
      wrong.push(`${directory} holds ${verified.lowest} to ${verified.next}, not 0 to ${records}`);
  }
  if (directories.length > 1) {
    const { out, err, status } = await tailrace(["verify", "--compare", ...directories]);
    if (status !== 0 || !out.startsWith("identical ")) wrong.push(`${out}${err}`);
  }
  return wrong;
}

function parsed(text: string): Verified | undefined {
  try {
    return JSON.parse(text) as Verified;
  } catch {
    return undefined;
  }
}
