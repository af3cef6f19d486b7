import { FixedSyncPolicy } from "../support/log/fixed-sync-policy.ts";
import { openOneNode } from "../support/log/one-node-log.ts";
import { SocketCluster } from "../support/peer/socket-cluster.ts";
import { MemoryCluster } from "../support/raft/replicas.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { commitLogContract } from "./commit-log.ts";

commitLogContract("the replicated log of one node", async () => {
  const directory = scratchDirectory();
  const opened = await openOneNode(directory.path);
  return {
    log: opened.replica.log,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
});

commitLogContract("the replicated log of one node that syncs off the event loop", async () => {
  const directory = scratchDirectory();
  const opened = await openOneNode(
    directory.path,
    { segmentStoreBytesMax: 200 },
    { syncPolicy: new FixedSyncPolicy(false), frameCacheBytesMax: 0, openFilesMax: 2 },
  );
  return {
    log: opened.replica.log,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
});

commitLogContract("the replicated log of three nodes, at the leader", async () => {
  const cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  return { log: leader.replica!.log, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
});

commitLogContract("the replicated log of three nodes, at a follower", async () => {
  const cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 200 });
  const follower = cluster.followers(await cluster.leader())[0]!;
  return { log: follower.replica!.log, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
});

commitLogContract("the replicated log of three nodes over sockets, at the leader", async () => {
  const cluster = await SocketCluster.open(3);
  const leader = await cluster.leader();
  return { log: leader.up!.replica.log, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
});

commitLogContract("the replicated log of three nodes over sockets, at a follower", async () => {
  const cluster = await SocketCluster.open(3, { settings: { segmentStoreBytesMax: 200 } });
  const follower = cluster.followers(await cluster.leader())[0]!;
  return { log: follower.up!.replica.log, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
});
