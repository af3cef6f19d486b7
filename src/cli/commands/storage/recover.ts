/**
 * `tailrace recover --force-config --data-dir D`: after the permanent loss of a majority, makes the log of this node a
 * cluster of one, which other nodes can join. Offline. Without --force-config it only explains the consequences.
 */
import { type Command, Option } from "commander";
import { exitStatus } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { runCommand } from "../../run-command.ts";

interface Flags {
  readonly dataDir: string;
  readonly forceConfig?: true;
}

const warning = `This makes the node a new cluster with a new id and the records in its log.
Records that only the lost nodes had are gone. Records that were never acknowledged can be in it.
The other nodes must join with empty directories. Do not do this while a majority can come back.
Choose the node with the highest lastTerm, among equal ones that with the highest lastIndex: a log with more
records and a lower term can lack acknowledged ones.`;

export function register(program: Command): void {
  program
    .command("recover")
    .description("after the loss of a quorum: make one node a new cluster, offline")
    .requiredOption(
      "--data-dir <directory>",
      "the data directory of the surviving node with the highest lastTerm, and then the highest lastIndex",
    )
    .addOption(new Option("--force-config", "make the change; without it only the consequences are printed"))
    .action((flags: Flags) => runCommand("recover", () => recover(flags)));
}

async function recover({ dataDir, forceConfig }: Flags): Promise<number> {
  const { randomInt, randomUUID } = await import("node:crypto");
  const { Fault } = await import("../../../fault.ts");
  const { systemClock } = await import("../../../lib/time/clock.ts");
  const { checkRestored, directoryText, forceConfiguration, peerIdOf, StableState } = await import(
    "../../../replication/mod.ts"
  );
  const { checkDataDirectory } = await import("../../storage/data-directory.ts");
  const { openOffline } = await import("../../../backup/restore/offline-log.ts");
  checkDataDirectory(dataDir);
  await using opened = await openOffline(dataDir, (store) => checkRestored(store, dataDir));
  const { log, store } = opened;
  const state = new StableState(store);
  const peer = peerIdOf(log.directoryId);
  const own = state.configurationAt(log.commitIndex).roster?.members.find((member) => member.peer === peer);
  console.error(warning);
  if (own === undefined) {
    throw new Fault("failed-precondition", {
      message: `the log in ${dataDir} does not belong to a member of a cluster`,
    });
  }
  if (forceConfig !== true) {
    const { term, index, nextOffset } = log.end;
    const last = { lastTerm: term, lastIndex: index };
    const facts = { node: own.name, ...last, next: nextOffset, committed: log.bounds.next };
    await print(`${JSON.stringify(facts)}\n`);
    console.error("tailrace recover: nothing was changed; --force-config makes the change");
    return exitStatus.failed;
  }
  const self = { ...own, directory: directoryText(log.directoryId) };
  const { removed, committed, clusterId } = forceConfiguration(
    log,
    state,
    self,
    randomUUID(),
    systemClock.wallMs(),
    () => randomInt(2 ** 32) / 2 ** 32,
  );
  const names = removed.map(({ name }) => name).sort();
  await print(
    `${JSON.stringify({ node: own.name, clusterId, removed: names, newlyCommitted: committed, next: log.bounds.next })}\n`,
  );
  return exitStatus.done;
}
