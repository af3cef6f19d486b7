/**
 * `tailrace recover --force-config --data-dir D`: after a majority was lost for good, makes this node's log a cluster of
 * one that others can join anew. Offline.
 *
 * Never: does it without --force-config, or without saying what it may cost.
 */
import { type Command, Option } from "commander";
import { exitStatus } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { runCommand } from "../../run-command.ts";

interface Flags {
  readonly dataDir: string;
  readonly forceConfig?: true;
}

const warning = `This makes the node a cluster of its own, with what its log holds and a new id.
Records that only the lost nodes had are gone. What was never acknowledged may be in it.
The others must come back with empty directories. Never do this while a majority could come back.`;

export function register(program: Command): void {
  program
    .command("recover")
    .description("after lost quorum: make one node a cluster of its own, offline")
    .requiredOption("--data-dir <directory>", "of the surviving node with the longest log")
    .addOption(new Option("--force-config", "do it; without this only what it means is said"))
    .action((flags: Flags) => runCommand("recover", () => recover(flags)));
}

async function recover({ dataDir, forceConfig }: Flags): Promise<number> {
  const { existsSync } = await import("node:fs");
  const { join } = await import("node:path");
  const { randomUUID } = await import("node:crypto");
  const { Fault } = await import("../../../fault.ts");
  const { systemClock } = await import("../../../lib/time/clock.ts");
  const { directoryText, forceConfiguration, peerIdOf, StableState } = await import(
    "../../../replication/mod.ts"
  );
  const { openOffline } = await import("../../storage/offline-log.ts");
  if (!existsSync(join(dataDir, "log"))) {
    throw new Fault("not-found", { message: `there is no log in ${dataDir}` });
  }
  await using opened = await openOffline(dataDir);
  const { log, store } = opened;
  const state = new StableState(store);
  const peer = peerIdOf(log.directoryId);
  const own = state.configurationAt(log.commitIndex).roster?.members.find((member) => member.peer === peer);
  console.error(warning);
  if (own === undefined) {
    throw new Fault("failed-precondition", { message: `the log in ${dataDir} is no member's of a cluster` });
  }
  if (forceConfig !== true) {
    const facts = { node: own.name, next: log.end.nextOffset, committed: log.bounds.next };
    await print(`${JSON.stringify(facts)}\n`);
    console.error("tailrace recover: nothing was changed, --force-config does it");
    return exitStatus.failed;
  }
  const self = { ...own, directory: directoryText(log.directoryId) };
  const { removed, committed, clusterId } = forceConfiguration(
    log,
    state,
    self,
    randomUUID(),
    systemClock.wallMs(),
  );
  const names = removed.map(({ name }) => name).sort();
  await print(
    `${JSON.stringify({ node: own.name, clusterId, removed: names, newlyCommitted: committed, next: log.bounds.next })}\n`,
  );
  return exitStatus.done;
}
