/**
 * The log as it is in the end: as a node serves it, and as it lies in the directories once their nodes have ended.
 *
 * Never: repairs.
 */

import type { Transport } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { Log, ReadMode } from "../../../src/gen/log/v1/log_pb.js";
import { tailrace } from "../process.ts";
import type { StoredRecord } from "./checker.ts";
import { nameIn } from "./clients/values.ts";

/** Every record that a node has, in the order in which it gives them. */
export async function recordsOn(node: Transport): Promise<(StoredRecord & { readonly timestampMs: number })[]> {
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

/** What is wrong with these directories, or differs between them; each must hold `records` records. */
export async function problemsIn(directories: readonly string[], records: number): Promise<readonly string[]> {
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
