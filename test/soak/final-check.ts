/**
 * The end of a run: every reader has read everything, every node serves every acknowledged record that retention keeps, and
 * retention has removed what it had to and nothing else.
 */
import { type NamedLogInfo, openClient, type TailraceClient } from "../../src/client/mod.ts";
import type { Fleet } from "../chaos/fleet.ts";
import { processWait } from "../support/process/cluster.ts";
import { tailrace } from "../support/process/process.ts";
import { until } from "../support/until.ts";
import type { Ledger } from "./ledger.ts";
import { type SoakLog, sequenceOf } from "./plan.ts";
import { RunList } from "./run-list.ts";

/** The leader trims every second, and samples note times every few: a record is older or younger by this. */
const slackMs = 30_000;

/** Waits until the tails have everything. Returns what is wrong with what they read. */
export async function checkTails(ledgers: readonly Ledger[]): Promise<string[]> {
  const behind = (): string[] => ledgers.filter((one) => one.behind > 0).map(({ log }) => log);
  await until("every tail has read everything", () => behind().length === 0, {
    ...processWait,
    explain: () => behind().join(),
  }).catch(() => undefined);
  for (const ledger of ledgers) ledger.checkReaders();
  return behind().map((log) => `a tail of ${log} did not reach the end`);
}

/** Reads every log from every node. Returns how many records were read, and what is wrong. */
export async function checkNodes(
  fleet: Fleet,
  logs: readonly SoakLog[],
  ledgers: ReadonlyMap<string, Ledger>,
): Promise<{ readonly records: number; readonly wrong: string[] }> {
  let records = 0;
  const wrong: string[] = [];
  for (const { name, addr } of fleet.nodes) {
    await using client = openClient({ addrs: [addr], discover: false });
    for (const log of logs) {
      const ledger = ledgers.get(log.name)!;
      const { lowest, kept } = await readAll(client, log.name);
      for (const { count } of kept.runs) records += count;
      if (kept.next < ledger.acked.next)
        wrong.push(`${log.name} on ${name} ends at ${kept.next}, before ${ledger.acked.next}`);
      ledger.checkKept(name, lowest, kept);
      wrong.push(
        ...retentionFlaws(log, ledger, lowest, Date.now()).map((flaw) => `${log.name} on ${name} ${flaw}`),
      );
    }
  }
  return { records, wrong };
}

async function readAll(client: TailraceClient, name: string): Promise<{ lowest: number; kept: RunList }> {
  const kept = new RunList();
  for await (const { offset, value } of client.log(name).consume({ from: "start", until: "end" })) {
    const sequence = sequenceOf(name, value);
    if (sequence !== undefined) kept.add(offset, sequence);
  }
  return { lowest: kept.runs[0]?.offset ?? (await client.log(name).bounds()).lowest, kept };
}

/** Of a log that is kept by age: the newest record that is gone was too old, and the oldest one that is there is not. */
export function retentionFlaws(log: SoakLog, ledger: Ledger, lowest: number, nowMs: number): string[] {
  if (log.retentionAgeMs === undefined) return [];
  const flaws: string[] = [];
  const [gone, oldest] = [ledger.trimmedMs(lowest), ledger.oldestMs(lowest)];
  if (gone !== undefined && gone > nowMs - log.retentionAgeMs + slackMs)
    flaws.push(`lost records before ${lowest} that are ${nowMs - gone} ms old`);
  if (oldest !== undefined && oldest < nowMs - log.retentionAgeMs - 2 * slackMs)
    flaws.push(`keeps the record ${lowest}, which is ${nowMs - oldest} ms old`);
  return flaws;
}

/** Of logs that are kept by bytes: they hold about as many as they may. */
export async function checkBytes(client: TailraceClient, logs: readonly SoakLog[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const { name, retentionBytes } of logs) {
    if (retentionBytes === undefined) continue;
    const { bytes, lowest }: NamedLogInfo = await client.logs.get(name);
    const isTooFew = lowest > 0 && bytes < retentionBytes / 2;
    if (isTooFew || bytes > 1.5 * retentionBytes)
      wrong.push(`${name} holds ${bytes} bytes, and may hold ${retentionBytes}`);
  }
  return wrong;
}

/** Stops the nodes, and verifies and compares their directories. */
export async function checkDirectories(fleet: Fleet): Promise<string[]> {
  for (const node of fleet.nodes) await fleet.end(node, "SIGTERM");
  const directories = fleet.nodes.map(({ directory }) => directory);
  const wrong: string[] = [];
  for (const args of [...directories.map((one) => [one]), ["--compare", ...directories]]) {
    const { status, out, err } = await tailrace(["verify", ...args]);
    if (status !== 0) wrong.push(`verify ${args.join(" ")}: ${err}${out}`.slice(0, 1_000));
  }
  return wrong;
}
