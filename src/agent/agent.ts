/**
 * A node: opens the modules in order and closes them in reverse order.
 *
 *   telemetry → memory → certificates → access → ports → directory → cluster (replica, gossip) → service → Raft
 *
 * The ports are bound before the log is opened, so a port in use leaves no directory behind. Clients that connect during
 * the start wait. "Ready" means that the log is recovered, a leader is known, and the first request will be answered.
 */
import { hostname } from "node:os";
import { resolve } from "node:path";
import { type Clock, systemClock } from "../lib/time/clock.ts";
import { isLoopback, printAddress } from "../lib/value-kind.ts";
import type { PortHandlers } from "../server/mod.ts";
import { openTelemetry } from "../telemetry/mod.ts";
import { openAccess } from "./access-files.ts";
import { restoreIfEmpty, startBackups } from "./backup/open-backups.ts";
import { openCluster } from "./cluster/open-cluster.ts";
import type { Config } from "./config/settings.ts";
import { openDataDirectory } from "./data-directory.ts";
import { addHealthChecks } from "./health-checks.ts";
import { InitLogs, readInitFile } from "./init/init-logs.ts";
import type { LogSpec } from "./init/log-spec.ts";
import { memoryBytesAdvised, sizeShare } from "./memory/machine-memory.ts";
import { nextSteps } from "./next-steps.ts";
import { NodeReadiness } from "./node-readiness.ts";
import { openMemory } from "./open-memory.ts";
import { openPorts } from "./open-ports.ts";
import { openService } from "./open-service.ts";
import { openTls } from "./open-tls.ts";
import { PeerRights } from "./peer-rights.ts";
import { reloader } from "./reload.ts";
import { openServiceManager } from "./service-manager/open-service-manager.ts";
import { openIssuer } from "./tokens/open-issuer.ts";
import { version } from "./version.ts";
import { warmUp } from "./warm-up/warm-up.ts";

/** How long a leader that stops waits for another one to take over. */
const handOverMs = 2_000;

export interface AgentOptions {
  readonly config: Config;
  /** The environment variables, for those of OpenTelemetry. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
}

export interface Agent {
  /** `tailrace ready addr=… ops=… data=… pid=… url=…` */
  readonly readyLine: string;
  /** Lines for a person: the address of the dashboard, and a command to try. */
  readonly nextSteps: string;
  readonly url: string;
  /** `host:port` of the port. */
  readonly addr: string;
  /** `host:port` of the ops port. */
  readonly opsAddr: string;
  /** Resolves when the node is ready for the first time. It may have to wait for other nodes. */
  readonly ready: Promise<void>;
  /** Resolves when the node has stopped. process.exitCode is set if it failed. */
  readonly stopped: Promise<void>;
  /** Finishes requests in progress, within --shutdown-timeout, and closes. */
  stop(): Promise<void>;
  /** Reloads access files and certificates. */
  reload(): void;
  /** If this node leads, another voter takes over. The node serves on and stays a voter. */
  handOver(): void;
}

/**
 * Starts a node; resolves when it listens and Raft is started.
 * @throws Fault if it cannot start; then everything is closed again
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { config, environment, clock = systemClock } = options;
  await using opening = new AsyncDisposableStack();
  const specs = readInitFile(config.initFile);
  const parts = await openParts(opening, config, environment, clock);
  const { telemetry, access, issuer, tls, memory, readiness, ports, cluster } = parts;
  const { listener, ops } = ports;
  const logger = telemetry.log;
  const { replica, gossip, network, node } = cluster;
  const service = openService({ ...parts, config, clock, memory: memory.budget, opsAddress: ops.address });
  openHealthChecks(opening, parts, config, clock);
  startInitLogs(opening, parts, specs, clock);
  const backups = startBackups(options, cluster, ops, { telemetry, clock, memory: memory.budget });
  if (backups !== undefined) opening.use(backups);
  const manager = opening.use(openServiceManager({ environment, cluster, readiness, clock, logger }));
  const rights = opening.use(new PeerRights(access.access, logger));
  const handlers: PortHandlers = {
    ...gossip.portHandlers,
    raft: (socket, identity) => network.accept(socket, rights.of(socket, identity)),
  };
  listener.start(service.router, handlers);
  gossip.start();
  node.start();
  const warming = new AbortController();
  startWarmUp(parts, config, clock, warming.signal);
  readiness.set("node", undefined);

  const ready = readiness.ready();
  void ready.then(() => manager.ready());
  logReady(ready, parts, config);
  const owned = opening.move();
  const { promise: stopped, resolve: resolveStopped } = Promise.withResolvers<void>();
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    manager.stopping();
    warming.abort();
    stopping ??= stopParts(parts, service, config.shutdownTimeout)
      .then(() => owned.disposeAsync())
      .then(resolveStopped);
    return stopping;
  };
  void replica.failed.then((fault) => {
    logger.error({ err: fault }, "the log has failed, this node stops");
    process.exitCode = fault.kind === "corrupt" ? 5 : 1;
    void stop();
  });
  const { addr, url, directory } = parts;
  return {
    readyLine: `tailrace ready addr=${addr} ops=${ops.address} data=${directory.path} pid=${process.pid} url=${url}`,
    nextSteps: nextSteps(url, config),
    url,
    addr,
    opsAddr: ops.address,
    ready,
    stopped,
    stop,
    reload: reloader([() => tls?.reload(), () => access.reload(), () => issuer.reload()], logger),
    handOver: () => void handOver(cluster, logger),
  };
}

function openHealthChecks(
  opening: AsyncDisposableStack,
  { telemetry, ports, tls, cluster, readiness }: Parts,
  { sync, allowExpiredCertificates: allowExpired }: Config,
  clock: Clock,
): void {
  const { metrics } = telemetry;
  opening.use(
    addHealthChecks({ ops: ports.ops, tls, allowExpired, cluster, readiness, sync, metrics, clock }),
  );
}

/** Runs the warm-up, if there is one. The node is not ready meanwhile. */
function startWarmUp(
  { readiness, telemetry }: Parts,
  { warmUpTime: limitMs }: Config,
  clock: Clock,
  signal: AbortSignal,
): void {
  if (limitMs === 0) return;
  readiness.set("warm-up", "the node is warming up");
  void warmUp({ clock, limitMs, signal, log: telemetry.log }).then(() => readiness.set("warm-up", undefined));
}

/** Applies --init-file once this node leads, and shows in /readyz how far it is. */
function startInitLogs(
  opening: AsyncDisposableStack,
  { cluster, ports, telemetry }: Parts,
  specs: readonly LogSpec[],
  clock: Clock,
): void {
  if (specs.length === 0) return;
  const { replica, view } = cluster;
  const init = new InitLogs({
    specs,
    logs: replica.log.named,
    leads: () => view.leaderId === view.nodeId,
    onChange: (listener) => view.onChange(listener),
    clock,
    log: telemetry.log,
  });
  opening.use(init);
  ports.ops.addCheck({ name: "init-file", check: () => true, note: () => init.note });
}

/** Hands leadership over at the request of an operator, and logs the outcome. */
async function handOver({ node, view }: Parts["cluster"], log: Parts["telemetry"]["log"]): Promise<void> {
  const led = view.leaderId === view.nodeId;
  await node.handOver(handOverMs);
  const { leaderId: leader } = view;
  if (!led) log.info({ leader }, "this node does not lead, so there is no leadership to hand over");
  else if (leader === view.nodeId) log.warn({ leader }, "no other voter took over leadership");
  else log.info({ leader }, "handed leadership over");
}

/** Stops serving. A leader hands over first, and requests in progress get `graceMs`. The parts are still open after it. */
async function stopParts(parts: Parts, service: Pick<Service, "drain">, graceMs: number): Promise<void> {
  const { telemetry, readiness, ports, cluster } = parts;
  telemetry.log.info({}, "stopping");
  readiness.set("node", "the node is stopping");
  ports.ops.drain();
  // The node stays a voter. It hands leadership over, so that clients need not wait for an election timeout.
  await cluster.node.handOver(handOverMs);
  service.drain();
  await cluster.gossip[Symbol.asyncDispose]();
  await ports.listener.close(graceMs);
}

type Service = ReturnType<typeof openService>;
type Parts = Awaited<ReturnType<typeof openParts>>;

/** Opens the parts up to the cluster, and derives the node's addresses. */
async function openParts(
  opening: AsyncDisposableStack,
  config: Config,
  environment: AgentOptions["environment"],
  clock: Clock,
) {
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
  const memory = opening.use(openMemory(config, clock));
  const tls = openTls(config, telemetry, clock);
  if (tls !== undefined) opening.use(tls);
  const trustPlaintext = tls === undefined && config.allowPlaintext && !isLoopback(config.addr.host);
  const refuseAnonymous = config.clientAuth === "token";
  const files = { modelFile: config.aclModelFile, policyFile: config.aclPolicyFile };
  const access = opening.use(
    await openAccess(files, { log: telemetry.log, trustPlaintext, refuseAnonymous }),
  );
  const onChange = (): void => access.access.recheck();
  const issuer = opening.use(await openIssuer({ config, onChange, clock, logger: telemetry.log }));
  const ports = opening.use(await openPorts({ config, tls, memory: memory.budget, telemetry, clock }));
  const readiness = new NodeReadiness();
  readiness.set("node", "the node is starting");
  // The ops port answers from here on, and a restore can take hours. The check of the open node replaces this one.
  ports.ops.addCheck({ name: "serving", check: () => readiness.partReasons().join("; ") || true });
  const onConverted = (kept: string): void =>
    telemetry.log.info({ kept }, "the stable store of an earlier version was converted");
  await restoreIfEmpty(config, environment, clock, telemetry.log);
  const directory = opening.use(await openDataDirectory(resolve(config.dataDir), onConverted));
  const bound = ports.listener.address;
  const addresses = addressesOf(config, bound.port, tls === undefined ? "http" : "https");
  const cluster = opening.use(
    await openCluster({
      config,
      nodeName,
      directory,
      bound,
      rpcAddr: addresses.rpcAddr,
      tls,
      access: access.access,
      issuer: issuer.tokens,
      readiness,
      telemetry,
      clock,
      sizeShare: sizeShare(memory.machine),
    }),
  );
  const addr = printAddress(bound);
  return { ...addresses, addr, telemetry, memory, tls, access, issuer, ports, readiness, directory, cluster };
}

/** The addresses for others: of the RPCs, and of the dashboard as a person on this machine reaches it. */
function addressesOf(config: Config, boundPort: number, scheme: "http" | "https") {
  const advertised = config.advertiseAddr ?? config.addr;
  const port = advertised.port === 0 ? boundPort : advertised.port;
  const host = isLoopback(config.addr.host) ? config.addr.host : advertised.host;
  return {
    scheme,
    advertisedHost: advertised.host,
    rpcAddr: printAddress({ host: advertised.host, port }),
    url: `${scheme}://${printAddress({ host, port })}`,
  } as const;
}

function logReady(ready: Promise<void>, parts: Parts, config: Config): void {
  const { telemetry, memory, cluster, directory, addr } = parts;
  const { machine, budgetBytes } = memory;
  const { log } = telemetry;
  if (machine.limitBytes < memoryBytesAdvised) {
    const facts = { ...machine, advisedBytes: memoryBytesAdvised };
    log.warn(facts, "little memory, heavy load may end this node");
  }
  void ready.then(() => {
    const { clusterId } = cluster.node;
    const memoryFacts = { memoryBytes: machine.limitBytes, memoryBudgetBytes: budgetBytes };
    log.info({ addr, clusterId, directory: directory.path, sync: config.sync, ...memoryFacts }, "ready");
  });
}
