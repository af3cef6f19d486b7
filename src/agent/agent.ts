/**
 * A node: opens the rooms in order and closes them in the mirror order.
 *
 *   certificates → telemetry → access → ports → directory → replica → gossip → service → serving → Raft
 *
 * The ports are taken before the log is opened, so that a port in use leaves no trace; callers that come meanwhile
 * wait. Ready means: the log is recovered, there is a leader, and the first request will be answered.
 *
 * Never: decides anything a room could decide.
 */
import { hostname } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  adminOperations,
  createAssets,
  createFastPath,
  createService,
  membershipOperations,
  reasonsNotReady,
} from "../api/mod.ts";
import { Fault } from "../fault.ts";
import { systemDisk } from "../lib/disk/system-disk.ts";
import { type Clock, systemClock } from "../lib/time/clock.ts";
import { isLoopback, printAddress } from "../lib/value-kind.ts";
import { MemoryBudget } from "../memory/mod.ts";
import {
  checkFree,
  connectionLimits,
  descriptorLimit,
  descriptorReserve,
  Listener,
  NodeTls,
  openOps,
  type PortHandlers,
} from "../server/mod.ts";
import { type NodeTelemetry, openTelemetry } from "../telemetry/mod.ts";
import { openAccess } from "./access-files.ts";
import { openCluster } from "./cluster/open-cluster.ts";
import type { Config } from "./config/settings.ts";
import { openDataDirectory } from "./data-directory.ts";
import {
  checkMemory,
  defaultBudgetBytes,
  machineMemory,
  memoryBytesAdvised,
  sizeShare,
} from "./memory/machine-memory.ts";
import { mapLargeBlocks, Reclaim } from "./memory/reclaim.ts";
import { nextSteps } from "./next-steps.ts";
import { NodeReadiness } from "./node-readiness.ts";
import { PeerRights } from "./peer-rights.ts";
import { reloader } from "./reload.ts";
import { version } from "./version.ts";

/** How long a stopping leader waits for another to take over. */
const handOverMs = 2_000;

export interface AgentOptions {
  readonly config: Config;
  /** For the telemetry's own variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
}

export interface Agent {
  /** `tailrace ready addr=… ops=… data=… pid=… url=…` */
  readonly readyLine: string;
  /** Lines for a person: the dashboard's address and a command to try. */
  readonly nextSteps: string;
  readonly url: string;
  /** Resolves when the node is ready for the first time: it may have to wait for others. */
  readonly ready: Promise<void>;
  /** Resolves when the node has stopped; process.exitCode is set when it failed. */
  readonly stopped: Promise<void>;
  /** Finishes what is under way, within --shutdown-timeout, and closes. */
  stop(): Promise<void>;
  /** Reads access files and certificates again. */
  reload(): void;
}

/** Starts a node; resolves when it serves. Throws Fault when it cannot start, and then nothing is left open. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { config, environment, clock = systemClock } = options;
  await using opening = new AsyncDisposableStack();
  const nodeName = config.nodeName ?? (hostname().replace(/[^A-Za-z0-9._-]/g, "-") || "node");
  const telemetry = opening.use(
    await openTelemetry({
      version,
      nodeName,
      env: environment,
      level: config.logLevel,
      count: config.metrics === "on",
      clock,
      ...(config.debugTelemetry === undefined ? {} : { debugDirectory: config.debugTelemetry }),
    }),
  );
  const { log: logger } = telemetry;
  const machine = machineMemory();
  const budgetBytes = config.memoryBudgetBytes ?? defaultBudgetBytes(machine);
  checkMemory(machine, budgetBytes);
  mapLargeBlocks(machine);
  const reclaim = opening.use(new Reclaim({ machine, clock, onLooked: () => memory.collected() }));
  const memory = new MemoryBudget({ limit: budgetBytes, clock, onGarbage: reclaim.look });
  const tls = tlsOf(config, telemetry, clock);
  if (tls !== undefined) opening.use(tls);
  const trustPlaintext = tls === undefined && config.allowPlaintext && !isLoopback(config.addr.host);
  const access = opening.use(
    await openAccess(
      { modelFile: config.aclModelFile, policyFile: config.aclPolicyFile },
      { log: logger, trustPlaintext },
    ),
  );

  const descriptors = descriptorLimit();
  const connections = connectionLimits({
    connectionsMax: config.connectionsMax,
    perClientMax: config.connectionsPerClientMax,
    descriptors,
  });
  if (connections.clientsMax < config.connectionsMax) {
    logger.warn(
      { descriptors, connections: connections.clientsMax, connectionsMax: config.connectionsMax },
      "fewer connections than --connections-max are taken: the limit of descriptors (ulimit -n) allows no more",
    );
  }
  const listener = await Listener.bind({
    address: config.addr,
    tls,
    udp: config.gossipAddr === undefined,
    connections,
    memory,
    log: logger,
    clock,
  });
  opening.defer(() => listener.close(0));
  if (config.gossipAddr !== undefined) await checkFree(config.gossipAddr);
  const ops = opening.use(
    await openOps(config.opsAddr, config.addr.port, {
      ...(descriptors === undefined
        ? {}
        : { connectionsMax: Math.min(100, Math.ceil(descriptorReserve(descriptors) / 4)) }),
      hosts: config.allowHosts,
      prometheus: () => telemetry.prometheus(),
      version: { version, node: process.version },
      log: logger,
      clock,
    }),
  );

  const readiness = new NodeReadiness();
  readiness.set("node", "the node is starting");
  const directory = opening.use(
    await openDataDirectory(resolve(config.dataDir), (kept) =>
      logger.info({ kept }, "the stable store of an earlier version was converted"),
    ),
  );
  const advertised = config.advertiseAddr ?? config.addr;
  const port = advertised.port === 0 ? listener.address.port : advertised.port;
  const rpcAddr = printAddress({ host: advertised.host, port });
  const scheme = tls === undefined ? "http" : "https";
  const opened = opening.use(
    await openCluster({
      config,
      nodeName,
      directory,
      bound: listener.address,
      rpcAddr,
      tls,
      access: access.access,
      readiness,
      telemetry,
      clock,
      sizeShare: sizeShare(machine),
    }),
  );
  const { replica, gossip, network, node, view: cluster } = opened;
  /** A dashboard goes on at another node when its own is gone: so the nodes of a cluster allow each other's pages. */
  const peerOrigins = (): string[] =>
    cluster
      .nodes()
      .filter((node) => node.id !== cluster.nodeId)
      .map((node) => `${scheme}://${node.rpcAddr}`);
  const service = createService({
    log: replica.log,
    cluster,
    operations: { ...membershipOperations(gossip.membership), ...adminOperations(node.admin) },
    access: access.access,
    readiness,
    clock,
    telemetry,
    origins: {
      get origins() {
        return [...config.corsOrigins, ...peerOrigins()];
      },
      hosts: [...config.allowHosts, advertised.host],
    },
    version,
    memory,
    recordBytesMax: config.recordBytesMax,
    requestBytesMax: config.requestBytesMax,
    fastPath: createFastPath,
    opsAddress: ops.address,
    pages: createAssets({
      disk: systemDisk,
      directory: fileURLToPath(new URL("../../web/dist", import.meta.url)),
      connectOrigins: peerOrigins,
    }),
  });
  if (tls !== undefined) ops.addCheck({ name: "certificates", check: () => tls.problem ?? true });
  ops.addCheck({ name: "stored", check: () => replica.storedLog.damage?.message ?? true });
  if (config.sync !== "always") {
    const note = `${config.sync}, acknowledged records can be lost`;
    ops.addCheck({ name: "sync", check: () => true, note });
  }
  const { time } = replica;
  ops.addCheck({
    name: "clock",
    // Where no other voter is in a better position, this node serves as well as any.
    check: () => (time.verdict().successors.length === 0 ? true : (time.problem ?? true)),
    note: () => time.problem,
  });
  ops.addCheck({ name: "serving", check: () => reasonsNotReady(cluster, readiness).join("; ") || true });
  const rights = opening.use(new PeerRights(access.access, logger));
  const handlers: PortHandlers = {
    ...gossip.portHandlers,
    raft: (socket, identity) => network.accept(socket, rights.of(socket, identity)),
  };
  listener.start(service.router, handlers);
  gossip.start();
  node.start();
  readiness.set("node", undefined);

  const reachable = isLoopback(config.addr.host)
    ? { host: config.addr.host, port }
    : { host: advertised.host, port };
  const url = `${scheme}://${printAddress(reachable)}`;
  const addr = printAddress(listener.address);
  const ready = readiness.ready();
  if (machine.limitBytes < memoryBytesAdvised) {
    const facts = { ...machine, advisedBytes: memoryBytesAdvised };
    logger.warn(facts, "little memory, heavy load may end this node");
  }
  void ready.then(() => {
    const { clusterId } = node;
    const memoryFacts = { memoryBytes: machine.limitBytes, memoryBudgetBytes: budgetBytes };
    logger.info({ addr, clusterId, directory: directory.path, sync: config.sync, ...memoryFacts }, "ready");
  });

  const owned = opening.move();
  let stopping: Promise<void> | undefined;
  const { promise: stopped, resolve: hasStopped } = Promise.withResolvers<void>();
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      logger.info({}, "stopping");
      readiness.set("node", "the node is stopping");
      ops.drain();
      // The voter stays; only leadership goes, so that nobody has to wait until it is missed.
      await node.handOver(handOverMs);
      service.drain();
      await gossip[Symbol.asyncDispose]();
      await listener.close(config.shutdownTimeout);
      await owned.disposeAsync();
      hasStopped();
    })();
    return stopping;
  };
  void replica.failed.then((fault) => {
    logger.error({ err: fault }, "the log has failed, this node stops");
    process.exitCode = fault.kind === "corrupt" ? 5 : 1;
    void stop();
  });
  return {
    readyLine: `tailrace ready addr=${addr} ops=${ops.address} data=${directory.path} pid=${process.pid} url=${url}`,
    nextSteps: nextSteps(url, config),
    url,
    ready,
    stopped,
    stop,
    reload: reloader([() => tls?.reload(), () => access.reload()], logger),
  };
}

function tlsOf(config: Config, { log, metrics }: NodeTelemetry, clock: Clock): NodeTls | undefined {
  const { serverTlsCertFile, serverTlsKeyFile, serverTlsCaFile } = config;
  if (serverTlsCertFile === undefined || serverTlsKeyFile === undefined) return undefined;
  if (serverTlsCaFile === undefined)
    throw new Fault("config", { message: "--server-tls-ca-file is missing" });
  const server = { certFile: serverTlsCertFile, keyFile: serverTlsKeyFile, caFile: serverTlsCaFile };
  const { peerTlsCertFile, peerTlsKeyFile, peerTlsCaFile } = config;
  const ownPeer = (peerTlsCertFile ?? peerTlsCaFile) !== undefined;
  const peer = {
    certFile: peerTlsCertFile ?? serverTlsCertFile,
    keyFile: peerTlsKeyFile ?? serverTlsKeyFile,
    caFile: peerTlsCaFile ?? serverTlsCaFile,
  };
  const made = new NodeTls({
    server,
    ...(ownPeer ? { peer } : {}),
    clientAuth: config.clientAuth,
    log,
    metrics,
    clock,
  });
  const { problem } = made;
  if (problem === undefined || config.allowExpiredCertificates) return made;
  made[Symbol.dispose]();
  throw new Fault("config", {
    message: `${problem}, so no client would accept it: renew it, or start with --allow-expired-certificates`,
  });
}
