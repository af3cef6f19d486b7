/** The contract of CommitLog for named logs, beside other logs that are written in between. */
import type { Replica } from "../../src/replication/mod.ts";
import type { CommitLog } from "../../src/types.ts";
import { run } from "../support/log/logs.ts";
import { openOneNode } from "../support/log/one-node-log.ts";
import { SocketCluster } from "../support/peer/socket-cluster.ts";
import { MemoryCluster } from "../support/raft/replicas.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { commitLogContract } from "./commit-log.ts";

const skips = { "describe() lists the segments": "segments hold many logs, so a named log describes none" };

/** A new named log, of which each append is followed by one to `default` and one to another log. */
async function namedLogOf({ log }: Pick<Replica, "log">): Promise<CommitLog> {
  await log.named.change({ kind: "create", name: "orders", settings: {} });
  await log.named.change({ kind: "create", name: "other", settings: {} });
  const other = log.named.open({ name: "other" });
  const named = log.named.open({ name: "orders" });
  await named.bounds();
  const mixed: CommitLog = {
    append: (records, options) => {
      const appended = named.append(records, options);
      void log.append(run("default")).catch(() => undefined);
      void other.append(run("another")).catch(() => undefined);
      return appended.then(({ logId: _, ...rest }) => rest);
    },
    read: (...given) => named.read(...given),
    bounds: (...given) => named.bounds(...given),
    seek: (...given) => named.seek(...given),
    follow: (...given) => named.follow(...given),
    trim: (...given) => named.trim(...given),
    describe: (...given) => named.describe(...given),
  };
  return mixed;
}

commitLogContract(
  "a named log of one node",
  async () => {
    const directory = scratchDirectory();
    const opened = await openOneNode(directory.path);
    return {
      log: await namedLogOf(opened.replica),
      async [Symbol.asyncDispose]() {
        await opened[Symbol.asyncDispose]();
        directory[Symbol.dispose]();
      },
    };
  },
  skips,
);

commitLogContract(
  "a named log of one node, read from small segments",
  async () => {
    const directory = scratchDirectory();
    const opened = await openOneNode(
      directory.path,
      { segmentStoreBytesMax: 400 },
      { frameCacheBytesMax: 0, openFilesMax: 3 },
    );
    return {
      log: await namedLogOf(opened.replica),
      async [Symbol.asyncDispose]() {
        await opened[Symbol.asyncDispose]();
        directory[Symbol.dispose]();
      },
    };
  },
  skips,
);

commitLogContract(
  "a named log of three nodes, at the leader",
  async () => {
    const cluster = await MemoryCluster.open(3);
    const leader = await cluster.leader();
    return {
      log: await namedLogOf(leader.replica!),
      [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
    };
  },
  skips,
);

commitLogContract(
  "a named log of three nodes over sockets, at a follower",
  async () => {
    const cluster = await SocketCluster.open(3, { settings: { segmentStoreBytesMax: 400 } });
    const follower = cluster.followers(await cluster.leader())[0]!;
    return {
      log: await namedLogOf(follower.up!.replica),
      [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
    };
  },
  skips,
);
