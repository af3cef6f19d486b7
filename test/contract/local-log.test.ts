import { SyncPolicy } from "../../src/log/mod.ts";
import { openReal, scratchDirectory, simMachine } from "../support/logs.ts";
import { commitLogContract } from "./commit-log.ts";

commitLogContract("the log of one node", async () => {
  const directory = scratchDirectory();
  const opened = await openReal(directory.path);
  return {
    log: opened.log,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
});

// One batch a segment, nothing in memory, syncs off the event loop: every path but the usual one.
commitLogContract("the log of one node with tiny segments on the simulated disk", async () => {
  const log = await simMachine("contract").open(
    { segmentStoreBytesMax: 200 },
    { syncPolicy: new SyncPolicy(false), recentBytesMax: 0, openFilesMax: 2 },
  );
  return { log, [Symbol.asyncDispose]: () => log.close() };
});
